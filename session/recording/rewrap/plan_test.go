//go:build linux

package rewrap

import (
	"bytes"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"filippo.io/age"

	"entry/audit"
	"entry/audit/evidence"
	"entry/audit/segment"
	"entry/e2e/testkit"
	"entry/session/recording"
	"entry/session/recording/auditors"
)

// planned is a site with the recordings of two labs, sealed to who their files name, of
// which the log knows the first three.
type planned struct {
	t          *testing.T
	top        string
	ada        *age.X25519Identity // opens all
	tess       *age.X25519Identity // is one of tinker's
	list       []recording.Info
	site       Site
	eve, carol auditors.Auditor
}

func newPlanned(t *testing.T) *planned {
	t.Helper()
	p := &planned{t: t, top: t.TempDir(), ada: testkit.Must(age.GenerateX25519Identity())(t), tess: testkit.Must(age.GenerateX25519Identity())(t)}
	p.eve, p.carol = p.named(testkit.Must(age.GenerateX25519Identity())(t))[0], p.named(testkit.Must(age.GenerateX25519Identity())(t))[0]
	both := p.named(p.ada, p.tess)
	testkit.WriteFile(t, filepath.Join(p.top, "tinker.pub"), both[0].Text+"\n"+both[1].Text+"\n")
	testkit.WriteFile(t, filepath.Join(p.top, "kestrel.pub"), both[0].Text+"\n")
	signer, _, err := audit.GenerateKey("entry.test")
	testkit.Check(t, err)
	testkit.WriteFile(t, filepath.Join(p.top, "audit.key"), signer)
	logDir, dir := filepath.Join(p.top, "audit"), filepath.Join(p.top, "spool")
	testkit.Check(t, os.Mkdir(dir, 0o700))
	log := testkit.Must(audit.Open(logDir, audit.Options{Key: signer}))(t)
	for n, lab := range []string{"tinker", "kestrel", "kestrel", "tinker"} {
		to := both
		if lab == "kestrel" {
			to = both[:1]
		}
		h := recording.Header{ID: id[:len(id)-1] + string(rune('1'+n)), Lab: lab, Start: time.Unix(1e9, 0), Auditors: auditors.Fingerprints(to)}
		s, record, key, err := recording.NewSealer(h, auditors.Recipients(to))
		testkit.Check(t, err)
		c := testkit.Must(recording.NewCompressor())(t)
		record = append(record, testkit.Must(s.Seal(c, nil, nil, 1, true))(t)...)
		testkit.Check(t, errors.Join(c.Close(), os.WriteFile(filepath.Join(dir, h.ID+recording.Ext), record, 0o600), os.WriteFile(filepath.Join(dir, h.ID+recording.KeyExt), key, 0o600)))
		info := testkit.Must(recording.Stat(dir, h.ID))(t)
		p.list = append(p.list, info)
		if n < 3 {
			digest := testkit.Must(recording.KeyHash(dir, h.ID))(t)
			testkit.Check(t, log.Append(t.Context(), audit.Event{Type: audit.SessionStarted, Session: h.ID, Recording: &audit.Recording{ID: h.ID, Header: hex.EncodeToString(info.HeaderHash[:]), Key: hex.EncodeToString(digest[:])}}))
		}
	}
	testkit.Check(t, log.Close())
	p.site = Site{Dir: dir, Keys: testkit.Must(evidence.ReadKeys(logDir))(t), File: func(lab string) string { return filepath.Join(p.top, lab+".pub") }}
	return p
}

func (p *planned) named(ids ...*age.X25519Identity) []auditors.Auditor {
	p.t.Helper()
	var lines []string
	for _, i := range ids {
		lines = append(lines, i.Recipient().String())
	}
	return testkit.Must(auditors.Parse(strings.NewReader(strings.Join(lines, "\n"))))(p.t)
}

// A plan has what isn't sealed to the wanted keys, by labs, says who comes in and goes out,
// and names what it can't judge.
func TestPlan(t *testing.T) {
	t.Parallel()
	p := newPlanned(t)
	plan := testkit.Must(Wish{}.Plan(p.site, p.list))(t)
	if plan.Same != 3 || len(plan.Todo) != 0 || len(plan.Bad) != 1 || !errors.Is(plan.Bad[0], evidence.ErrUnknownRecording) {
		t.Errorf("nothing to do: %+v", plan)
	}
	tess := p.named(p.tess)
	plan = testkit.Must(Wish{Add: []auditors.Auditor{p.carol}, Remove: tess}.Plan(p.site, p.list))(t)
	var out strings.Builder
	plan.Tell(&out)
	for _, want := range []string{
		"3 recordings of kestrel, tinker will be open to\n  " + p.named(p.ada)[0].Text + "\n  " + p.carol.Text + "   NEW\n",
		"and no more to\n  " + tess[0].Text + "\n",
	} {
		if !strings.Contains(out.String(), want) || len(plan.Todo) != 3 || plan.Same != 0 {
			t.Errorf("%q isn't in\n%s", want, out.String())
		}
	}

	// Whoever opens some of them seals those, in a file that says so.
	var file bytes.Buffer
	var at []int
	sealed, err := plan.Seal(&file, []age.Identity{p.tess}, func(n int) { at = append(at, n) })
	if err != nil || sealed.Sealed != 1 || sealed.Closed != 2 || !slices.Equal(at, []int{0, 1, 2}) {
		t.Errorf("%+v, %v, at %v", sealed, err, at)
	}
	all := testkit.Must(read(file.Bytes()))(t)
	if len(all) != 1 || all[0].ID != p.list[0].ID || !slices.Equal(all[0].In, []string{p.carol.Fingerprint()}) || !slices.Equal(all[0].Out, auditors.Fingerprints(tess)) {
		t.Errorf("%+v", all)
	}
	stranger := testkit.Must(age.GenerateX25519Identity())(t)
	if _, err := plan.Seal(&file, []age.Identity{stranger}, func(int) {}); !errors.Is(err, ErrClosed) {
		t.Errorf("a stranger: %v", err)
	}
}

