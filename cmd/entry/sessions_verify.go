package main

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/spf13/cobra"

	"entry/audit"
	"entry/audit/plain"
	"entry/session/recording"
)

// evidence is what the audit log says of one recording.
type evidence struct {
	expect []recording.Expect // of the header, the ticks, the restart that found it aborted
	ended  *recording.Expect  // of session.ended
	failed string             // detail of recording.failed: the end wasn't durable
	// headless says that a restart found it without a whole header: the crash
	// came before the session started.
	headless bool
	// removed says that its lab's retention was over: it may be gone.
	removed bool
}

// verify holds a recording against the evidence. The end of a recording that
// failed was never durable, so it isn't expected: all up to the last tick is.
func (e *evidence) verify(spool, id string) (recording.Info, error) {
	if e.headless && len(e.expect) == 0 {
		return recording.Info{Header: recording.Header{ID: id}, State: recording.StateAborted}, nil
	}
	if e.ended != nil && e.failed == "" {
		return recording.Verify(spool, id, append(e.expect, *e.ended)...)
	}
	info, err := recording.Verify(spool, id, e.expect...)
	var bad *recording.BadSegment
	if e.failed != "" && errors.As(err, &bad) && info.State == recording.StateAborted && bad.Segment == int(info.Segments) && info.Segments >= e.durable() {
		return info, nil // it lacks its end, as the log says
	}
	return info, err
}

// durable is how many segments the log knows to be on the disk.
func (e *evidence) durable() (most uint32) {
	for _, x := range e.expect {
		most = max(most, x.Segments)
	}
	return most
}

// gather reads the log in logDir for evidence about the recordings in spool:
// about the one called only, with every tick, or if that is "" about all, with
// the last tick of each. A list of a tick that isn't the one that was
// committed is an error that names the event.
func gather(logDir, spool, only string) (map[string]*evidence, error) {
	found := map[string]*evidence{}
	last := map[string]recording.Expect{}
	of := func(id string) *evidence {
		if found[id] == nil {
			found[id] = &evidence{}
		}
		return found[id]
	}
	var bad []error
	for e, err := range audit.Read(logDir) {
		if err != nil {
			return nil, err // audit verify is who says more
		}
		r := e.Recording
		if r != nil && (only == "" || r.ID == only) {
			switch e.Type {
			case audit.SessionStarted:
				if h, err := hash32(r.Header); err == nil {
					of(r.ID).expect = append(of(r.ID).expect, recording.Expect{Head: h})
				}
			case audit.SessionEnded, audit.RecordingAborted:
				h, err := hash32(r.Head)
				if err != nil {
					continue
				}
				x := recording.Expect{Segments: r.Segments, Head: h, Final: e.Type == audit.SessionEnded, Aborted: e.Type == audit.RecordingAborted}
				switch {
				case x.Final:
					of(r.ID).ended = &x
				case h == [32]byte{}:
					of(r.ID).headless = true
				default:
					of(r.ID).expect = append(of(r.ID).expect, x)
				}
			case audit.RecordingRemoved:
				of(r.ID).removed = true
			}
		}
		if e.Type == audit.RecordingFailed && found[e.Session] != nil {
			of(e.Session).failed = "failed"
			if e.Detail != "" {
				of(e.Session).failed = e.Detail
			}
		}
		// A session's ticks come after its start; without that there is
		// nothing to hold them against.
		if e.Type != audit.RecordingTick || e.Tick == nil || only != "" && (found[only] == nil || found[only].ended != nil) {
			continue
		}
		root, err := hash32(e.Tick.Root)
		if err != nil {
			continue
		}
		list, err := recording.ReadTick(spool, recording.Tick{Root: root, Changed: e.Tick.Changed, List: e.Tick.List})
		if err != nil {
			bad = append(bad, fmt.Errorf("event %d: %w", e.Seq, err))
			continue
		}
		for _, c := range list {
			x := recording.Expect{Segments: c.Segments, Head: c.Head}
			switch {
			case only == "":
				last[c.ID] = x
			case c.ID == only:
				of(only).expect = append(of(only).expect, x)
			}
		}
	}
	for id, x := range last {
		of(id).expect = append(of(id).expect, x)
	}
	if len(bad) > 3 {
		bad = append(bad[:3], fmt.Errorf("and %d more", len(bad)-3))
	}
	return found, errors.Join(bad...)
}

func hash32(s string) (h [32]byte, err error) {
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != len(h) {
		return h, fmt.Errorf("%q isn't a hash", s)
	}
	return [32]byte(b), nil
}

// spoolReport is what verifyRecordings found.
type spoolReport struct{ Recordings, Live, Removed int }

// String says it in words.
func (r spoolReport) String() string {
	s := plain.Count(r.Recordings, "recording") + " consistent with the log"
	if r.Live > 0 {
		s += fmt.Sprintf(", %d of them live", r.Live)
	}
	if r.Removed > 0 {
		s += fmt.Sprintf("; %d removed after their lab's retention", r.Removed)
	}
	return s
}

