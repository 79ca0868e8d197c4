//go:build linux

package site

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"entry/audit"
	"entry/audit/names"
	"entry/audit/plain"
	"entry/bastion/admin"
	"entry/bastion/identity/secret"
	"entry/configs"
)

// readSecrets reads the secret's files, which nobody but their owner may read.
func readSecrets(cfg *configs.Config) (secret.Secrets, error) {
	return secret.ReadSecrets(cfg.Keys.Secret, func(path string) ([]byte, error) { return configs.ReadSecret(path, secret.MaxFile) })
}

// secretRotation changes the secret by which the database's seeds of authenticators are
// sealed. Those before it stay beside it: unused recovery codes, and hashes in the log, can't
// be made anew, and are good, and found, by them.
type secretRotation struct{ *rotations }

// otherServersFor is how long a server is thought to be still on the database.
const otherServersFor = 90 * 24 * time.Hour

func (k *secretRotation) state(ctx context.Context) (s admin.Rotation, err error) {
	s.What = "secret"
	all, err := readSecrets(k.cfg)
	if err != nil {
		return s, err
	}
	s.Now = secret.Name(all.Now)
	if all.Next == nil {
		return s, nil
	}
	info, err := os.Stat(k.cfg.Keys.Secret + secret.NextExt)
	if err != nil {
		return s, err
	}
	since := info.ModTime()
	s.Begun, s.Next, s.NextPrivate = &since, secret.Name(all.Next), k.cfg.Keys.Secret+secret.NextExt
	if k.store != nil {
		s.Servers, err = k.store.OtherServers(ctx, time.Now().Add(-otherServersFor))
	}
	return s, err
}

func (k *secretRotation) begin(ctx context.Context, how admin.RotateHow) error {
	if how.Next != "" {
		return conflict("the next secret is made here: leave --next out")
	}
	all, err := readSecrets(k.cfg)
	if err != nil {
		return err
	}
	all.Next = secret.New()
	if err := k.announce(ctx, audit.RotationBegun, "secret", secret.Name(all.Next), how.Reason); err != nil {
		return err
	}
	// What it seals has to open before it seals anything.
	if err := k.auth.UseSecrets(all); err != nil {
		return err
	}
	path := k.cfg.Keys.Secret + secret.NextExt
	return errors.Join(WriteSecret(path, string(all.Next)), names.Sync(filepath.Dir(path)))
}

func (k *secretRotation) finish(ctx context.Context, how admin.RotateHow) error {
	s, err := k.state(ctx)
	if err != nil {
		return err
	}
	detail := how.Reason
	if len(s.Servers) > 0 {
		if !how.Force {
			return conflict("other servers are on the database: %s. Copy %s to the same place on each, and reload it (SIGHUP), or nobody logs in there; then finish with --force --reason TEXT, and at each of them", plain.List(s.Servers, 5), s.NextPrivate)
		}
		detail += "; forced, while other servers are on the database: " + plain.List(s.Servers, 5)
	}
	all, err := readSecrets(k.cfg)
	if err != nil {
		return err
	}
	turned := all.Turned()
	if err := k.announce(ctx, audit.RotationFinished, "secret", secret.Name(all.Next), detail); err != nil {
		return err
	}
	// From here on it seals, and the one before still opens: in the files' order too, as a
	// crash would leave them.
	if err := k.auth.UseSecrets(turned); err != nil {
		return err
	}
	if _, err := k.auth.SealAnew(ctx); err != nil {
		return errors.Join(err, k.auth.UseSecrets(all))
	}
	return placeSecret(k.cfg, turned)
}

// placeSecret makes the files those of secrets whose next one has followed. The older ones
// come first: what they sealed opens at any moment.
func placeSecret(cfg *configs.Config, turned secret.Secrets) error {
	path := cfg.Keys.Secret
	var older []byte
	for _, o := range turned.Older {
		older = append(older, o...)
	}
	if err := errors.Join(WriteSecret(path+secret.OlderExt, string(older)), names.Sync(filepath.Dir(path))); err != nil {
		return err
	}
	return errors.Join(os.Rename(path+secret.NextExt, path), names.Sync(filepath.Dir(path)))
}

func (k *secretRotation) abort(ctx context.Context, how admin.RotateHow) error {
	all, err := readSecrets(k.cfg)
	if err != nil {
		return err
	}
	if err := k.announce(ctx, audit.RotationAborted, "secret", secret.Name(all.Next), how.Reason); err != nil {
		return err
	}
	// What a finish that was cut off has sealed by the next one has to open without it.
	if err := k.auth.UseSecrets(all); err != nil {
		return err
	}
	if _, err := k.auth.SealAnew(ctx); err != nil {
		return err
	}
	if err := dropFiles(k.cfg.Keys.Secret + secret.NextExt); err != nil {
		return err
	}
	return k.auth.UseSecrets(all.Dropped())
}

// reloadSecrets reads the secret's files anew, where another server began to change it, or
// those before were taken away.
func (s *Server) reloadSecrets() error {
	all, err := readSecrets(s.cfg)
	if err == nil {
		err = s.state.auth.UseSecrets(all)
	}
	if err != nil {
		return fmt.Errorf("keys.secret: %w", err)
	}
	return nil
}
