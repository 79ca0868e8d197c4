package plain

import (
	"bytes"
	"encoding/json"
	"testing"
)

// JSON for a terminal or a pipe says what was there, and has nothing that a terminal
// obeys or hides.
func TestJSONIsVisible(t *testing.T) {
	var out bytes.Buffer
	const text = "blåbær <&> \u202egpj.exe\u2066 \u009b31m \x7f \U000e0041 日本"
	if err := JSON(&out).Encode(text); err != nil {
		t.Fatal(err)
	}
	const want = `"blåbær <&> \u202egpj.exe\u2066 \u009b31m \u007f \udb40\udc41 日本"` + "\n"
	if out.String() != want {
		t.Errorf("%q, want %q", out.String(), want)
	}
	raw := bytes.Clone(out.Bytes())
	out.Reset()
	if err := JSON(&out).Encode(json.RawMessage("\"a\x9b31m\"")); err != nil || out.String() != `"a\ufffd31m"`+"\n" {
		t.Errorf("bytes: %q, %v", out.String(), err)
	}
	var back string
	if err := json.Unmarshal(raw, &back); err != nil || back != text {
		t.Errorf("%q, %v", back, err)
	}
}
