package audit

import (
	"fmt"

	"golang.org/x/mod/sumdb/tlog"
)

// Behind says that the log is not the one that the database knows, or an older
// state of it.
type Behind struct {
	Has, Known uint64 // records
	Other      bool   // it has as many, and others
}

func (e *Behind) Error() string {
	if e.Other {
		return fmt.Sprintf("the audit log isn't the one that the database knows: its first %d records are others", e.Known)
	}
	return fmt.Sprintf("the audit log is older than the database: it has %d records, the database knows of %d", e.Has, e.Known)
}

// knowing compares a tree, as it grows, with what is known of it elsewhere.
type knowing struct {
	known Position // zero for nothing
	met   bool     // the tree had that size
	other bool     // and was another one
}

func (k *knowing) look(t *tree) {
	if k.known.Size == t.size && k.known.Size > 0 {
		k.met, k.other = true, t.root() != tlog.Hash(k.known.Root)
	}
}

// judge returns a *Behind where the tree, of this size, contradicts what is known.
func (k *knowing) judge(size uint64) error {
	if k.known.Size > 0 && (!k.met || k.other) {
		return &Behind{Has: size, Known: k.known.Size, Other: k.met}
	}
	return nil
}
