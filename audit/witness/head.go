package witness

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	format "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"

	"entry/audit"
	"entry/audit/plain"
)

// ErrNoHead says that no tree head of a log that witnesses have cosigned reaches as far as
// was asked for.
var ErrNoHead = errors.New("no witness has cosigned so much of the log yet")

// Head is, of the tree heads of the log in dir with the public key key that have at least
// the first size records, the newest one that most of the witnesses with these keys have
// cosigned. Its Signed has the log's signature and theirs, each of them verified. The error
// is ErrNoHead where none has cosigned one.
func Head(dir, key string, keys []note.Verifier, size uint64) (audit.SignedHead, error) {
	log, err := audit.ReadKeys(dir, key)
	if err != nil {
		return audit.SignedHead{}, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return audit.SignedHead{}, err
	}
	defer root.Close()
	file, err := root.Open(CosignedName)
	if errors.Is(err, os.ErrNotExist) {
		return audit.SignedHead{}, ErrNoHead
	}
	if err != nil {
		return audit.SignedHead{}, err
	}
	defer file.Close()
	var best audit.SignedHead
	most := 0
	err = each(file, func(e entry) error {
		h, err := parseHead(e.text)
		if err != nil || h.size < size {
			return nil
		}
		own := log.Signs(h.size)
		n, err := note.Open(e.signed(), note.VerifierList(append([]note.Verifier{own}, keys...)...))
		var invalid *note.InvalidSignatureError
		switch {
		case errors.As(err, &invalid):
			return badEntry(e.number, fmt.Sprintf("doesn't carry a valid signature of %s", invalid.Name))
		case err != nil || n.Sigs[0].Name != own.Name() || n.Sigs[0].Hash != own.KeyHash():
			return nil // of another log, or by others alone
		case len(n.Sigs)-1 < max(most, 1):
			return nil
		}
		n.UnverifiedSigs = nil
		signed, err := note.Sign(n)
		best = audit.SignedHead{Position: audit.Position{Size: h.size, Root: h.root}, Signed: signed}
		most = len(n.Sigs) - 1
		return err
	})
	if err == nil && most == 0 {
		err = ErrNoHead
	}
	return best, err
}

// Cosigned is one witness's signature under a tree head.
type Cosigned struct {
	Name string    `json:"name"` // of its key
	At   time.Time `json:"at"`   // by its own clock
}

// OpenHead reads a signed tree head of the log with these keys, and who of the
// witnesses with these keys has cosigned it. The error is the predicate of a sentence: the
// head isn't the log's, or is by another key than signs so many records, or carries a signature of one of these keys that isn't valid.
// Other signatures aren't looked at.
func OpenHead(signed []byte, own *audit.Keys, keys []note.Verifier) (audit.Position, []Cosigned, error) {
	text, _, _ := strings.Cut(string(signed), "\n\n")
	var log note.Verifier
	if h, err := parseHead(text + "\n"); err == nil { // not proven yet; but only that key may have signed so many records
		log = own.Signs(h.size)
	} else {
		log = own.Signs(0)
	}
	n, err := note.Open(signed, note.VerifierList(append([]note.Verifier{log}, keys...)...))
	var unknown *note.UnverifiedNoteError
	var invalid *note.InvalidSignatureError
	switch {
	case errors.As(err, &invalid):
		return audit.Position{}, nil, fmt.Errorf("does not carry a valid signature of the key %s+%08x", plain.Word(invalid.Name), invalid.Hash)
	case errors.As(err, &unknown):
		return audit.Position{}, nil, fmt.Errorf("is not signed by the key %s+%08x", log.Name(), log.KeyHash())
	case err != nil:
		return audit.Position{}, nil, errors.New("is not a signed note")
	}
	h, err := parseHead(n.Text)
	if err != nil {
		return audit.Position{}, nil, errors.New("is no checkpoint")
	}
	if of, _, _ := strings.Cut(n.Text, "\n"); of != log.Name() {
		return audit.Position{}, nil, fmt.Errorf("is of the log %s, not of %s", plain.Word(of), log.Name())
	}
	var by []Cosigned
	signs := false
	for _, s := range n.Sigs {
		if s.Name == log.Name() && s.Hash == log.KeyHash() {
			signs = true
			continue
		}
		at, err := format.CoSigV1Timestamp(s)
		if err != nil {
			return audit.Position{}, nil, fmt.Errorf("has a cosignature of %s without a time", plain.Word(s.Name))
		}
		by = append(by, Cosigned{s.Name, at.UTC()})
	}
	if !signs {
		return audit.Position{}, nil, fmt.Errorf("is not signed by the key %s+%08x", log.Name(), log.KeyHash())
	}
	return audit.Position{Size: h.size, Root: h.root}, by, nil
}
