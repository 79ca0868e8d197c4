package session

import (
	"entry/audit"
	"entry/policy"
	"entry/session/recording"
)

// coverage is how much of the channel is kept, once it is over.
func (s *sessionChannel) coverage() (recording.Coverage, []recording.Missing) {
	switch {
	case !s.started && s.failed > 0:
		return recording.Refused, nil
	case s.grant.Record() == policy.Metadata:
		return recording.MetadataOf, nil
	case s.payload != transferPayload && s.grant.Record() == policy.Manifest:
		return recording.MetadataOf, nil
	}
	missing := append(s.omits.list(), s.r.facts.missing(*s.id)...)
	if s.moving != nil && s.moving.desyncs.Load() {
		missing = append(missing, recording.Missing{Why: "desync"})
	}
	select {
	case <-s.r.unrecordable():
		missing = append(missing, recording.Missing{Why: "recorder"})
	default:
	}
	switch {
	case !s.answered(missing):
		return recording.Partial, missing
	case s.payload != transferPayload:
		return recording.Recorded, missing
	case s.moving != nil && s.moving.listsFiles:
		return recording.Manifested, nil
	}
	return recording.MetadataOf, nil
}

// answered reports whether nothing is missing but what somebody at a terminal answers
// to password prompts. Without one, what was masked may as well have been commands.
func (s *sessionChannel) answered(missing []recording.Missing) bool {
	return len(missing) == 0 || len(missing) == 1 && missing[0].Why == maskedLines && missing[0].Lines <= maxMasked && s.payload == terminalPayload
}

// moved ends the manifest of a channel that moved files.
func (s *sessionChannel) moved() {
	if s.moving != nil && s.hook != nil {
		s.hook.mu.Lock()
		defer s.hook.mu.Unlock()
		s.moving.finish(s.exit.status)
	}
}

// covered notes the coverage of a channel, and gives it as an event has it.
func (f *flow) covered(c recording.Coverage, missing []recording.Missing) (string, []audit.Missing) {
	f.mu.Lock()
	f.coverage = recording.Least(f.coverage, c)
	f.mu.Unlock()
	var out []audit.Missing
	for _, m := range missing {
		out = append(out, audit.Missing(m))
	}
	return string(c), out
}

// answers is who finds the answers to password prompts in the input, where that is
// recorded.
func (s *sessionChannel) answers() *mask {
	if s.grant.Record() != policy.Full || s.payload == transferPayload || !s.grant.RecordInput() && (s.payload == terminalPayload || !readsScript(s.content)) {
		return nil
	}
	m := &mask{script: s.payload != terminalPayload}
	if answersFirst(s.content.command) {
		m.arm()
	}
	return m
}
