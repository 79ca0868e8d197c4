package recording

import (
	"encoding/json"
	"fmt"

	"entry/audit/plain"
)

// Omitted stands, in a Transfer frame, for payload that isn't kept.
type Omitted struct {
	Stream string `json:"stream"` // "output", "error", "input", "requests"
	Bytes  int64  `json:"omitted_bytes"`
	SHA256 string `json:"sha256"`        // hex, of exactly those bytes
	Why    string `json:"why,omitempty"` // as in Missing; "" where nobody asks for them
}

// Omitted is what a Transfer frame holds that stands for payload; ok is false for any
// other frame.
func (f Frame) Omitted() (o Omitted, ok bool) {
	if f.Kind != Transfer || json.Unmarshal(f.Data, &o) != nil {
		return Omitted{}, false
	}
	return o, o.Stream != ""
}

// String is "not kept: 2048 B of input (…), SHA-256 …", fit for a terminal.
func (o Omitted) String() string {
	why := ""
	if o.Why != "" {
		why = " (" + plain.Line(wordsOf(o.Why)) + ")"
	}
	return fmt.Sprintf("not kept: %s of %s%s, SHA-256 %s", plain.Size(o.Bytes), plain.Word(o.Stream), why, plain.Word(o.SHA256))
}
