package session

import (
	"entry/audit"
	"entry/audit/plain"
	"entry/session/fastconn"
	"entry/session/recording"
)

// begin starts the streams of a program that the target has accepted.
func (s *sessionChannel) begin() {
	r := s.r
	s.begun, s.running, s.out = true, 3, 2
	answers := s.answers()
	newTap := func(k recording.Kind) *tap {
		t := newTap(&r.o, s.grant, k, *s.id, s.content, s.payload, &s.omits)
		if t != nil {
			t.cut, t.mask = s.digested, answers
		}
		return t
	}
	most := fastconn.BulkChunk
	if s.payload == terminalPayload {
		most = fastconn.MiddleChunk
	}
	s.stdout.tap, s.stdout.screen = newTap(recording.Output), s.payload == terminalPayload
	s.stderr.tap = newTap(recording.Error)
	sent := newTap(recording.Input)
	if answers != nil && sent != nil {
		answers.in = sent
		if s.grant.RecordInput() {
			answers.panes = newPanes(sent)
		}
	}
	input := r.newOutlet(s.up, sent)
	s.content.terminal, s.content.grant, s.content.flow = s.pty, s.grant, r.flow
	s.content.about = audit.Event{Channel: s.id, ChannelType: s.content.channel}
	dec := r.o.decoder(s.content)
	s.moving, _ = dec.(*moving)
	if s.moving != nil {
		s.moving.beside = func(line string) { s.stderr.show([]byte(s.line(plain.OneLine(line, maxText)))) }
	}
	hook := r.newHook(dec, s.grant, s.content.about, s.lease, s.stdout, input)
	s.hook = hook
	s.hear()
	stream := func(which stream, name string, f func()) {
		r.group.Go(name, func() {
			defer func() { s.copied <- which }()
			f()
		})
	}
	stream(inputStream, "input of a program", func() {
		_ = r.copy(&course{to: towardsTarget, src: s.early, dst: input, most: most, lease: s.lease, count: &s.bytesUp, hook: hook})
		_ = s.up.CloseWrite() // the target may have closed the channel
		r.drop(s.early)
	})
	stream(outputStream, "output of a program", func() {
		defer r.drop(s.up)
		if s.pty && r.o.Notice != "" && s.lines().put([]byte(r.o.Notice+"\r\n")) != nil {
			return
		}
		_ = r.copy(&course{to: towardsClient, src: s.up, dst: s.stdout, most: most, lease: s.lease, count: &s.bytesDown, hook: hook})
	})
	stream(errorStream, "error output of a program", func() {
		defer r.drop(s.up.Stderr())
		_ = r.copy(&course{to: towardsClient, src: s.errors(), dst: s.stderr, most: most, lease: s.lease, count: &s.bytesDown})
	})
}

// digested tells, once a session, that what a terminal shows isn't all kept: its
// recording may lack what its user did.
func (s *sessionChannel) digested() {
	s.r.digested.Do(func() {
		e := audit.Event{Type: audit.AlarmDigested, Channel: s.id, ChannelType: "session", Reason: "share",
			Detail: "beyond the user's share output of a terminal came faster than anybody reads, or as much again was kept today: the recording has a digest of it only"}
		s.lease.fill(&e)
		s.r.event(e)
	})
}

// finish notes, once, that the channel is over.
func (s *sessionChannel) finish() { s.noted.Do(s.note) }

func (s *sessionChannel) note() {
	r, down, up := s.r, s.bytesDown.Load(), s.bytesUp.Load()
	s.moved()
	coverage, missing := s.coverage()
	beside := int64(0)
	if s.content.now != nil {
		beside = s.content.now.said.bytes.Load()
	}
	e := audit.Event{Type: audit.ChannelClosed, Channel: s.id, ChannelType: "session", BytesDown: down, BytesUp: up, BytesBeside: beside, Exit: s.exit.status}
	e.Coverage, e.Missing = r.covered(coverage, missing)
	s.lease.fill(&e)
	r.event(e)
	r.frame(s.grant, recording.Request, *s.id, recording.ChannelRequest{Type: "channel-close", Name: "session", BytesDown: down, BytesUp: up, BytesBeside: beside, Coverage: coverage, Missing: missing})
	if s.exit.status != nil {
		r.mu.Lock()
		r.exit = s.exit.status
		r.mu.Unlock()
	}
}
