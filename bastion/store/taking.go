package store

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"entry/audit"
	"entry/bastion/identity"
)

// taking is what the logs take from one account.
type taking struct {
	generation int64
	of         map[string]int64 // the same by log
	changes    []change         // as far as they were applied
}

// change is one that the database lacks: what it took, and enough of its event to
// tell what it gave.
type change struct {
	kind        audit.Type
	generation  int64
	key, detail string
	until       time.Time // zero for none
	taken       []string
}

func (c change) equal(o change) bool {
	return c.kind == o.kind && c.generation == o.generation && c.key == o.key && c.detail == o.detail && c.until.Equal(o.until) && slices.Equal(c.taken, o.taken)
}

// changeOf is e as a change to which it gives words.
func changeOf(e audit.Event, generation int64, words []string) change {
	c := change{kind: e.Type, generation: generation, key: e.Key, detail: e.Detail}
	if e.Until != nil {
		c.until = *e.Until
	}
	for _, w := range words {
		if w == identity.TakenKey && e.Change == nil {
			w += e.Key
		}
		c.taken = append(c.taken, w)
	}
	return c
}

// withdraw drops the change that the log says wasn't applied: that one, and not
// another of its kind which was faster.
func (t *taking) withdraw(c change) {
	for i := len(t.changes) - 1; i >= 0; i-- {
		if t.changes[i].equal(c) {
			t.changes = slices.Delete(t.changes, i, i+1)
			return
		}
	}
}

// words are what all of it takes in the end.
func (t *taking) words() (words []string) {
	for _, c := range t.changes {
		words = append(c.undo(words), c.taken...)
	}
	return words
}

// undo is words without what c gave again: not to be more than the log's last word,
// nor more than the database has.
func (c change) undo(words []string) []string {
	drop := func(prefix string) (dropped bool) {
		kept := slices.DeleteFunc(words, func(w string) bool { return strings.HasPrefix(w, prefix) })
		dropped, words = len(kept) < len(words), kept
		return dropped
	}
	switch {
	case c.kind == audit.UserEnabled:
		drop(identity.TakenDisabled)
	case c.kind == audit.KeyAdded && c.key != "":
		if !drop(identity.TakenKey + c.key) {
			break
		}
		// It begins anew: what was proven by it, and why it was shared, went with it.
		words = append(words, identity.TakenProven)
		if !strings.HasPrefix(c.detail, identity.SharedKey) {
			words = append(words, takenClaim+c.key)
		}
	case c.kind == audit.UserChanged && c.key != "" && c.detail == identity.KeyInUse:
		drop(identity.TakenUse + c.key)
	case c.kind == audit.UserChanged && c.detail == identity.NoEnd:
		drop(identity.TakenAfter)
	case c.kind == audit.UserChanged && !c.until.IsZero():
		if drop(identity.TakenAfter) { // a later end is one, too, and older records don't say so
			words = append(words, identity.EndsAfter(c.until))
		}
	}
	return words
}

// said is words for an operator, with what to do about it.
func said(words []string) string {
	var out []string
	var lost bool
	for _, w := range words {
		kind, what := parted(w)
		s := map[string]string{
			identity.TakenAccount: "the account", identity.TakenDisabled: "any login (disabled)", identity.TakenProven: "remembered keys",
			identity.TakenPassphrase: "the passphrase", identity.TakenTemporary: "the temporary passphrase", identity.TakenRecovery: "the recovery codes",
			identity.TakenRealm: "the directory", identity.TakenSMS: "the number for codes", identity.TakenPending: "a pending reset",
			identity.TakenDevice: "an authenticator", identity.TakenKey: "key " + what, identity.TakenUse: "the use of key " + what, identity.TakenAfter: "the time after its end",
			takenClaim: "what was proven by key " + what,
		}[kind]
		lost = lost || kind == identity.TakenPassphrase || kind == identity.TakenDevice
		if kind == identity.TakenKey && what == "" {
			s = "all keys"
		}
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	say := strings.Join(out, ", ")
	if lost {
		say += "; a new start: entry user reset"
	}
	return say
}

// note notes what a change of an account took.
func (r *reconciling) change(e audit.Event) error {
	id, generation := r.names[e.User], int64(0)
	words := lacking[e.Type]
	if c := e.Change; c != nil {
		id, generation, words = c.Account, c.Generation, strings.Fields(c.Taken)
		if generation <= r.applied[id] {
			return nil
		}
		if strings.HasSuffix(c.Taken, "…") {
			return &NotReplayed{Seq: e.Seq, Why: "it doesn't say all that it took away"}
		}
	} else if r.accounts[id].created.After(e.Time) {
		return nil
	}
	if _, ok := r.accounts[id]; !ok {
		return nil // the database never had it, or has it no more
	}
	t := r.takes[id]
	if t == nil {
		t = &taking{of: map[string]int64{}}
		r.takes[id] = t
	}
	c := changeOf(e, generation, words)
	if e.Reason == notApplied {
		t.withdraw(c)
		return nil
	}
	t.generation, t.of[r.node] = max(t.generation, generation), max(t.of[r.node], generation)
	for _, w := range c.taken {
		if !understood(w) {
			return &NotReplayed{Seq: e.Seq, Why: fmt.Sprintf("it took %.60q, which this version of entry doesn't know", w)}
		}
	}
	t.changes = append(t.changes, c)
	return nil
}

// notApplied is the reason of an event whose change wasn't made after all.
const notApplied = "not-applied"

// lacking are the words for records of versions that didn't say what a change
// took: all that it can have taken.
var lacking = map[audit.Type][]string{
	audit.UserDisabled:          {identity.TakenDisabled, identity.TakenProven, identity.TakenTemporary},
	audit.UserEnabled:           {},
	audit.UserRemoved:           {identity.TakenAccount},
	audit.UserReset:             {identity.TakenPassphrase, identity.TakenTemporary, identity.TakenRecovery, identity.TakenDevice, identity.TakenProven, identity.TakenPending},
	audit.UserInvited:           {identity.TakenTemporary, identity.TakenProven},
	audit.PassphraseChanged:     {identity.TakenPassphrase, identity.TakenTemporary},
	audit.AuthenticatorEnrolled: {identity.TakenTemporary, identity.TakenSMS},
	audit.AuthenticatorRemoved:  {identity.TakenDevice},
	audit.RecoveryCreated:       {identity.TakenRecovery},
	audit.KeyAdded:              {},
	audit.KeyRemoved:            {identity.TakenKey},
}
