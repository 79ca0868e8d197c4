package audit

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"entry/audit/segment"
)

// Heard is how far somebody has read a log, whose records so far are proven. The zero Heard
// is of none.
type Heard struct{ tree tree }

// ErrUnproven says that what the files of a log have isn't what was signed.
var ErrUnproven = errors.New("its records aren't those that were signed: entry audit verify names them")

// Size is how many records were read.
func (h *Heard) Size() uint64 { return h.tree.size }

// On reads on, from the record behind those that were read to the last one of signed, and
// gives take the events of some types, whole and in order, and in its place what is absent.
// So whoever keeps what they heard reads each record once, and nobody who changes a file
// meanwhile, and puts it back, is believed.
//
// With an error nothing of what take got is proven, and h has to be begun anew: a
// *BadRecord, an error that is ErrUnproven, which a log that was put back is, too, or one of
// reading.
func (h *Heard) On(dir string, signed Position, take func(Event, *segment.Absent), types ...Type) error {
	c := checkpoint{signed.Size, signed.Root}
	if h.tree.size == c.size && h.tree.root() == c.root {
		return nil
	}
	if h.tree.size >= c.size {
		return ErrUnproven
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	r, err := openSegments(root, h.tree.size+1)
	if err != nil {
		return err
	}
	defer r.Close()
	if err := r.Pass(h.tree.size); err != nil {
		return err
	}
	p, s, told := replay{tree: h.tree}, scanner{types: types, whole: true, seen: map[string]string{}}, 0
	tell := func() {
		for ; told < len(p.absent); told++ {
			take(Event{}, &p.absent[told])
		}
	}
	err = p.walk(root, r, c, nil, func(b *block, i int) error {
		tell()
		e, wanted, err := s.event(b.line(i))
		if err != nil {
			return badLine(b.first+uint64(i), 0, "%v", err)
		}
		if wanted {
			take(e, nil)
		}
		return nil
	}, nil)
	if errors.Is(err, errRoot) {
		err = ErrUnproven
	}
	if err != nil {
		return locate(dir, err)
	}
	tell()
	h.tree = p.tree
	return nil
}

// Stated is what the checkpoint in dir says of its log. Its signature isn't looked at: it is
// for whoever has no better word of that. A log without one is of no records.
func Stated(dir string) (p Position, err error) {
	root, err := os.OpenRoot(dir)
	if errors.Is(err, os.ErrNotExist) {
		return Position{Root: new(tree).root()}, nil
	}
	if err != nil {
		return p, err
	}
	defer root.Close()
	text, err := readSmall(root, checkpointName, maxCheckpoint)
	if errors.Is(err, os.ErrNotExist) {
		return Position{Root: new(tree).root()}, nil
	}
	if err != nil {
		return p, err
	}
	origin, _, _ := strings.Cut(string(text), "\n")
	body, _, _ := strings.Cut(string(text), "\n\n")
	c, err := parseCheckpoint(body+"\n", origin)
	if err != nil {
		return p, fmt.Errorf("the file %s %w", checkpointName, err)
	}
	return Position{c.size, c.root}, nil
}
