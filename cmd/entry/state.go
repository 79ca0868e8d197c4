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
	"entry/bastion"
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
	log   *audit.Log
	store *store.Store
	auth  *identity.Authenticator
}

// openState takes the writer's lock. It returns audit.ErrLocked while another
// process holds it.
func openState(cfg *configs.Config) (*state, error) {
	key, err := readKeyText(cfg.Audit.Key)
	if err != nil {
		return nil, err
	}
	secret, err := readSecret(cfg.Keys.Secret)
	if err != nil {
		return nil, err
	}
	log, err := audit.Open(cfg.Audit.Directory, audit.Options{Key: key, Witness: cfg.Audit.Witness})
	if err != nil {
		return nil, fmt.Errorf("open audit log: %w", err)
	}
	st, err := store.OpenSQLite(cfg.Database.SQLite, time.Now)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open database: %w", err), log.Close())
	}
	auth, err := identity.New(identity.Options{
		Store: st, Events: log.Append, Secret: secret,
		TempLifetime: cfg.Login.TemporaryPassphrase, Issuer: cfg.Name,
	})
	if err != nil {
		return nil, errors.Join(err, st.Close(), log.Close())
	}
	return &state{log: log, store: st, auth: auth}, nil
}

func (s *state) Close() error { return errors.Join(s.store.Close(), s.log.Close()) }

// self is this process as an actor.
func self(ctx context.Context) context.Context {
	return bastion.WithActor(ctx, bastion.Process(uint32(os.Geteuid()), int32(os.Getpid())))
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
