package bundle

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"strings"

	"entry/audit"
	"entry/audit/plain"
	"entry/audit/witness"
)

// Next is a log that began anew after the one before it, as a bundle of a session of that has
// it: its first record says with which tree head the one before ended. What it says of the
// session comes behind that.
type Next struct {
	Key     string // public, as who made the bundle says
	Changes []byte // of it, as audit.KeysOf takes them
	Records []Record
}

// nextName is the folder of the nth log after the session's.
func nextName(n int) string { return fmt.Sprintf("next/%02d/", n) }

// maxNext bounds how many logs after the session's a bundle has.
const maxNext = 99

// logs are the log that has the session's start, and those after it, up to the present one.
func (s Source) logs(id string) ([]Source, error) {
	if _, err := s.connection(id); !errors.Is(err, ErrUnknown) {
		return []Source{s}, err
	}
	dirs := audit.Before(s.Log)
	all := []Source{s}
	for i := len(dirs) - 1; i >= 0; i-- {
		key, err := audit.KeyBefore(dirs[i])
		if err != nil {
			return nil, fmt.Errorf("the log before, in %s: %w", dirs[i], err)
		}
		old := Source{Log: dirs[i], Key: key, Witnesses: s.Witnesses}
		all = append([]Source{old}, all...)
		if _, err = old.connection(id); err == nil && len(all) <= maxNext+1 {
			return all, nil
		}
		if err != nil && !errors.Is(err, ErrUnknown) {
			return nil, fmt.Errorf("the log before, in %s: %w", dirs[i], err)
		}
	}
	return nil, ErrUnknown
}

// part is what one log has for a bundle.
type part struct {
	about   about
	list    []Record
	later   int // how many more there are, which no such tree head has yet
	by      []witness.Cosigned
	changes []byte
}

// prove finds the records' proofs, with the first record of a log that began anew.
func (p *part) prove(s Source, anew, key bool) error {
	need := p.about.end
	if key {
		// The key that is there was made by what these say: against a tree head from before
		// them it would pass for one that somebody has swapped.
		need = max(need, p.about.key)
	}
	seqs := p.about.seqs
	if anew {
		need = max(need, 1)
		if len(seqs) == 0 || seqs[0] != 1 {
			seqs = append([]uint64{1}, seqs...)
		}
	}
	head, by, changes, err := s.head(need)
	if err != nil {
		return err
	}
	p.by, p.changes = by, changes
	for len(seqs) > 0 && seqs[len(seqs)-1] > head.Size {
		seqs = seqs[:len(seqs)-1]
		p.later++
	}
	list, err := audit.Include(s.Log, head.Position, seqs)
	if err != nil {
		return err
	}
	for _, i := range list {
		p.list = append(p.list, Record{i, head.Signed})
	}
	return nil
}

// next reads a file of a log after the session's.
func (b *Bundle) next(name string, h *tar.Header, r io.Reader, size int) error {
	n := len(b.Next)
	if file, ok := strings.CutPrefix(name, nextName(n+1)); ok && file == keysName && n < maxNext {
		text, err := small(h, r, maxChanges)
		if err != nil {
			return err
		}
		key, changes, ok := strings.Cut(string(text), "\n")
		if !ok {
			return notBundle("%s isn't whole", plain.Word(name))
		}
		b.Next = append(b.Next, Next{Key: key, Changes: []byte(changes)})
		return nil
	}
	if n == 0 || !strings.HasPrefix(name, nextName(n)) {
		return notBundle("%s doesn't belong there", plain.Word(name))
	}
	return b.record(&b.Next[n-1].Records, nextName(n), h, r, size)
}

// Followed is that the session's log, or one after it, went on as another one.
type Followed struct {
	Log string `json:"log"`       // the next one's name
	At  uint64 `json:"tree_size"` // the log before had so many records, by the next one's first
	// Earlier is that the tree head of the log before is of so many records and no more: the
	// others are lost, and that one belongs to the other is by that log's key alone. 0 where it
	// is the one that the next log names.
	Earlier uint64 `json:"earlier_tree_size,omitempty"`
}

// chain proves the records of all logs of a bundle, down from the one that the auditor's key
// is of, each by the first record of the one after it. Without a key it is the last one's.
func (b *Bundle) chain(t Trust) (rep Report, err error) {
	logs := append([]Next{{b.Key, b.Changes, b.Records}}, b.Next...)
	keys, at := make([]*audit.Keys, len(logs)), -1
	for i, l := range logs {
		if keys[i], err = audit.KeysOf(l.Key, l.Changes); err != nil {
			return rep, disproof("the changes of the log's key %v", err)
		}
		if len(l.Records) == 0 {
			return rep, notBundle("it has no record of one of its logs")
		}
		if t.Key == "" && i == len(logs)-1 || t.Key != "" && keys[i].Has(t.Key) {
			at = i
		}
	}
	if at < 0 {
		return rep, disproof("the bundle is of the log with the key %.120q, and not of yours", b.Key)
	}
	if rep, err = prove(logs[at].Records, t, logs[at].Key, logs[at].Changes, b.Witnesses); err != nil {
		return rep, err
	}
	rep.Rest = len(logs) - 1 - at
	for i := at - 1; i >= 0; i-- {
		first, err := logs[i+1].Records[0].Event()
		if err != nil {
			return rep, disproof("the first record of the log %s %v", keys[i+1].Name(), err)
		}
		signed, err := audit.Follows(first, keys[i+1])
		if err != nil {
			return rep, disproof("the first record of the log %s %v", keys[i+1].Name(), err)
		}
		end, _, err := witness.OpenHead(signed, keys[i], nil)
		if err != nil {
			return rep, disproof("the tree head with which the log before %s ended %v", keys[i+1].Name(), err)
		}
		// Who has the key of before can sign any tree head: none beyond that end counts.
		old, err := prove(logs[i].Records, Trust{Key: keys[i].Text(end.Size), Witnesses: []string{}}, "", logs[i].Changes, nil)
		if err != nil {
			return rep, err
		}
		f := Followed{Log: keys[i+1].Name(), At: end.Size}
		head, _, err := witness.OpenHead(logs[i].Records[0].Head, keys[i], nil)
		switch {
		case err != nil:
			return rep, disproof("the tree head %v", err)
		case head.Size > end.Size, head.Size == end.Size && head.Root != end.Root:
			return rep, disproof("the tree head of the log %s isn't the one with which that ended, nor an earlier one", keys[i].Name())
		case head.Size < end.Size:
			f.Earlier = head.Size
		}
		rep.Followed = append([]Followed{f}, rep.Followed...)
		rep.Events = append(old.Events, rep.Events...)
	}
	return rep, nil
}
