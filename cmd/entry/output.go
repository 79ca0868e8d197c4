package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"entry/audit/plain"
)

func asJSON(cmd *cobra.Command) bool {
	on, err := cmd.Flags().GetBool("json")
	return err == nil && on
}

// eachJSON prints NDJSON.
func eachJSON[T any](all []T) error {
	enc := json.NewEncoder(os.Stdout)
	for _, v := range all {
		if err := enc.Encode(v); err != nil {
			return err
		}
	}
	return nil
}

// escaping writes JSON, of whole values at once, with what a terminal might obey
// escaped.
type escaping struct{ w io.Writer }

func (e escaping) Write(b []byte) (int, error) {
	line := make([]byte, 0, len(b))
	for rest := b; len(rest) > 0; {
		r, n := utf8.DecodeRune(rest)
		switch {
		case r < utf8.RuneSelf && r != 0x7f, plain.Visible(r), r == utf8.RuneError:
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
