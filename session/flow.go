package session

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"entry/audit"
	"entry/audit/refusal"
	"entry/policy"
	"entry/session/group"
	"entry/session/recording"
)

// flow is what every byte passes: of one session, or of one connection to a
// target that isn't SSH. It knows what the bytes rest on (grants, budgets), what
// counts and times them, and how all of it ends. All goroutines are its group's.
type flow struct {
	o      Options
	meter  meter
	target string // full name, for texts

	repeats audit.Repeats // refusals
	facts   facts         // that are recorded
	files   files         // that were moved

	group  *group.Group    // its cause is why the flow ends
	ending <-chan struct{} // closed once there is one: everything stops

	mu       sync.Mutex // guards what follows; never held across I/O
	rechecks uint64     // so far
	due      bool       // one more is to begin
	asking   bool       // one is running
	leases   map[*lease]struct{}
	coverage recording.Coverage          // the least of the channels that are over
	withdraw func(policy.Grant) []broken // of what else was granted, what a grant lacks; nil is nothing; mu is held
}

// newFlow makes a flow and asks for the grant that it runs under as a whole.
// It doesn't end with ctx, at which its owner looks as long as the client is
// there: what a client that leaves has sent is still delivered, though the
// context of its connection ends with it. The error is why the flow has ended
// already.
func newFlow(ctx context.Context, o Options) (*flow, policy.Grant, error) {
	f := &flow{o: o, leases: map[*lease]struct{}{}}
	f.meter.start = time.Now()
	f.meter.may[towardsClient].budget, f.meter.may[towardsTarget].budget = o.BudgetDown, o.BudgetUp
	f.group = group.New(context.WithoutCancel(ctx), nil)
	f.ending = f.group.Context().Done()
	err := f.o.fill()
	var g policy.Grant
	if err == nil {
		if g, err = f.decide(); err != nil {
			err = &refusal.Error{Text: refusal.Of(err).Text, Code: refusal.Denied, Cause: err}
		}
	}
	if err != nil {
		f.end(err)
		return f, g, err
	}
	f.target = g.Target().FullName()
	return f, g, nil
}

var (
	errUnrecorded = &refusal.Error{Code: "not-recorded", Text: "recording is required but isn't running; reconnect to start one"}
	errRecorder   = errors.New("the recorder gave up without a reason")
)

// decide asks policy anew. A grant that wants a recording is none without one.
func (f *flow) decide() (policy.Grant, error) { return f.granted(f.o.Decide) }

func (f *flow) granted(by func() (policy.Grant, error)) (policy.Grant, error) {
	g, err := by()
	switch {
	case err != nil:
		return policy.Grant{}, err
	case !g.Valid():
		return policy.Grant{}, &policy.Denied{}
	case g.Record() != policy.Metadata && f.o.Recorder == nil:
		return policy.Grant{}, errUnrecorded
	}
	return g, nil
}

// end ends the flow; the first cause counts.
func (f *flow) end(err error) { f.group.Cancel(err) }

// over reports whether everything is to stop.
func (f *flow) over() bool {
	select {
	case <-f.ending:
		return true
	default:
		return false
	}
}

// cause is why the flow ends, once it does.
func (f *flow) cause() *refusal.Error {
	err := context.Cause(f.group.Context())
	var why *refusal.Error
	var panicked *group.Panic
	switch {
	case errors.As(err, &panicked):
		return &refusal.Error{Text: "internal error", Code: refusal.Internal, Cause: panicked}
	case errors.As(err, &why):
		return why
	}
	return &refusal.Error{Text: "the session was ended", Code: refusal.Cancelled, Cause: err}
}

// result is what the flow came to: nil unless it was ended from here.
func (f *flow) result() error {
	if !f.over() {
		return nil
	}
	return f.cause()
}

// event appends e; without it being durable nothing goes on.
func (f *flow) event(e audit.Event) bool {
	if err := f.o.Event(e); err != nil {
		f.end(&refusal.Error{Text: "the audit log can't be written", Code: refusal.Audit, Cause: fmt.Errorf("append %s: %w", e.Type, err)})
		return false
	}
	return true
}

// unrecorded ends the flow because a frame could not be kept.
func (f *flow) unrecorded(err error) {
	first := !f.over()
	if err == nil {
		err = errRecorder
	}
	why := &refusal.Error{Text: "the recording can't go on", Code: refusal.Recording, Cause: fmt.Errorf("record: %w", err)}
	if told := (*refusal.Error)(nil); errors.As(err, &told) {
		why.Text, why.Code = told.Text, told.Code
	}
	f.end(why)
	if first {
		f.event(audit.Event{Type: audit.RecordingFailed, Reason: why.Code.String()})
	}
}

// unrecordable is closed once the recorder can't go on.
func (f *flow) unrecordable() <-chan struct{} {
	if f.o.Recorder == nil {
		return nil
	}
	return f.o.Recorder.Failed()
}

// untaken ends the flow for what its recording couldn't take.
func (f *flow) untaken(err error) {
	switch {
	case errors.Is(err, errShare):
		f.end(&refusal.Error{Code: "recording-share", Text: "everything on " + f.target + " has to be recorded, and your share of recordings for today is used up; go on tomorrow, or ask your lab's administrator"})
	case errors.Is(err, errBulk):
		f.end(&refusal.Error{Code: "recording-bulk", Text: "a program on " + f.target + " printed more than is recorded without a terminal; transfer files by sftp, or ask your lab's administrator"})
	default:
		f.unrecorded(err)
	}
}
