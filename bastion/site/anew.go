//go:build linux

package site

import (
	"context"
	"errors"
	"fmt"
	"os"

	"entry/audit"
	"entry/audit/plain"
	"entry/audit/witness"
	"entry/configs"
)

// Acceptance is what AcceptGap needs of an auditor.
type Acceptance struct {
	Key, Reason string
	Unwitnessed bool // the configured witness has nothing of the log, and that is known
	KeyLost     bool // the log's signing key is lost, and nothing else
}

// AcceptGap begins the audit log anew where it can't go on because records of it
// are lost, signed by an auditor's key. No server runs meanwhile, and none starts
// before it is done. It is refused for a log that can go on, and while nothing is in
// the witness directory, unless that is meant.
func AcceptGap(cfg *configs.Config, a Acceptance) error {
	if err := ownAccount(cfg.Audit.Directory, os.Geteuid()); err != nil {
		return err
	}
	if cfg.Audit.Agent != "" {
		return hinted(errors.New("the log's key is in an agent, and a log that begins anew has a new one, in a file"), "put audit.key in the place of audit.agent; once this is done, the new key can go to the agent, too")
	}
	o := audit.Anew{Dir: cfg.Audit.Directory, Witness: cfg.Audit.Witness, Key: cfg.Audit.Key, PublicKey: cfg.Audit.PublicKey,
		Auditor: a.Key, Reason: a.Reason, Unwitnessed: a.Unwitnessed}
	if !audit.Beginning(cfg.Audit.Directory) {
		if o.Witness != "" && !o.Unwitnessed && !audit.Witnessed(o.Witness) {
			return notMounted(audit.ErrNoWitness)
		}
		if a.KeyLost {
			if _, err := logOptions(cfg); err == nil {
				return hinted(errors.New("the log's signing key isn't lost"), "entry keys rotate audit changes it, and the log goes on")
			}
			return beginAnew(cfg, o)
		}
		s, err := openState(cfg, func(string, error) {})
		var bad *audit.BadRecord
		var behind *audit.Behind
		switch {
		case err == nil:
			if err := s.Close(); err != nil {
				return err
			}
			known, other, err := missed(cfg)
			if err != nil {
				return err
			}
			if !other {
				return hinted(errors.New("the log can go on: nothing that its witness or the database knows of is missing"), "start the server")
			}
			o.Known = known
		case errors.Is(err, audit.ErrLocked):
			return hinted(errors.New("a server, or an operator's verb, has the audit log"), "stop it first")
		case errors.Is(err, audit.ErrOtherLog):
			return err
		case !errors.As(err, &bad) && !errors.As(err, &behind):
			return err
		}
	}
	return beginAnew(cfg, o)
}

// beginAnew begins the log anew after what the database knows of it.
func beginAnew(cfg *configs.Config, o audit.Anew) error {
	if !audit.Beginning(cfg.Audit.Directory) {
		known, err := Known(cfg)
		if err != nil {
			return err
		}
		o.Known = max(o.Known, known.Size)
	}
	err := audit.BeginAnew(o)
	switch {
	case errors.Is(err, audit.ErrNoWitness):
		return notMounted(err)
	case errors.Is(err, audit.ErrOwnKey):
		return hinted(err, "entry audit auditor-key FILE makes one")
	}
	return err
}

// missed asks witnesses on other machines whether a log that seems whole isn't the one
// that they know, and how many records that has, where they say.
func missed(cfg *configs.Config) (known uint64, other bool, err error) {
	_, err = CheckWitnesses(context.Background(), cfg)
	if !errors.Is(err, witness.ErrBehind) && !errors.Is(err, witness.ErrForked) {
		return 0, false, err
	}
	var behind *witness.Behind
	if errors.As(err, &behind) {
		known = behind.Known
	}
	return known, true, nil
}

func notMounted(err error) error {
	return hinted(err, "mount it and try again; what it has beyond the log is part of the gap. If that is lost too: --without-witness")
}

// SetWitnessAside renames what the witness directory has of a log before, where it came
// back after the log began anew, and puts that on record. It says what it did.
func SetWitnessAside(ctx context.Context, cfg *configs.Config) (did string, err error) {
	if err := ownAccount(cfg.Audit.Directory, os.Geteuid()); err != nil {
		return "", err
	}
	log, size, name, err := audit.SetAside(cfg.Audit.Directory, cfg.Audit.Witness)
	if err != nil {
		return "", err
	}
	did = fmt.Sprintf("the witness directory had checkpoints of the log before, %s, up to record %d; they are in %s now", plain.Word(log), size, name)
	s, err := openState(cfg, func(string, error) {})
	if err != nil {
		return did, err
	}
	ctx = Self(ctx)
	return did, errors.Join(s.log.Append(ctx, audit.ByActor(ctx, audit.Event{Type: audit.LogRecovered, Reason: "old-witness", Detail: did})), s.Close())
}
