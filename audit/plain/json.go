package plain

import (
	"encoding/json"
	"fmt"
	"io"
	"unicode/utf16"
	"unicode/utf8"
)

// JSON writes values as JSON, one a line, with everything escaped that a terminal might
// obey or hide. To programs they say the same.
func JSON(w io.Writer) *json.Encoder {
	e := json.NewEncoder(escaping{w})
	e.SetEscapeHTML(false)
	return e
}

// escaping writes JSON, of whole values at once, with what a terminal might obey
// escaped.
type escaping struct{ w io.Writer }

func (e escaping) Write(b []byte) (int, error) {
	line := make([]byte, 0, len(b))
	for rest := b; len(rest) > 0; {
		r, n := utf8.DecodeRune(rest)
		switch {
		case r < utf8.RuneSelf && r != 0x7f, Visible(r), r == utf8.RuneError && n > 1:
			line = append(line, rest[:n]...)
		case r <= 0xffff:
			line = fmt.Appendf(line, `\u%04x`, r)
		default:
			hi, lo := utf16.EncodeRune(r)
			line = fmt.Appendf(line, `\u%04x\u%04x`, hi, lo)
		}
		rest = rest[n:]
	}
	if _, err := e.w.Write(line); err != nil {
		return 0, err
	}
	return len(b), nil
}
