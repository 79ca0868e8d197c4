//go:build linux

package site

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"entry/audit"
	"entry/audit/names"
	"entry/audit/plain"
	"entry/bastion/admin"
	"entry/bastion/ca"
	"entry/bastion/identity"
	"entry/bastion/identity/secret"
	"entry/bastion/store"
	"entry/configs"
	"entry/policy"
)

// rotations change the keys of a running server, or of one that doesn't run. It implements
// admin.Rotations. Each change is in the log before anything else of it is done, and each
// step can be cut off: the same operation, or the next start, goes on.
type rotations struct {
	cfg    *configs.Config
	log    *audit.Log // nil where only questions are answered
	store  *store.Store
	policy func() *policy.Policy // in force; nil where there is none
	live   *ca.UserCA            // the server's; nil where none runs
	host   *ca.HostCA            // likewise
	auth   *identity.Authenticator

	mu sync.Mutex // one step at a time; witnesses may be asked with it

	seenMu sync.Mutex // guards what follows; a user's connection waits for it, so it is held shortly, and after mu
	seen   *takenCAs  // nil before it was asked for
}

func conflict(format string, args ...any) error {
	return &admin.Error{Status: http.StatusConflict, Text: fmt.Sprintf(format, args...)}
}

// rotating is what one key needs to be changed.
type rotating interface {
	state(ctx context.Context) (admin.Rotation, error)
	begin(ctx context.Context, how admin.RotateHow) error
	finish(ctx context.Context, how admin.RotateHow) error
	abort(ctx context.Context, how admin.RotateHow) error
}

func (r *rotations) of(what string) rotating {
	switch what {
	case "audit":
		return &logRotation{r}
	case "host-ca":
		return &hostCARotation{r}
	case "secret":
		return &secretRotation{r}
	}
	return &userCARotation{r}
}

// Rotation implements admin.Rotations.
func (r *rotations) Rotation(ctx context.Context, what string) (admin.Rotation, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.of(what).state(ctx)
}

// Begin implements admin.Rotations.
func (r *rotations) Begin(ctx context.Context, what string, how admin.RotateHow) (admin.Rotation, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	k := r.of(what)
	s, err := k.state(ctx)
	if err != nil || s.Begun != nil {
		return s, err
	}
	if err := k.begin(ctx, how); err != nil {
		return s, err
	}
	return k.state(ctx)
}

// Finish implements admin.Rotations.
func (r *rotations) Finish(ctx context.Context, what string, how admin.RotateHow) (admin.Rotation, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	k := r.of(what)
	s, err := k.state(ctx)
	if err == nil && s.Begun == nil {
		err = conflict("there is no next key of %s; entry keys rotate %s makes one", what, what)
	}
	if err == nil {
		err = k.finish(ctx, how)
	}
	if err != nil {
		return s, err
	}
	s, err = k.state(ctx)
	s.Finished = true
	return s, err
}

// Abort implements admin.Rotations.
func (r *rotations) Abort(ctx context.Context, what string, how admin.RotateHow) (admin.Rotation, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	k := r.of(what)
	s, err := k.state(ctx)
	switch {
	case s.Begun != nil: // also one that can't be used
		err = k.abort(ctx, how)
	case err == nil:
		err = conflict("there is no next key of %s", what)
	}
	if err != nil {
		return s, err
	}
	return k.state(ctx)
}

// announce puts a step on record before it is done.
func (r *rotations) announce(ctx context.Context, t audit.Type, what, key, detail string) error {
	if r.log == nil {
		return errors.New("the audit log is only looked at")
	}
	return r.log.Append(ctx, audit.ByActor(ctx, audit.Event{Type: t, Reason: what, Key: key, Detail: detail}))
}

// distinct refuses keys of which one has two roles, the next ones included.
func (r *rotations) distinct() error {
	p := r.policy()
	if p == nil {
		return nil // a start looks again
	}
	if _, err := loadOwn(r.cfg, p); err != nil {
		return &admin.Error{Status: http.StatusConflict, Text: err.Error()}
	}
	return nil
}

// settleKeys finishes what changes of keys were cut off at.
func settleKeys(cfg *configs.Config) error {
	_, public, err := logKeyFiles(cfg)
	if err == nil && public != cfg.Audit.PublicKey {
		err = placeLogKey(cfg)
	}
	if err != nil {
		return fmt.Errorf("finish the change of the audit log's key: %w", err)
	}
	if err := ca.SettleNext(cfg.Keys.UserCA); err != nil {
		return fmt.Errorf("finish the change of the user CA: %w", err)
	}
	if err := ca.SettleNext(cfg.Keys.HostCA); err != nil {
		return fmt.Errorf("finish the change of the host CA: %w", err)
	}
	return nil
}

// dropFiles removes files, durably, one after the other; "" is none.
func dropFiles(paths ...string) error {
	for _, path := range paths {
		if path == "" {
			continue
		}
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		if err := names.Sync(filepath.Dir(path)); err != nil {
			return err
		}
	}
	return nil
}

// writePublic makes path a file of this text that anybody reads, whole or not at all.
func writePublic(path, text string) error {
	part := path + ".part"
	if err := dropFiles(part); err != nil {
		return err
	}
	return errors.Join(createFile(part, text, 0o644), os.Rename(part, path), names.Sync(filepath.Dir(path)))
}

// rotationWarnings say which changes of keys aren't finished, and since when.
func rotationWarnings(cfg *configs.Config) (out []string) {
	tell := func(what, flag string, since time.Time) {
		out = append(out, fmt.Sprintf("the change of %s was begun at %s and isn't finished: entry keys rotate %s --status says what is missing, --finish and --abort end it", what, plain.Time(since), flag))
	}
	if next, since, err := nextLogKeyOf(cfg); err != nil {
		out = append(out, err.Error())
	} else if next != "" {
		tell("the audit log's key", "audit", since)
	}
	for _, c := range []struct {
		called, flag string
		ca           configs.CA
	}{{"the user CA", "user-ca", cfg.Keys.UserCA}, {"the host CA", "host-ca", cfg.Keys.HostCA}} {
		if _, since, ok, err := ca.Next(c.ca); err != nil {
			out = append(out, "the next key of "+c.called+": "+err.Error())
		} else if ok {
			tell(c.called, c.flag, since)
		}
	}
	if info, err := os.Stat(cfg.Keys.Secret + secret.NextExt); err == nil {
		tell("the secret", "secret", info.ModTime())
	}
	return out
}
