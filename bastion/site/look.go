//go:build linux

package site

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"go.uber.org/zap"

	"entry/audit"
	"entry/bastion/admin"
	"entry/bastion/identity"
	"entry/bastion/store"
	"entry/configs"
)

// ErrUnasked says that the accounts can't be asked for now, though nothing is wrong.
var ErrUnasked = errors.New("try again when a server runs")

// Look reaches the running server that cfg describes. Where none runs it refuses
// what a start would refuse of the log and the database, with the same error, and
// answers questions from them itself: it changes nothing. The client is nil where
// there are no accounts yet, and the error wraps ErrUnasked where they can't be asked
// for now.
func Look(ctx context.Context, cfg *configs.Config) (*admin.Client, error) {
	c, err := reach(cfg)
	if c != nil || err != nil {
		return c, err
	}
	if err := logCutOff(cfg); err != nil {
		return nil, err
	}
	key, err := audit.ReadKey(cfg.Audit.Key)
	if err != nil {
		return nil, err
	}
	secret, err := readSecret(cfg.Keys.Secret)
	if err != nil {
		return nil, err
	}
	log, err := audit.Inspect(cfg.Audit.Directory, audit.Options{Key: key, Witness: cfg.Audit.Witness})
	if errors.Is(err, audit.ErrLocked) {
		return nil, fmt.Errorf("another process is writing the audit log: %w", ErrUnasked)
	}
	if err != nil {
		return nil, unopened(err)
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
	closing := func() error { return errors.Join(accounts.Close(), log.Close()) }
	if err := accounts.Agrees(ctx, log); err != nil {
		return nil, errors.Join(unreconciled(err), closing())
	}
	auth, err := identity.New(identity.Options{Config: cfg, Store: accounts, Events: log.Append, Secret: secret})
	if err != nil {
		return nil, errors.Join(err, closing())
	}
	return admin.InProcess(&admin.Server{Auth: auth, Events: log, Log: zap.NewNop(), History: newest(cfg)}, closing), nil
}
