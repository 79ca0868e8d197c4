package session

import (
	"errors"
	"strings"

	"entry/audit/refusal"
	"entry/policy"
	"entry/session/transfer"
)

// start is something to be run on the target. A subsystem other than sftp
// needs what a command of its name would.
type start struct {
	needs     []policy.Capability
	command   string // "" for the shell
	program   string
	subsystem string
	moves     *transfer.Program // what moves files: it needs the right to, and no exec
	bad       error             // why a command that begins as such isn't one
}

// inTerminal is why what moves files isn't started in a terminal: that changes bytes as
// its client asks (ISTRIP, ICRNL, a line that is taken back), so that the program would
// get others than the decoder saw.
var inTerminal = &refusal.Error{Code: "transfer-terminal", Text: "files don't move through a terminal, which changes what they hold: leave ssh's -t out, or say -o RequestTTY=no"}

// lacks is the first capability that st needs and g doesn't give, 0 if none.
func (st start) lacks(g policy.Grant) policy.Capability {
	if st.moves != nil {
		return st.lacksToMove(g, st.moves.Needs, st.moves.Either)
	}
	if bad := (*transfer.BadCommand)(nil); errors.As(st.bad, &bad) && !g.ListsExec(st.command) {
		// It moves files in a way that can't be followed: for who may do that anyway.
		if c := st.lacksToMove(g, []transfer.Direction{transfer.Upload, transfer.Download}, false); c != 0 {
			return c
		}
	}
	for _, c := range st.needs {
		if !g.Allows(c) || c == policy.Exec && !g.AllowsExec(st.command) {
			return c
		}
	}
	return 0
}

// lacksToMove is the first capability that moving files needs, in one or all of some
// directions, and g doesn't give.
func (st start) lacksToMove(g policy.Grant, needs []transfer.Direction, either bool) (lacks policy.Capability) {
	for _, d := range needs {
		switch no := mayMove(g, st.command, d); {
		case no == nil && either:
			return 0
		case no != nil && lacks == 0:
			lacks = no.Capability
		}
	}
	return lacks
}

// reason is why st isn't started for want of c: what is wrong with a command, where
// that is it, and else what policy says.
func (st start) reason(err error, g policy.Grant, c policy.Capability) *refusal.Error {
	var bad *transfer.BadCommand
	if err == nil && c != policy.Exec && errors.As(st.bad, &bad) {
		return &refusal.Error{Code: "transfer-command", Text: strings.TrimPrefix(bad.Text, "entry: ")}
	}
	return undecidedOr(err, g, c)
}

// restsOn is the capability of g that st is started by.
func (st start) restsOn(g policy.Grant) policy.Capability {
	if st.moves == nil {
		return st.needs[len(st.needs)-1]
	}
	for _, d := range st.moves.Needs {
		if c := toMove(d); g.Allows(c) {
			return c
		}
	}
	return policy.Exec // by a rule that lists the command
}
