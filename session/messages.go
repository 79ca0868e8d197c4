package session

import (
	"fmt"

	"entry/audit/plain"
	"entry/session/recording/control"
)

// maxUnread is how many messages wait for a user who takes none.
const maxUnread = 8

// wall is where the messages for the user of one channel are.
type wall struct {
	messages chan string   // nil without a terminal
	listen   <-chan string // messages, nil while none is taken
	shown    chan struct{} // one is
	showing  bool
}

// announce hands a line for the user to every terminal that has room for it.
func (r *relay) announce(text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for t := range r.terminals {
		select {
		case t <- text:
		default: // maxUnread are waiting already
		}
	}
}

// shareWarning is how much of a share is used, in percent, when users are told that
// their session will end.
const shareWarning = 80

// warnOfShare tells, once, of the end of a session that wants everything kept.
func (r *relay) warnOfShare() {
	if !r.complete || r.o.Share == nil {
		return
	}
	used := r.o.Share.Used()
	r.mu.Lock()
	tell := used >= shareWarning && !r.warned
	r.warned = r.warned || tell
	r.mu.Unlock()
	if tell {
		r.announce(fmt.Sprintf("%d %% of what may be recorded of you today is used; all of it has to be on %s, so this session ends at 100 %%", used, r.target))
	}
}

// hear has s take messages from now on, if it has a terminal and a program.
func (s *sessionChannel) hear() {
	if s.payload != terminalPayload {
		return
	}
	s.wall.messages = make(chan string, maxUnread)
	s.wall.listen = s.wall.messages
	s.r.mu.Lock()
	s.r.terminals[s.wall.messages] = struct{}{}
	s.r.mu.Unlock()
}

// deafen undoes hear.
func (s *sessionChannel) deafen() {
	s.wall.listen = nil
	s.r.mu.Lock()
	delete(s.r.terminals, s.wall.messages)
	s.r.mu.Unlock()
}

// lines is where entry's own lines go beside a program.
func (s *sessionChannel) lines() *outlet {
	if control.Asked(s.content.command) {
		return s.stderr
	}
	return s.stdout
}

// show shows text. A user who takes nothing makes it wait, so it runs beside
// own, one at a time.
func (s *sessionChannel) show(text string) {
	s.wall.listen, s.wall.showing = nil, true
	s.r.group.Go("message to a terminal", func() {
		defer func() { s.wall.shown <- struct{}{} }()
		s.lines().show([]byte("\r\n" + s.line("entry: "+plain.OneLine(text, maxText))))
	})
}
