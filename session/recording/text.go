package recording

import (
	"encoding/json"
	"fmt"
	"unicode/utf8"
)

// Text is what a peer wrote, a command, a variable's value, the name of a file: any
// bytes. As JSON it is a string, or where it is no UTF-8 an object with its bytes in
// base64, {"raw": "5eM="}, so that none becomes another.
type Text string

// IsZero reports whether there is none.
func (t Text) IsZero() bool { return t == "" }

type rawText struct {
	Raw []byte `json:"raw"`
}

// MarshalJSON implements json.Marshaler.
func (t Text) MarshalJSON() ([]byte, error) {
	if utf8.ValidString(string(t)) {
		return json.Marshal(string(t))
	}
	return json.Marshal(rawText{[]byte(t)})
}

// UnmarshalJSON implements json.Unmarshaler.
func (t *Text) UnmarshalJSON(b []byte) error {
	var s string
	if json.Unmarshal(b, &s) == nil {
		*t = Text(s)
		return nil
	}
	var raw rawText
	if err := json.Unmarshal(b, &raw); err != nil {
		return fmt.Errorf("a peer's text: %w", err)
	}
	*t = Text(raw.Raw)
	return nil
}
