package admin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"

	"go.uber.org/zap"

	"entry/audit"
	"entry/bastion/access"
	"entry/policy"
)

// mostEnded is what part of the live sessions, in percent, a reload by signal
// may end: a slip in a file shouldn't throw everybody out. entry policy apply
// asks first.
const mostEnded = 10

// errBadFiles is wrapped by what operators read about files that can't be put
// in force.
var errBadFiles = errors.New("the last good one stays in force")

// BadConfig is the error of a Policies' Load where the configuration is to
// blame, and not the policy.
type BadConfig struct{ Err error }

func (e *BadConfig) Error() string { return e.Err.Error() }
func (e *BadConfig) Unwrap() error { return e.Err }

// Policies reads the policy files of a running server and puts them in force.
// It implements PolicyControl and is safe for concurrent use. All fields are
// required.
type Policies struct {
	// Load reads and tests the files, and the configuration for where they are.
	// Its error is for operators, a *BadConfig where that can't be read.
	Load   func() (*policy.Policy, error)
	Gate   *access.Gate
	Events Events
	Log    *zap.Logger

	// mu is held from reading the files to putting them in force, so that of two
	// reloads at once the older one can't come last.
	mu sync.Mutex
}

// load is Load. Files that can't be put in force are an event.
func (s *Policies) load(ctx context.Context) (*policy.Policy, error) {
	p, err := s.Load()
	var config *BadConfig
	switch {
	case errors.As(err, &config):
		return nil, s.refuse(ctx, audit.ConfigRefused, "configuration", err)
	case err != nil:
		return nil, s.refuse(ctx, audit.PolicyRefused, "policy", err)
	}
	if found := p.Unenforceable(); len(found) > 0 {
		return nil, s.refuse(ctx, audit.PolicyRefused, "policy", found)
	}
	return p, nil
}

// refuse says in both logs that what was read isn't put in force.
func (s *Policies) refuse(ctx context.Context, t audit.Type, what string, err error) error {
	s.Log.Error(what+" refused; the last good one stays in force", zap.Error(err))
	e := audit.ByActor(ctx, audit.Event{Type: t, Policy: s.Gate.Policy().Hash(), Detail: fmt.Sprintf("the %s was refused; %v", what, errBadFiles)})
	status := http.StatusBadRequest
	if policy.OnlyTests(err) {
		status = http.StatusUnprocessableEntity
	}
	return errors.Join(&Error{Status: status, Text: err.Error()}, s.Events.Append(ctx, e))
}

// put puts p in force: first in the log, with who did it, then for everybody.
func (s *Policies) put(ctx context.Context, p *policy.Policy) error {
	if err := s.Events.Append(ctx, audit.ByActor(ctx, audit.Event{Type: audit.PolicyLoaded, Policy: p.Hash()})); err != nil {
		return err
	}
	s.Gate.SetPolicy(p)
	s.Log.Info("policy loaded", zap.String("hash", p.Hash()))
	return nil
}

// Reload is what a signal does: nobody is there to be asked, so it refuses what
// would end more than a tenth of the live sessions. Whatever is wrong is logged
// and audited; the last good policy stays.
func (s *Policies) Reload(ctx context.Context) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, err := s.load(ctx)
	if err != nil {
		return
	}
	if ends, all := s.Gate.WouldEnd(p); len(ends)*100 > all*mostEnded {
		err = s.refuse(ctx, audit.PolicyRefused, "policy", fmt.Errorf("it would end %d of %d live sessions; entry policy apply names them and asks", len(ends), all))
	} else {
		err = s.put(ctx, p)
	}
	if err != nil {
		s.Log.Error("reload", zap.Error(err))
	}
}

// Preview implements PolicyControl.
func (s *Policies) Preview(ctx context.Context) (PolicyPreview, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, err := s.load(ctx)
	if err != nil {
		return PolicyPreview{}, err
	}
	now := s.Gate.Policy()
	v := PolicyPreview{Hash: p.Hash(), InForce: now.Hash(), Warnings: []string{}, NewHosts: p.NewHostPatterns(now)}
	for _, w := range p.Warnings() {
		v.Warnings = append(v.Warnings, w.Error())
	}
	v.Ends, v.Live = s.Gate.WouldEnd(p)
	return v, nil
}

// Apply implements PolicyControl.
func (s *Policies) Apply(ctx context.Context, hash string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, err := s.load(ctx)
	if err != nil {
		return err
	}
	if p.Hash() != hash {
		return &Error{Status: http.StatusConflict, Text: "the policy files were changed meanwhile; look again"}
	}
	return s.put(ctx, p)
}
