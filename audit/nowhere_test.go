//go:build linux

package audit

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// A setting with a slip in it, or a disk that isn't mounted, is no log that was put back.
func TestNothingOfALog(t *testing.T) {
	p := newPlace(t)
	l := p.open(t)
	mustAppend(t, l, Event{Type: LoginSucceeded}, Event{Type: LoginSucceeded})
	known := l.Position()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	alone := *p
	alone.witness = ""
	for name, c := range map[string]struct {
		p     *place
		make  func(dir string) error
		known Position // of the database
		want  string
	}{
		"not there":                   {p, func(string) error { return nil }, known, "the directory isn't there, but the witness directory knows of records"},
		"known to the database alone": {&alone, func(string) error { return nil }, known, "the directory isn't there, but the database knows of records"},
		"not mounted": {p, func(dir string) error { return os.MkdirAll(filepath.Join(dir, "lost+found"), 0o700) }, Position{},
			"nothing of the log is in it, but the witness directory knows of records"},
		"begun by a version that did": {p, func(dir string) error {
			return errors.Join(os.MkdirAll(dir, 0o700), os.WriteFile(filepath.Join(dir, hashesName), nil, 0o600))
		}, known, "nothing of the log is in it, but the witness directory knows of records"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "mistyped", "audit")
			if err := c.make(dir); err != nil {
				t.Fatal(err)
			}
			before, _ := os.ReadDir(dir)
			o := c.p.options()
			o.Known = func(string) (Position, error) { return c.known, nil }
			_, inspected := Inspect(dir, o)
			_, opened := Open(dir, o)
			for what, err := range map[string]error{"Inspect": inspected, "Open": opened} {
				var nowhere *Nowhere
				if !errors.As(err, &nowhere) || nowhere.Error() != c.want {
					t.Errorf("%s: %v, want %q", what, err, c.want)
				}
			}
			if after, _ := os.ReadDir(dir); len(after) != len(before) {
				t.Errorf("a refused start made %v", after)
			}
		})
	}
}
