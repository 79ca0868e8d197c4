//go:build linux

package site

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"go.uber.org/zap"

	"entry/audit"
	"entry/audit/evidence"
	"entry/bastion/admin"
	"entry/bastion/identity"
	"entry/bastion/store"
	"entry/configs"
	"entry/policy"
)

// ErrUnasked says that the accounts can't be asked for now, though nothing is wrong.
var ErrUnasked = errors.New("try again when a server runs")

// Look reaches the running server that cfg describes. Where none runs it refuses
// what a start would refuse of the log and the database, with the same error, and
// answers questions from them itself, as they would be after a start: it changes
// nothing. The client is nil where there are no accounts yet, and the error wraps
// ErrUnasked where they can't be asked for now. warnings are what a start would say of a
// database that is older than the log, and of logs that one which was put back hasn't
// been held against.
func Look(ctx context.Context, cfg *configs.Config) (c *admin.Client, warnings []string, err error) {
	if c, err = reach(cfg); c != nil || err != nil {
		return c, nil, err
	}
	if err := checkOutside(cfg); err != nil {
		return nil, nil, err
	}
	s, err := still(ctx, cfg)
	if s == nil || err != nil {
		return nil, nil, err
	}
	for _, line := range s.would {
		warnings = append(warnings, "the next start raises an ALARM: "+line)
	}
	warnings = append(warnings, s.unread...)
	terms, err := readTerms(cfg.Login.Terms)
	if err != nil {
		return nil, nil, errors.Join(err, s.close())
	}
	secrets, err := readSecrets(cfg)
	if err != nil {
		return nil, nil, errors.Join(err, s.close())
	}
	auth, err := identity.New(identity.Options{Config: cfg, Store: s.accounts, Events: s.log.Append, Secrets: secrets, Terms: terms})
	if err != nil {
		return nil, nil, errors.Join(err, s.close())
	}
	p, _ := policy.Load(cfg.Policy) // whoever needs one has loaded it first
	keys := &rotations{cfg: cfg, auth: auth, policy: func() *policy.Policy { return p }}
	return admin.InProcess(&admin.Server{Auth: auth, Events: s.log, Holds: s.accounts, Erasures: s.accounts, Rotations: keys,
		Retention: retention(cfg, s.log, s.accounts, new(evidence.Orders)), Log: zap.NewNop(), Policy: p, History: newest(cfg)}, s.close), warnings, nil
}

// stillness is the log, only looked at, and the database as a start would leave it, with
// what it would say.
type stillness struct {
	log           *audit.Still
	accounts      *store.Store
	would, unread []string
}

func (s *stillness) close() error { return errors.Join(s.accounts.Close(), s.log.Close()) }

// still opens them as a start would; nil where there is no database yet.
func still(ctx context.Context, cfg *configs.Config) (*stillness, error) {
	if err := logCutOff(cfg); err != nil {
		return nil, err
	}
	options, err := logOptions(cfg)
	if err != nil {
		return nil, err
	}
	log, err := audit.Inspect(cfg.Audit.Directory, options)
	if errors.Is(err, audit.ErrLocked) {
		return nil, fmt.Errorf("%w: %w", audit.ErrLocked, ErrUnasked)
	}
	if err != nil {
		return nil, unopened(cfg, err)
	}
	accounts, err := store.Look(ctx, cfg.Database.SQLite)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, log.Close()
	case errors.Is(err, store.ErrOlder):
		return nil, errors.Join(fmt.Errorf("%w: %w", err, ErrUnasked), log.Close())
	case err != nil:
		return nil, errors.Join(unreadable(err), log.Close())
	}
	s := &stillness{log: log}
	s.accounts, s.would, s.unread, err = accounts.Rehearse(ctx, log, time.Now())
	if err = errors.Join(unreconciled(err), accounts.Close()); err != nil {
		return nil, errors.Join(err, log.Close())
	}
	return s, nil
}
