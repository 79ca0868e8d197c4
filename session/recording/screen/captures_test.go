package screen

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"entry/e2e/testkit"
)

// capture is what a real program wrote; testdata/capture.py says how it was made.
type capture struct {
	Program, Term string
	Cols, Rows    int
	Events        []captured
}

// captured is one event of a capture: output, a new size, or a moment to compare.
type captured struct {
	output     []byte
	cols, rows int
	check      bool
}

func (c *captured) UnmarshalJSON(b []byte) error {
	var parts []json.RawMessage
	var kind string
	err := json.Unmarshal(b, &parts)
	if err == nil {
		err = json.Unmarshal(parts[0], &kind)
	}
	switch {
	case err != nil:
		return err
	case kind == "o":
		return json.Unmarshal(parts[1], &c.output)
	case kind == "r":
		return errors.Join(json.Unmarshal(parts[1], &c.cols), json.Unmarshal(parts[2], &c.rows))
	}
	c.check = true
	return nil
}

func captures(t testing.TB) []capture {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", "captures.jsonl.gz"))
	testkit.Check(t, err)
	defer func() { testkit.Check(t, f.Close()) }()
	z, err := gzip.NewReader(f)
	testkit.Check(t, err)
	var all []capture
	for d := json.NewDecoder(bufio.NewReader(z)); ; {
		var c capture
		if err := d.Decode(&c); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, c)
	}
}
