package session

import (
	"strings"

	"entry/audit"
	"entry/audit/refusal"
)

// nestedSSH is the decoder of forwards: it looks at how each direction begins.
// An SSH connection inside a forward would be out of sight: an alarm, and where
// recording is required the end of the forward. Whoever disguises the stream
// gets past; what holds is that a full recording admits listed destinations only.
type nestedSSH struct {
	refuse bool
	heads  [2]string // of each direction, as long as they could be a greeting
	noted  bool
}

// greetings are how an SSH peer begins: the second one is a server's that speaks
// older protocols too (RFC 4253 §4.2, §5.1).
var greetings = [...]string{"SSH-2.0-", "SSH-1.99-"}

func (n *nestedSSH) data(to direction, p []byte, r *ruling) error {
	head := n.heads[to] + string(p[:min(len(p), len(greetings[1])-len(n.heads[to]))])
	n.heads[to] = head
	open := false // it may yet become a greeting
	for _, g := range greetings {
		if strings.HasPrefix(head, g) {
			if err := n.found(r); err != nil {
				return err
			}
			open = false
			break
		}
		open = open || strings.HasPrefix(g, head)
	}
	if !open {
		r.Detach()
	}
	r.Pass(p, false)
	return nil
}

func (n *nestedSSH) found(r *ruling) error {
	e := audit.Event{Type: audit.AlarmNestedSSH, Reason: "noticed"}
	if n.refuse {
		e.Reason = "refused"
	}
	if !n.noted { // else the other direction was first
		n.noted = true
		r.Note(e)
	}
	if n.refuse {
		return &refusal.Error{Code: "nested-ssh", Text: "an SSH connection inside a forward can't be recorded"}
	}
	return nil
}

func (n *nestedSSH) end(direction, *ruling) error { return nil }
