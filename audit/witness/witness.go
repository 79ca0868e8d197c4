package witness

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// What a witness answers instead of a cosignature.
var (
	errMalformed = errors.New("malformed")                                          // 400
	errSigner    = errors.New("no signature is by a key that is known for the log") // 403
	errSpent     = fmt.Errorf("%w still: the log has changed that key", errSigner)  // 403
	errOrigin    = errors.New("the log is unknown")                                 // 404
	errProof     = errors.New("the proof doesn't show that the log grew to this")   // 422
	errOtherRoot = errors.New("another tree of the same size was cosigned")         // 409
)

// errSize is 409 with the size of the tree that is known.
type errSize struct{ known uint64 }

func (e *errSize) Error() string {
	return fmt.Sprintf("the tree that is known has %d records", e.known)
}

// Logs are the logs that a witness cosigns: for each origin the keys of which one has
// to have signed, several while a log changes its key.
type Logs map[string][]note.Verifier

// maxLogs bounds a witness's logs, whose state is written as a whole each time.
const maxLogs = 1000

// ParseLogs reads public keys of logs, one a line, as `entry init` writes them to
// keys/audit.pub; the name in a key is the log's origin. Empty lines and those that
// begin with # are left out.
func ParseLogs(text string) (Logs, error) {
	logs, n := Logs{}, 0
	for line := range strings.Lines(text) {
		n++
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		v, err := note.NewVerifier(line)
		if err != nil {
			return nil, fmt.Errorf("line %d: %.80q isn't a log's public key", n, line)
		}
		for _, other := range logs[v.Name()] {
			if other.KeyHash() == v.KeyHash() {
				return nil, fmt.Errorf("line %d: this key stands here twice", n)
			}
		}
		logs[v.Name()] = append(logs[v.Name()], v)
	}
	if len(logs) > maxLogs {
		return nil, fmt.Errorf("%d logs are more than a witness takes (%d)", len(logs), maxLogs)
	}
	return logs, nil
}

// stored is what a witness keeps, as JSON.
type stored struct {
	Checkpoints []string `json:"checkpoints"` // each with the witness's cosignature
	// Keys are by what each log has grown, by origin.
	Keys map[string]usedKeys `json:"keys,omitempty"`
}

// keeper keeps what was cosigned; tests put faults in its place.
type keeper interface {
	// keep makes what was cosigned durable in place of what was before.
	keep(stored) error
}

// Witness cosigns checkpoints. Make one with Open; it is safe for concurrent use.
type Witness struct {
	signer note.Signer
	key    string // public
	keeper keeper
	close  func() error

	mu    sync.Mutex // guards what follows, and that one checkpoint at a time is judged and kept
	logs  Logs
	known map[string]cosigned // by origin
	keys  map[string]usedKeys // likewise
}

// usedKeys are the keys of a log by which it has grown, each as its 8 hex digits.
type usedKeys struct {
	Now   string   `json:"now"`
	Spent []string `json:"spent,omitempty"` // before that, the first first
}

// maxSpent is how many keys of before are remembered of a log.
const maxSpent = 100

// next is what the keys are once these have signed a checkpoint. One that grows the log with
// another key than the last one's is by the key that follows on that: from there on the one
// before is worth nothing, whoever still has it.
func (u usedKeys) next(by []note.Signature, grows bool) (usedKeys, error) {
	var fresh []string
	for _, s := range by {
		if k := fmt.Sprintf("%08x", s.Hash); !slices.Contains(u.Spent, k) {
			fresh = append(fresh, k)
		}
	}
	switch {
	case len(fresh) == 0:
		return u, errSpent
	case !grows || slices.Contains(fresh, u.Now):
		return u, nil
	case u.Now != "":
		u.Spent = append(slices.Clone(u.Spent), u.Now)
		u.Spent = u.Spent[max(0, len(u.Spent)-maxSpent):]
	}
	u.Now = fresh[0]
	return u, nil
}

// cosigned is the newest checkpoint that was cosigned for a log.
type cosigned struct {
	head
	signed string
}

// PublicKey is what those who verify need to know, a verifier key of signed notes.
func (w *Witness) PublicKey() string { return w.key }

