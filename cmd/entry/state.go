package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"entry/audit"
	"entry/bastion/admin"
	"entry/bastion/gateway"
	"entry/bastion/identity"
	"entry/bastion/store"
	"entry/configs"
)

// maxKeyFile bounds the small files that hold a key.
const maxKeyFile = 64 << 10 // bytes

// secretSize is the length of the secret from which identity derives its keys.
const secretSize = 32 // bytes

// state is what the running server and an operator's verb without a server
// both need: the audit log, of which they are then the one writer, and the
// accounts.
type state struct {
	log     *audit.Log
	store   *store.Store
	auth    *identity.Authenticator
	notices *gateway.Notices // nil where nobody is told
	settled bool
}

// openState takes the writer's lock. It returns audit.ErrLocked while another
// process holds it. tell hears, in words and with the cause, of notices to users
// that got lost.
func openState(cfg *configs.Config, tell func(string, error)) (_ *state, err error) {
	key, err := readKeyText(cfg.Audit.Key)
	if err != nil {
		return nil, err
	}
	secret, err := readSecret(cfg.Keys.Secret)
	if err != nil {
		return nil, err
	}
	realms, err := openRealms(cfg)
	if err != nil {
		return nil, err
	}
	texter, err := openTexter(cfg)
	if err != nil {
		return nil, err
	}
	s := &state{}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	if s.log, err = audit.Open(cfg.Audit.Directory, audit.Options{Key: key, Witness: cfg.Audit.Witness}); err != nil {
		return nil, fmt.Errorf("open audit log: %w", err)
	}
	if s.store, err = store.OpenSQLite(cfg.Database.SQLite, time.Now); err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	if s.notices, err = openNotices(cfg, s.log, tell); err != nil {
		return nil, err
	}
	s.auth, err = identity.New(identity.Options{
		Config: cfg, Store: s.store, Events: s.log.Append, Secret: secret, Realms: realms, Texter: texter, Notify: notifier(s.notices),
		Panicked: func(err error) { tell("a login was given up", err) },
	})
	return s, err
}

// settle waits for codes that are being sent and delivers the notices that still
// wait, or says that they are lost. It comes after the last change and before
// the log closes; only the first call does anything.
func (s *state) settle() error {
	if s.auth == nil || s.settled {
		return nil
	}
	s.settled = true
	ctx, cancel := context.WithTimeoutCause(context.Background(), noticesLast, errors.New("they took too long"))
	defer cancel()
	err := s.auth.Close(ctx)
	if s.notices != nil {
		err = errors.Join(err, s.notices.Close(ctx))
	}
	return err
}

// Close ends what is open, the log last.
func (s *state) Close() error {
	errs := []error{s.settle()}
	if s.store != nil {
		errs = append(errs, s.store.Close())
	}
	if s.log != nil {
		errs = append(errs, s.log.Close())
	}
	return errors.Join(errs...)
}

// self is this process as an actor.
func self(ctx context.Context) context.Context {
	return audit.WithActor(ctx, admin.Process(uint32(os.Geteuid()), int32(os.Getpid())))
}

// readKeyText reads a key in its text form.
func readKeyText(path string) (string, error) {
	b, err := readSmall(path)
	return strings.TrimSpace(string(b)), err
}

// readSecret reads a secret file, which nobody but its owner may read.
func readSecret(path string) ([]byte, error) {
	b, err := readSmall(path)
	if err != nil {
		return nil, err
	}
	if len(b) != secretSize {
		return nil, fmt.Errorf("secret %s: has %d bytes, not %d; restore it from your backup", path, len(b), secretSize)
	}
	fi, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if fi.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("secret %s: others may read it; chmod 600 it", path)
	}
	return b, nil
}

func readSmall(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxKeyFile+1))
	if err == nil && len(b) > maxKeyFile {
		err = fmt.Errorf("%s: too large for a key", path)
	}
	return b, err
}
