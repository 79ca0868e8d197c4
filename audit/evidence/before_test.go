//go:build linux

package evidence

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"entry/audit"
	"entry/audit/segment"
	"entry/e2e/testkit"
	"entry/session/recording"
	"entry/session/recording/spool"
)

// A hold of a log before keeps recordings of the present one, too. Whoever changes that log
// so that it isn't proven any more, and takes the hold or has it released there, has entry
// remove nothing: neither now nor by a segment that carries what that log says.
func TestHoldsOfALogBeforeThatIsNotProven(t *testing.T) {
	t.Parallel()
	const third = "01JQ8Z3M6Y0000000000000003"
	for name, change := range map[string]func(line []byte) []byte{
		"the hold taken out": func(line []byte) []byte {
			if bytes.Contains(line, []byte(`"hold.placed"`)) {
				return nil
			}
			return line
		},
		"the hold released": func(line []byte) []byte {
			return bytes.Replace(line, []byte(`"server.started"`), []byte(`"hold.released","ref":"f2lmpazu"`), 1)
		},
		"all taken out": func([]byte) []byte { return nil },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			s.log(func(log *audit.Log) {
				s.append(log, Hold{Order{ID: "f2lmpazu", User: "carol"}}.Event(audit.HoldPlaced))
				s.append(log, audit.Event{Type: audit.ServerStarted})
			})
			auditor, _, err := audit.GenerateKey("auditor")
			testkit.Check(t, err)
			key, public := filepath.Join(s.dir, "audit.key"), filepath.Join(s.dir, "audit.pub")
			testkit.WriteFile(t, public, testkit.Must(audit.PublicOf(s.signer))(t))
			testkit.Check(t, audit.BeginAnew(audit.Anew{Dir: s.logDir(), Key: key, PublicKey: public, Auditor: auditor, Reason: "a disk was lost"}))
			s.signer = strings.TrimSpace(testkit.ReadFile(t, key))

			path := filepath.Join(s.logDir(), "before", segment.Current)
			was := testkit.ReadFile(t, path)
			var out []byte
			for line := range bytes.Lines([]byte(was)) {
				out = append(out, change(line)...)
			}
			if string(out) == was {
				t.Fatal("nothing was changed")
			}
			testkit.Check(t, os.WriteFile(path, out, 0o600))

			s.now = s.ended.Add(time.Hour)
			open := testkit.Must(spool.Open(spool.Options{Dir: s.spool(), Now: func() time.Time { return s.ended }, Commit: func(context.Context, recording.Tick) error { return nil }}))(t)
			log := s.rolled(func(log *audit.Log) {
				sum := testkit.Must(s.begin(log, open, third, "carol").Close())(t)
				s.append(log, audit.Event{Type: audit.SessionEnded, Session: third, Recording: about(third, sum)})
			})
			testkit.Check(t, open.Close())
			s.now = s.now.Add(5 * day)
			for range 3 { // each in a segment of its own, which may carry what stands
				s.append(log, audit.Event{Type: audit.ServerStarted})
				if n, err := s.removing(log, s.now); n != 0 || err == nil || !strings.Contains(err.Error(), "a legal hold may have been placed") {
					t.Errorf("%d removed, %v", n, err)
				}
			}
			if !exists(s.file(third, recording.KeyExt)) {
				t.Error("what is held was removed")
			}
			if text := testkit.ReadFile(t, filepath.Join(s.logDir(), segment.Current)); strings.Contains(text, `"standing"`) {
				t.Errorf("a segment carries what isn't proven: %s", text)
			}
		})
	}
}