// Know replaces the logs that the witness cosigns. What it has cosigned for others
// before it keeps.
func (w *Witness) Know(logs Logs) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.logs = logs
}

// verdict is what was answered, for the witness's own log.
type verdict struct {
	origin string
	head   head
	lines  string // the cosignature
	// proven tells that the log's key has signed the checkpoint: what is refused then
	// is evidence.
	proven bool
}

// add judges a request and cosigns its checkpoint. Errors are those above; any other
// is the witness's own failure. It returns once the checkpoint is durable.
func (w *Witness) add(r request) (v verdict, err error) { return w.addWithin(r, nil) }

// addWithin is add, for as many checkpoints of a log as may allows; nil allows all.
func (w *Witness) addWithin(r request, may *rates[string]) (v verdict, err error) {
	n, err := w.verified(r.checkpoint, &v)
	if err != nil {
		return v, err
	}
	text := n.Text
	if may != nil && !may.allow(v.origin) { // what strangers send is no log's
		return v, errOften
	}
	if v.head, err = parseHead(text); err != nil {
		return v, fmt.Errorf("%w: %w", errMalformed, err)
	}
	if r.old > v.head.size {
		return v, fmt.Errorf("%w: the old size is beyond the checkpoint's", errMalformed)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.judge(v.origin, r, v.head); err != nil {
		return v, err
	}
	before, had := w.known[v.origin]
	used := w.keys[v.origin]
	now, err := used.next(n.Sigs, v.head.size > before.size)
	if err != nil {
		return v, err
	}
	signed, err := note.Sign(&note.Note{Text: text}, w.signer)
	if err != nil {
		return v, fmt.Errorf("cosign: %w", err)
	}
	_, v.lines, _ = strings.Cut(string(signed), "\n\n")
	w.known[v.origin], w.keys[v.origin] = cosigned{v.head, string(signed)}, now
	if err := w.keep(); err != nil {
		// What is on the disk now is either; nobody has the cosignature.
		if w.known[v.origin], w.keys[v.origin] = before, used; !had {
			delete(w.known, v.origin)
		}
		v.lines = ""
		return v, err
	}
	return v, nil
}

// verified returns a checkpoint that the log it says it is of has signed, by the keys that are
// known for it.
func (w *Witness) verified(checkpoint []byte, v *verdict) (*note.Note, error) {
	v.origin, _, _ = strings.Cut(string(checkpoint), "\n")
	w.mu.Lock()
	keys, known := w.logs[v.origin]
	w.mu.Unlock()
	n, err := note.Open(checkpoint, note.VerifierList(keys...))
	var unknown *note.UnverifiedNoteError
	var invalid *note.InvalidSignatureError
	switch {
	case err != nil && !errors.As(err, &unknown) && !errors.As(err, &invalid):
		return nil, fmt.Errorf("%w: the checkpoint isn't a signed note", errMalformed)
	case !known:
		return nil, errOrigin
	case err != nil:
		return nil, errSigner
	}
	v.proven = true
	return n, nil
}

// judge holds a checkpoint against the one before. It is called with the lock.
func (w *Witness) judge(origin string, r request, next head) error {
	before, had := w.known[origin]
	switch {
	case r.old != before.size:
		return &errSize{before.size}
	case next.size == 0 && next.root != sha256.Sum256(nil):
		return errProof
	case had && next.size == before.size && next.root != before.root:
		return errOtherRoot
	case r.old == 0 || next.size == r.old:
		if len(r.proof) > 0 { // there is nothing to prove
			return errProof
		}
		return nil
	}
	if err := tlog.CheckTree(r.proof, int64(next.size), next.root, int64(before.size), before.root); err != nil {
		return errProof
	}
	return nil
}

// keep makes what is known durable.
func (w *Witness) keep() error {
	all := make([]string, 0, len(w.known))
	for _, c := range w.known {
		all = append(all, c.signed)
	}
	if err := w.keeper.keep(stored{all, w.keys}); err != nil {
		return fmt.Errorf("keep what was cosigned: %w", err)
	}
	return nil
}

// Close ends the witness, once nothing is asked of it any more.
func (w *Witness) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.close()
}
