package bundle

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"entry/audit"
	"entry/audit/evidence"
	"entry/audit/plain"
	"entry/audit/witness"
	"entry/session/recording"
)

// Schema is the first line of a bundle's file "bundle".
const Schema = "entry.bundle/v1"

// Source is where a bundle is taken from.
type Source struct {
	Log       string   // the log's directory
	Key       string   // its public key
	Witnesses []string // public keys of witnesses
	// Recordings is the spool, "" for the records alone.
	Recordings string
}

// Prove is one record of the log with its proof, against the newest tree head that
// witnesses have cosigned or, where none has, the log's own.
func (s Source) Prove(seq uint64) (Record, error) {
	head, _, _, err := s.head(seq)
	if err != nil {
		return Record{}, err
	}
	list, err := audit.Include(s.Log, head.Position, []uint64{seq})
	if err != nil {
		return Record{}, err
	}
	return Record{list[0], head.Signed}, nil
}

// head is a signed tree head with at least the first size records, and by the key that the
// log has now, with the changes of the key up to there: who has one of before could sign any.
func (s Source) head(size uint64) (audit.SignedHead, []witness.Cosigned, []byte, error) {
	keys, err := witness.ParseKeys(s.Witnesses)
	if err != nil {
		return audit.SignedHead{}, nil, nil, err
	}
	log, err := audit.ReadKeys(s.Log, s.Key)
	if err != nil {
		return audit.SignedHead{}, nil, nil, err
	}
	if after, ok := log.Changed(); ok {
		size = max(size, after+1)
	}
	head, err := witness.Head(s.Log, s.Key, keys, size)
	if errors.Is(err, witness.ErrNoHead) {
		head, err = audit.ReadHead(s.Log, s.Key)
	}
	if err == nil && head.Size < size {
		err = fmt.Errorf("the log's newest tree head has %s, and none called %d", plain.Count(int(head.Size), "record"), size)
	}
	if err != nil {
		return audit.SignedHead{}, nil, nil, err
	}
	_, by, err := witness.OpenHead(head.Signed, log, keys)
	return head, by, log.Changes(head.Size), err
}

// Write writes the bundle of a session, by its ID, which has to be over. Where a log before
// has it, so has the bundle, and those after it with what they say of the session. The error is
// a *Refused where no log has a whole session of that ID to prove.
func (s Source) Write(w io.Writer, id string) (sum Summary, err error) {
	logs, err := s.logs(id)
	if err != nil {
		return sum, s.refused(id, err)
	}
	var all about
	parts := make([]part, len(logs))
	for i := range logs {
		if parts[i].about, err = logs[i].records(id, all.conn); err != nil {
			return sum, err
		}
		all.add(parts[i].about)
	}
	if all.end == 0 {
		return sum, s.refused(id, ErrRunning)
	}
	size := int64(0)
	if s.Recordings != "" {
		if all.failed {
			return sum, s.refused(id, ErrFailed)
		}
		if size, sum.Unheld, err = s.sound(id); err != nil {
			return sum, err
		}
	}
	for i := range parts {
		if err := parts[i].prove(logs[i], i > 0, s.Recordings != ""); err != nil {
			return sum, err
		}
		sum.Records += len(parts[i].list)
		sum.Later += parts[i].later
	}
	by := parts[len(parts)-1].by
	sum.Cosigned, sum.Awaits = by, len(by) == 0 && len(s.Witnesses) > 0
	if len(parts) > 1 {
		sum.Before, _ = audit.LogName(logs[0].Key)
	}
	// The same session and the same tree heads make the same bytes.
	t := &writer{Writer: tar.NewWriter(w), at: all.ended}
	t.text(readmeName, readme(s, id, by, all.crashed, len(parts) > 1))
	t.text(aboutName, strings.Join(append([]string{Schema, id, logs[0].Key}, s.Witnesses...), "\n")+"\n")
	if len(parts[0].changes) > 0 {
		t.text(keysName, string(parts[0].changes))
	}
	for i, p := range parts {
		folder := ""
		if i > 0 {
			folder = nextName(i)
			t.text(folder+keysName, logs[i].Key+"\n"+string(p.changes))
		}
		for _, r := range p.list {
			t.text(folder+recordName(r.Seq), string(r.Marshal()))
		}
	}
	if s.Recordings != "" {
		sum.Recording = size
		t.file(recordingName(id, recording.Ext), filepath.Join(s.Recordings, id+recording.Ext), size)
		t.file(recordingName(id, recording.KeyExt), filepath.Join(s.Recordings, id+recording.KeyExt), -1)
	}
	return sum, errors.Join(t.err, t.Close())
}

