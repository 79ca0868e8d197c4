package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"go.uber.org/zap"

	"entry/audit"
	"entry/bastion/admin"
	"entry/configs"
	"entry/policy"
)

// mostEnded is what part of the live sessions, in percent, a SIGHUP may end: a
// slip in a file shouldn't throw everybody out. entry policy apply asks first.
const mostEnded = 10

// errBadFiles is wrapped by what operators read about files that can't be put
// in force.
var errBadFiles = errors.New("the last good one stays in force")

// readPolicy reads the policy files, and entry.yaml for where they are. What
// else changed in entry.yaml waits for a restart. A bad one is an event.
func (s *server) readPolicy(ctx context.Context) (*policy.Policy, error) {
	cfg, err := configs.Load(s.cfg.Path)
	if err != nil {
		return nil, s.refuse(ctx, audit.ConfigRefused, "configuration", err)
	}
	p, err := loadPolicy(cfg)
	if err == nil {
		_, err = loadKeys(s.cfg, p)
	}
	if err != nil {
		return nil, s.refuse(ctx, audit.PolicyRefused, "policy", err)
	}
	return p, nil
}

// refuse says in both logs that what was read isn't put in force.
func (s *server) refuse(ctx context.Context, t audit.Type, what string, err error) error {
	s.log.Error(what+" refused; the last good one stays in force", zap.Error(err))
	e := audit.ByActor(ctx, audit.Event{Type: t, Policy: s.bastion.Access().Policy().Hash(), Detail: fmt.Sprintf("the %s was refused; %v", what, errBadFiles)})
	return errors.Join(&admin.Error{Status: http.StatusBadRequest, Text: err.Error()}, s.state.log.Append(ctx, e))
}

// put puts p in force: first in the log, with who did it, then for everybody.
func (s *server) put(ctx context.Context, p *policy.Policy) error {
	if err := s.state.log.Append(ctx, audit.ByActor(ctx, audit.Event{Type: audit.PolicyLoaded, Policy: p.Hash()})); err != nil {
		return err
	}
	s.bastion.Access().SetPolicy(p)
	s.log.Info("policy loaded", zap.String("hash", p.Hash()))
	return nil
}

// hangup answers SIGHUP. Whatever is wrong is logged and audited; the last good
// policy stays.
func (s *server) hangup(ctx context.Context) {
	s.reloading.Lock()
	defer s.reloading.Unlock()
	ctx = self(ctx)
	p, err := s.readPolicy(ctx)
	if err != nil {
		return
	}
	if ends, all := s.bastion.Access().WouldEnd(p); len(ends)*100 > all*mostEnded {
		err = s.refuse(ctx, audit.PolicyRefused, "policy", fmt.Errorf("it would end %d of %d live sessions; entry policy apply names them and asks", len(ends), all))
	} else {
		err = s.put(ctx, p)
	}
	if err != nil {
		s.log.Error("reload", zap.Error(err))
	}
}

// Preview implements admin.PolicyControl.
func (s *server) Preview(ctx context.Context) (admin.PolicyPreview, error) {
	s.reloading.Lock()
	defer s.reloading.Unlock()
	p, err := s.readPolicy(ctx)
	if err != nil {
		return admin.PolicyPreview{}, err
	}
	v := admin.PolicyPreview{Hash: p.Hash(), InForce: s.bastion.Access().Policy().Hash(), Warnings: []string{}}
	for _, w := range p.Warnings() {
		v.Warnings = append(v.Warnings, w.Error())
	}
	v.Ends, v.Live = s.bastion.Access().WouldEnd(p)
	return v, nil
}

// Apply implements admin.PolicyControl.
func (s *server) Apply(ctx context.Context, hash string) error {
	s.reloading.Lock()
	defer s.reloading.Unlock()
	p, err := s.readPolicy(ctx)
	if err != nil {
		return err
	}
	if p.Hash() != hash {
		return &admin.Error{Status: http.StatusConflict, Text: "the policy files were changed meanwhile; look again"}
	}
	return s.put(ctx, p)
}
