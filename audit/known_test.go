//go:build linux

package audit

import (
	"bytes"
	"errors"
	"testing"
)

// TestDatabaseKnows: the log and its witness are put back together to an older state,
// whole and well signed, and nothing but what the database knows tells. A start refuses
// that before it changes anything: nothing that was acknowledged is set aside.
func TestDatabaseKnows(t *testing.T) {
	p := newPlace(t)
	p.fill(t, 3)
	older, signed := p.read(t, eventsName), p.read(t, checkpointName)
	l := p.open(t)
	mustAppend(t, l, Event{Type: LoginSucceeded}, Event{Type: LoginSucceeded})
	known := l.Position()
	_ = l.Close()
	newest := p.read(t, eventsName)
	other := known
	other.Root[0] ^= 1
	p.witness = ""
	for name, c := range map[string]struct {
		log, signed []byte
		known       Position
		want        *Behind
	}{
		"as it is":               {newest, p.read(t, checkpointName), known, nil},
		"nothing is known":       {newest, p.read(t, checkpointName), Position{}, nil},
		"put back":               {older, signed, known, &Behind{Has: 3, Known: 5}},
		"only the checkpoint":    {newest, signed, known, &Behind{Has: 3, Known: 5}},
		"another one":            {newest, p.read(t, checkpointName), other, &Behind{Has: 5, Known: 5, Other: true}},
		"the checkpoint is gone": {nil, nil, known, &Behind{Has: 0, Known: 5}},
	} {
		t.Run(name, func(t *testing.T) {
			q := *p
			q.dir = t.TempDir()
			if c.log != nil {
				q.write(t, eventsName, c.log)
				q.write(t, checkpointName, c.signed)
			}
			check := func(what string, err error) {
				t.Helper()
				var behind *Behind
				if errors.As(err, &behind) != (c.want != nil) || c.want != nil && *behind != *c.want || c.want == nil && err != nil {
					t.Errorf("%s: %v, want %v", what, err, c.want)
				}
			}
			if c.log != nil {
				_, err := verify(q.dir, VerifyOptions{PublicKey: q.verifier, Known: c.known}, noPatience())
				check("verify", err)
			}
			o := q.options()
			o.Known = func(name string) (Position, error) {
				if v, err := LogName(q.verifier); err != nil || v != name {
					t.Errorf("asked for %q, %v", name, err)
				}
				return c.known, nil
			}
			still, err := Inspect(q.dir, o)
			check("Inspect", err)
			if err == nil {
				_ = still.Close()
			}
			l, err := Open(q.dir, o)
			check("Open", err)
			if err == nil {
				_ = l.Close()
			} else if c.log != nil && (!bytes.Equal(q.read(t, eventsName), c.log) || len(q.asides(t)) > 0) {
				t.Error("a refused start has changed the log")
			}
		})
	}
}