// verifyRecordings checks every recording in spool against the log in logDir,
// which must have been verified itself, and that none is missing. Its error
// names each bad recording with its first bad segment. It needs no key.
func verifyRecordings(logDir, spool string) (rep spoolReport, err error) {
	// First what is there, then the log: who is in the spool is in the log.
	list, err := recording.List(spool)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return rep, err
	}
	known, err := gather(logDir, spool, "")
	var bad []error
	if err != nil {
		bad = append(bad, err)
		if known == nil {
			return rep, err
		}
	}
	for _, i := range list {
		e := known[i.ID]
		delete(known, i.ID)
		if e == nil {
			if i.State != recording.Live { // one that is just starting isn't in the log yet
				bad = append(bad, fmt.Errorf("recording %s: the audit log doesn't know it", i.ID))
			}
			continue
		}
		info, err := e.verify(spool, i.ID)
		if err != nil {
			bad = append(bad, err)
			continue
		}
		rep.Recordings++
		if info.State == recording.Live {
			rep.Live++
		}
	}
	for id, e := range known {
		if e.removed {
			rep.Removed++
			continue
		}
		// One that started after the listing is there by now.
		if _, err := recording.Verify(spool, id); errors.Is(err, fs.ErrNotExist) {
			bad = append(bad, fmt.Errorf("recording %s: it is missing from the spool", id))
		}
	}
	return rep, errors.Join(bad...)
}

// sessionVerdict is what show has to say of one recording.
type sessionVerdict struct {
	info    recording.Info
	against string // what it was checked against; "" if it wasn't
	failed  string // what the log says went wrong
}

// verifySession verifies one recording against the log, where there is one.
func verifySession(cmd *cobra.Command, dir string, listed recording.Info) (v sessionVerdict, err error) {
	v = sessionVerdict{info: listed}
	e := &evidence{}
	var lists error
	v.against = "by itself: the audit log isn't here"
	if logDir, _, _, err := auditDirs(cmd); err == nil {
		known, gerr := gather(logDir, dir, listed.ID)
		switch {
		case known == nil:
			v.against = "by itself: the audit log can't be read"
		case known[listed.ID] == nil:
			v.against = "by itself: the audit log doesn't know it"
			lists = gerr
		default:
			e, lists = known[listed.ID], gerr
			v.failed = e.failed
			v.against = "against the audit log"
		}
	}
	info, err := e.verify(dir, listed.ID)
	if err == nil {
		v.info = info
	}
	return v, errors.Join(err, lists)
}

// print writes the verdict. verr is what verifying and reading said.
func (v sessionVerdict) print(out io.Writer, list []recording.Channel, asJSON bool, verr error) error {
	if asJSON {
		line := struct {
			sessionLine
			HeaderHash string        `json:"header_hash"`
			Head       string        `json:"head"`
			Notice     string        `json:"notice,omitempty"`
			Verified   bool          `json:"verified"`
			Against    string        `json:"against,omitempty"` // "" if verifying wasn't asked for
			Bad        string        `json:"bad,omitempty"`
			Failed     string        `json:"failed,omitempty"`
			Channels   []channelLine `json:"channels,omitempty"`
		}{sessionLine: lineOf(v.info), HeaderHash: hexOf(v.info.HeaderHash), Head: hexOf(v.info.Head), Notice: v.info.Notice,
			Verified: verr == nil && v.against != "", Against: v.against, Failed: v.failed, Channels: channelLines(list)}
		if verr != nil {
			line.Bad = verr.Error()
		}
		return json.NewEncoder(out).Encode(line)
	}
	i := v.info
	w := plain.NewTable(out)
	for _, row := range [][2]string{
		{"session", i.ID}, {"user", i.User}, {"lab", i.Lab}, {"target", i.Target}, {"login", i.Login}, {"source", i.Source},
		{"rule", i.Rule}, {"policy", i.Policy}, {"start", plain.Time(i.Start)}, {"end", plain.Time(i.End)}, {"state", string(i.State)},
		{"input", map[bool]string{true: "recorded", false: "not recorded"}[i.Input]}, {"notice", i.Notice},
		{"header hash", hexOf(i.HeaderHash)}, {"head", hexOf(i.Head)}, {"size", fmt.Sprintf("%s in %d segments", plain.Size(i.Size), i.Segments)},
		{"failed", v.failed}, {"verified", v.verdict(verr)},
	} {
		if row[1] != "" {
			w.Row(row[0], plain.Line(row[1]))
		}
	}
	for n, c := range list {
		w.Row(map[bool]string{true: "channels", false: ""}[n == 0], describeChannel(c))
	}
	return w.Flush()
}

func (v sessionVerdict) verdict(err error) string {
	if err != nil {
		return "NO: " + strings.ReplaceAll(err.Error(), "\n", "; ")
	}
	if v.against == "" {
		return "not asked for"
	}
	return "yes, " + v.against
}