// What can't be followed is said before anything is sealed.
func TestMisfits(t *testing.T) {
	t.Parallel()
	p := newPlanned(t)
	var m *Misfit
	if _, err := (Wish{Without: []string{p.eve.Fingerprint()}}).Plan(p.site, p.list); !errors.Is(err, ErrNoSuchKey) || !errors.As(err, &m) || !m.Misused() {
		t.Errorf("who nobody is: %v", err)
	}
	if _, err := (Wish{Remove: []auditors.Auditor{p.eve}}).Plan(p.site, p.list); err != nil {
		t.Errorf("a key that could open nothing: %v", err)
	}
	if _, err := (Wish{Remove: p.named(p.ada)}).Plan(p.site, p.list); err == nil || !strings.Contains(err.Error(), "nobody would be left") {
		t.Errorf("everybody: %v", err)
	}
	testkit.Check(t, os.Remove(filepath.Join(p.top, "kestrel.pub")))
	if _, err := (Wish{}).Plan(p.site, p.list); !errors.As(err, &m) || !strings.Contains(m.Hint(), "copy it from the server") {
		t.Errorf("a file that isn't here: %v", err)
	}
}

// What was sealed anew from an earlier key is sealed anew, as if nothing were known of who
// opens it; what may have been, in records that aren't here, isn't until that is accepted.
func TestPlanOfWhatWentWrong(t *testing.T) {
	t.Parallel()
	p := newPlanned(t)
	logDir, id := filepath.Join(p.top, "audit"), p.list[0].ID
	file := filepath.Join(p.site.Dir, id+recording.KeyExt)
	signer := testkit.ReadFile(t, filepath.Join(p.top, "audit.key"))
	put := func(segment int64, events ...audit.Event) {
		t.Helper()
		log := testkit.Must(audit.Open(logDir, audit.Options{Key: signer, Segment: segment}))(t)
		testkit.Check(t, log.Append(t.Context(), events...))
		testkit.Check(t, log.Close())
	}
	first := testkit.ReadFile(t, file)
	for range 2 {
		testkit.WriteFile(t, file, first)
		k := testkit.Must(To(p.named(p.ada)).Seal(p.site.Dir, id, []age.Identity{p.ada}, nil))(t)
		e := evidence.RewrapEvent(p.list[0].Header, k.Rewrap)
		done := e
		done.Type, done.Rewrap = audit.RewrapDone, nil
		put(1, e, done)
		testkit.WriteFile(t, file, string(k.Sealed))
	}
	put(1, audit.Event{Type: audit.ServerStarted})
	p.site.Keys = testkit.Must(evidence.ReadKeys(logDir))(t)
	plan := testkit.Must(Wish{}.Plan(p.site, p.list[:3]))(t)
	if len(plan.Todo) != 1 || plan.Todo[0].ID != id || plan.Todo[0].Before != nil || plan.Same != 2 || len(plan.Bad) > 0 {
		t.Errorf("%+v", plan)
	}

	files := testkit.Must(filepath.Glob(filepath.Join(logDir, "events-*")))(t)
	testkit.Check(t, os.Remove(files[len(files)-1]))
	p.site.Keys = testkit.Must(evidence.ReadKeys(logDir))(t)
	plan = testkit.Must(Wish{}.Plan(p.site, p.list[1:3]))(t)
	var u *evidence.Unheld
	if len(plan.Todo) > 0 || plan.Same > 0 || len(plan.Bad) != 2 || !errors.As(plan.Bad[0], &u) {
		t.Errorf("%+v", plan)
	}
	p.site.Keys = testkit.Must(evidence.ReadKeys(logDir, segment.Absent{From: 1, To: 1 << 40}))(t)
	if plan = testkit.Must(Wish{}.Plan(p.site, p.list[1:3]))(t); len(plan.Bad) > 0 || plan.Same != 2 {
		t.Errorf("accepted: %+v", plan)
	}
}
