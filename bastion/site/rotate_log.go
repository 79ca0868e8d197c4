//go:build linux

package site

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"

	"entry/audit"
	"entry/audit/names"
	"entry/audit/plain"
	"entry/audit/witness"
	"entry/bastion/admin"
	"entry/bastion/ca"
	"entry/configs"
)

// logRotation changes the audit log's key.
type logRotation struct{ *rotations }

// nextLogKey are the files of the key that is to follow on the log's. private is "" where an
// agent has it.
func nextLogKey(cfg *configs.Config) (private, public string) {
	if cfg.Audit.Agent == "" {
		private = cfg.Audit.Key + ".next"
	}
	return private, cfg.Audit.PublicKey + ".next"
}

// nextLogKeyOf is the public key that is to follow on the log's, and since when it is
// there; "" where there is none.
func nextLogKeyOf(cfg *configs.Config) (key string, since time.Time, err error) {
	_, public := nextLogKey(cfg)
	info, err := os.Stat(public)
	if errors.Is(err, os.ErrNotExist) {
		return "", since, nil
	}
	if err == nil {
		key, err = audit.ReadKey(public)
	}
	if err != nil {
		return "", since, fmt.Errorf("the key that is to follow on the audit log's: %w", err)
	}
	return key, info.ModTime(), nil
}

func (l *logRotation) state(ctx context.Context) (s admin.Rotation, err error) {
	s.What = "audit"
	if s.Now, err = audit.ReadKey(l.cfg.Audit.PublicKey); err != nil {
		return s, err
	}
	if keys, err := audit.ReadKeys(l.cfg.Audit.Directory, s.Now); err == nil { // else the log has none, or opening it says more
		for _, k := range keys.Reports(math.MaxUint64) {
			if k.To == s.Now {
				s.Before = k.From
			}
		}
	}
	next, since, err := nextLogKeyOf(l.cfg)
	if err != nil || next == "" {
		return s, err
	}
	s.Begun, s.Next = &since, next
	if s.NextPrivate, s.NextFile = nextLogKey(l.cfg); s.NextPrivate != "" && !exists(s.NextPrivate) {
		s.NextPrivate = ""
	}
	unready, err := l.unready(ctx, s)
	for name, why := range unready {
		if s.Unready == nil {
			s.Unready = map[string]string{}
		}
		if s.Unready[name] = why.Error(); errors.Is(why, witness.ErrRefused) {
			s.Unready[name] = "doesn't know the next key yet"
		}
	}
	return s, err
}

// unready are the witnesses that don't take the next key yet.
func (l *logRotation) unready(ctx context.Context, s admin.Rotation) (map[string]error, error) {
	all, err := peers(l.cfg)
	if err != nil || len(all) == 0 {
		return nil, err
	}
	defer func() {
		for _, p := range all {
			p.Close()
		}
	}()
	o, err := l.options(s.Next)
	if err != nil {
		return nil, err
	}
	signer := note.Signer(o.Signer)
	if o.Signer == nil {
		if signer, err = note.NewSigner(o.Key); err != nil {
			return nil, errors.New("the next key is malformed") // x/mod's error may quote it
		}
	}
	return witness.Unready(ctx, l.cfg.Audit.Directory, s.Now, signer, all)
}

// options are those of the log by its next key.
func (l *logRotation) options(next string) (o audit.Options, err error) {
	if l.cfg.Audit.Agent != "" {
		s, err := ca.OpenLogSigner(l.cfg.Audit.Agent, next)
		if err != nil {
			return o, conflict("%v", err)
		}
		o.Signer = s
		return o, nil
	}
	private, _ := nextLogKey(l.cfg)
	if o.Key, err = audit.ReadKey(private); err != nil {
		return o, err
	}
	if public, err := audit.PublicOf(o.Key); err != nil || public != next {
		return o, conflict("%s and %s.next aren't the two halves of one key; entry keys rotate audit --abort takes them away", private, l.cfg.Audit.PublicKey)
	}
	return o, nil
}