// sound verifies a recording against the whole log, and says how many bytes of it the log
// speaks of: behind them a crash may have left anything. unheld is as in Summary.
func (s Source) sound(id string) (size int64, unheld []string, err error) {
	info, err := recording.Stat(s.Recordings, id)
	if err != nil {
		return 0, nil, err
	}
	v, err := evidence.VerifyOne(s.Log, s.Recordings, info)
	return v.Info.Size, v.Sealed.Unheld, err
}

// about is what a log says of a session.
type about struct {
	conn  string   // the client connection that it came by
	seqs  []uint64 // of records, rising
	end   uint64   // of the last one without which the session's end isn't proven; 0 for none
	key   uint64   // of the last one without which its sealed key isn't; 0 for none
	ended time.Time

	failed  bool // while it was recorded
	crashed bool // a restart found its recording to be cut
}

// add adds what a later log says.
func (a *about) add(b about) {
	a.conn = b.conn
	a.end = max(a.end, b.end)
	if !b.ended.IsZero() {
		a.ended = b.ended
	}
	a.failed, a.crashed = a.failed || b.failed, a.crashed || b.crashed
}

// records finds what the log says of a session and of the login that it came by: by that
// connection or, where that is "", the one that the log names.
func (s Source) records(id, conn string) (a about, err error) {
	if a.conn = conn; conn == "" {
		if a.conn, err = s.connection(id); err != nil {
			return a, err
		}
	}
	of := audit.Query{Session: id}
	for e, err := range audit.Read(s.Log) {
		switch {
		case audit.Told(err):
			continue // what isn't here can't be proven, and what is says nothing less
		case err != nil:
			return a, err
		}
		if len(e.Sessions) > 0 {
			continue // a search over many: who looked at others' sessions is no outsider's business
		}
		login := a.conn != "" && e.Conn == a.conn && strings.HasPrefix(string(e.Type), "login.")
		if !login && !of.Matches(e) {
			continue
		}
		a.seqs = append(a.seqs, e.Seq)
		if e.Type == audit.SessionEnded || e.Type == audit.RecordingAborted {
			a.end, a.ended = e.Seq, e.Time
		}
		if e.Type == audit.RecordingRewrapped || e.Type == audit.RewrapDone {
			a.key = e.Seq
		}
		a.failed = a.failed || e.Type == audit.RecordingFailed
		a.crashed = a.crashed || e.Type == audit.RecordingAborted
		if len(a.seqs) > maxRecords {
			return a, fmt.Errorf("the log has more than %d records of the session", maxRecords)
		}
	}
	return a, nil
}

// connection is the client connection that a session came by; the error is ErrUnknown
// where the log doesn't know the session.
func (s Source) connection(id string) (string, error) {
	for e, err := range audit.Scan(s.Log, audit.SessionStarted, audit.RecordingAborted) {
		switch {
		case audit.Told(err):
		case err != nil:
			return "", err
		case e.Session == id || e.Recording != nil && e.Recording.ID == id:
			return e.Conn, nil
		}
	}
	return "", ErrUnknown
}

// writer is a tar file that is written until an error.
type writer struct {
	*tar.Writer
	at  time.Time
	err error
}

func (t *writer) header(name string, size int64) bool {
	if t.err == nil {
		t.err = t.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Size: size, Mode: 0o644, ModTime: t.at.UTC().Truncate(time.Second)})
	}
	return t.err == nil
}

func (t *writer) text(name, text string) {
	if t.header(name, int64(len(text))) {
		_, t.err = io.WriteString(t, text)
	}
}

// file writes the first size bytes of a file from disk, all of it where that is -1; one of
// those may be missing.
func (t *writer) file(name, path string, size int64) {
	if t.err != nil {
		return
	}
	f, err := os.Open(path)
	if size < 0 && errors.Is(err, fs.ErrNotExist) {
		return
	}
	if err != nil {
		t.err = err
		return
	}
	defer f.Close()
	if size < 0 {
		st, err := f.Stat()
		if err != nil {
			t.err = err
			return
		}
		size = st.Size()
	}
	if t.header(name, size) {
		_, t.err = io.CopyN(t, f, size)
	}
}