func (l *logRotation) begin(ctx context.Context, how admin.RotateHow) error {
	now, err := audit.ReadKey(l.cfg.Audit.PublicKey)
	if err != nil {
		return err
	}
	origin, _, _ := strings.Cut(now, "+")
	var signer, public string
	switch {
	case l.cfg.Audit.Agent == "" && how.Next != "":
		return conflict("the log's key is in a file, and so is the next one: leave --next out")
	case l.cfg.Audit.Agent == "":
		signer, public, err = audit.GenerateKey(origin)
	case how.Next == "":
		return conflict("the log's key is in an agent: make the next one there (ssh-keygen -t ed25519, ssh-add), and name its public half: --next FILE.pub")
	default:
		if public, err = ca.NoteVerifier(origin, how.Next); err != nil {
			return &admin.Error{Status: http.StatusBadRequest, Text: err.Error()}
		}
		_, err = l.options(public) // asks the agent
	}
	if err != nil {
		return err
	}
	if err := l.announce(ctx, audit.RotationBegun, "audit", keyName(public), how.Reason); err != nil {
		return err
	}
	private, file := nextLogKey(l.cfg)
	if private != "" {
		if err := WriteSecret(private, signer+"\n"); err != nil {
			return err
		}
		if err := names.Sync(filepath.Dir(private)); err != nil {
			return err
		}
	}
	return writePublic(file, public+"\n")
}

func (l *logRotation) finish(ctx context.Context, how admin.RotateHow) error {
	s, err := l.state(ctx)
	if err != nil {
		return err
	}
	if l.log == nil {
		return errors.New("the audit log is only looked at")
	}
	detail := how.Reason
	if len(s.Unready) > 0 {
		var list []string
		for name, why := range s.Unready {
			list = append(list, name+" ("+why+")")
		}
		slices.Sort(list)
		if !how.Force {
			return conflict("these witnesses don't take the next key yet: %s. Give their operators %s, or finish all the same with --force --reason TEXT: nobody vouches for the log until they know it", plain.List(list, 5), s.NextFile)
		}
		detail += "; forced, though these witnesses don't take the key yet: " + plain.List(list, 5)
	}
	o, err := l.options(s.Next)
	if err != nil {
		return err
	}
	e := audit.ByActor(ctx, audit.Event{Detail: detail})
	if err := l.log.ChangeKey(ctx, o, e); err != nil && l.log.KeyName() != keyName(s.Next) {
		if errors.Is(err, audit.ErrKey) {
			return conflict("the next key can't follow on the log's: %v", err)
		}
		return err
	}
	if err := l.store.NoteKey(ctx, l.log.KeyName()); err != nil {
		return err
	}
	return placeLogKey(l.cfg)
}

func (l *logRotation) abort(ctx context.Context, how admin.RotateHow) error {
	next, _, err := nextLogKeyOf(l.cfg)
	if err != nil {
		return err
	}
	if err := l.announce(ctx, audit.RotationAborted, "audit", keyName(next), how.Reason); err != nil {
		return err
	}
	private, public := nextLogKey(l.cfg)
	return dropFiles(public, private)
}

// keyName is the name and the hash of a log's public key.
func keyName(public string) string {
	name, err := audit.LogName(public)
	if err != nil {
		return ""
	}
	return name
}

// placeLogKey puts the log's next key into the place of its key, once the log has it.
func placeLogKey(cfg *configs.Config) error {
	private, public := nextLogKey(cfg)
	if private != "" && exists(private) {
		if err := os.Rename(private, cfg.Audit.Key); err != nil && !errors.Is(err, os.ErrNotExist) { // else another process has settled it
			return err
		}
		if err := names.Sync(filepath.Dir(private)); err != nil {
			return err
		}
	}
	if err := os.Rename(public, cfg.Audit.PublicKey); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return names.Sync(filepath.Dir(public))
}

// logKeyFiles are the files of the key that the log has now: where a change of it was cut
// off after the log had taken it, the next ones.
func logKeyFiles(cfg *configs.Config) (private, public string, err error) {
	private, public = cfg.Audit.Key, cfg.Audit.PublicKey
	next, _, err := nextLogKeyOf(cfg)
	if err != nil || next == "" {
		return private, public, err
	}
	named, err := audit.ReadKey(public)
	if err != nil {
		return private, public, err
	}
	now, err := audit.CurrentKey(cfg.Audit.Directory, named)
	if err != nil || now != next {
		return private, public, nil // opening the log says more
	}
	nextPrivate, nextPublic := nextLogKey(cfg)
	if nextPrivate != "" && exists(nextPrivate) {
		private = nextPrivate
	}
	return private, nextPublic, nil
}
