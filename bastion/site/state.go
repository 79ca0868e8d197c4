//go:build linux

package site

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"entry/audit"
	"entry/audit/evidence"
	"entry/bastion/admin"
	"entry/bastion/gateway"
	"entry/bastion/identity"
	"entry/bastion/store"
	"entry/configs"
)

// state is what the running server and an operator's verb without a server
// both need: the audit log, of which they are then the one writer, and the
// accounts.
type state struct {
	log     *audit.Log
	store   *store.Store
	auth    *identity.Authenticator
	notices *gateway.Notices // nil where nobody is told
	orders  evidence.Orders
	settled bool
}

// openState takes the writer's lock. It returns audit.ErrLocked while another
// process holds it. tell hears, in words and with the cause, of notices to users
// that got lost.
func openState(cfg *configs.Config, tell func(string, error)) (_ *state, err error) {
	if err := settleKeys(cfg); err != nil {
		return nil, err
	}
	options, err := logOptions(cfg)
	if err != nil {
		return nil, err
	}
	secrets, err := readSecrets(cfg)
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
	if err := logCutOff(cfg); err != nil {
		return nil, err
	}
	terms, err := readTerms(cfg.Login.Terms)
	if err != nil {
		return nil, err
	}
	if err := unwitnessed(cfg); err != nil {
		return nil, err
	}
	if err := checkDatabase(cfg); err != nil {
		return nil, err
	}
	s := &state{}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	if s.log, err = audit.Open(cfg.Audit.Directory, options); err != nil {
		return nil, unopened(cfg, err)
	}
	if none := noDatabase(cfg); none != "" {
		tell("ALARM: "+none, errBehind)
	}
	if s.store, err = store.OpenSQLite(cfg.Database.SQLite, time.Now); err != nil {
		return nil, unreadable(err)
	}
	// Before anybody can use what an older database has back.
	did, err := s.store.Reconcile(Self(context.Background()), s.log, time.Now())
	for _, line := range did {
		tell("ALARM: "+line, errBehind)
	}
	if err != nil {
		return nil, unreconciled(err)
	}
	if s.notices, err = openNotices(cfg, s.log, tell); err != nil {
		return nil, err
	}
	s.auth, err = identity.New(identity.Options{
		Config: cfg, Store: s.store, Events: s.log.Append, Secrets: secrets, Realms: realms, Texter: texter, Terms: terms, Notify: notifier(s.notices),
		Panicked: func(err error) { tell("a login was given up", err) },
	})
	if err == nil && (secrets.Next != nil || len(secrets.Older) > 0) { // a change of the secret may have been cut off
		_, err = s.auth.SealAnew(context.Background())
	}
	return s, err
}

// logCutOff refuses a log's directory in which a new log was about to begin.
func logCutOff(cfg *configs.Config) error {
	if audit.Beginning(cfg.Audit.Directory) {
		return hinted(errors.New("a new audit log was about to take the place of one that can't go on, and was cut off"), "run entry audit accept-gap again")
	}
	return nil
}

// unwitnessed refuses a log that is older than the database while nothing is in the
// witness directory, before that is begun: its disk may not be mounted, and what is
// written there would pass for its newest state.
func unwitnessed(cfg *configs.Config) error {
	if cfg.Audit.Witness == "" || audit.Witnessed(cfg.Audit.Witness) {
		return nil
	}
	s, err := still(context.Background(), cfg)
	if s != nil {
		return s.close()
	}
	var behind *audit.Behind
	if errors.As(err, &behind) {
		return err
	}
	return nil // opening it says more
}

// unopened says what to do where the log can't be opened.
func unopened(cfg *configs.Config, err error) error {
	var bad *audit.BadRecord
	var nowhere *audit.Nowhere
	var behind *audit.Behind
	var place *store.Unwritable
	if errors.As(err, &place) {
		return place // what the database knows of the log was asked for
	}
	if errors.As(err, &nowhere) {
		todo := "is audit.directory right, and its disk mounted? Else " + newestLog
		if errors.As(err, &behind) {
			todo += "; " + furtherServer
		}
		return hinted(err, todo)
	}
	if errors.As(err, &behind) {
		return unreconciled(behind)
	}
	if cfg.Audit.Witness != "" && !exists(cfg.Audit.Witness) {
		return hinted(err, "is audit.witness right, and its disk mounted?")
	}
	if errors.Is(err, audit.ErrOtherLog) {
		return hinted(err, "if the log began anew and its old witness came back: entry audit set-witness-aside; else mount the right one")
	}
	if errors.As(err, &bad) {
		return hinted(err, "keep these files as they are; "+newestLog)
	}
	return err
}

// Known is how far the database knows the log to be, as far as that can be told.
func Known(cfg *configs.Config) (audit.Position, error) {
	public, err := audit.ReadKey(cfg.Audit.PublicKey)
	if err != nil {
		return audit.Position{}, err
	}
	name, err := audit.LogName(public)
	if err != nil {
		return audit.Position{}, err
	}
	if keys, err := audit.ReadKeys(cfg.Audit.Directory, public); err == nil { // else it is by that name, or verifying says more
		name = keys.LogName()
	}
	return knownTo(cfg)(name)
}

// renamedTo tells whether the database knows the log of a name by its key of before.
func renamedTo(cfg *configs.Config) func(name string) (bool, error) {
	return func(name string) (bool, error) {
		renamed, err := store.Renamed(context.Background(), cfg.Database.SQLite, name)
		if err != nil {
			return false, unreadable(err)
		}
		return renamed, nil
	}
}

// knownTo is how far the database knows the log of a name to be.
func knownTo(cfg *configs.Config) func(name string) (audit.Position, error) {
	return func(name string) (audit.Position, error) {
		p, err := store.Known(context.Background(), cfg.Database.SQLite, name)
		if err != nil {
			return p, unreadable(err)
		}
		return p, nil
	}
}

// unreadable says what to do where the database can't be opened.
func unreadable(err error) error {
	var place *store.Unwritable
	if errors.As(err, &place) {
		return place
	}
	err = fmt.Errorf("open database: %w", err)
	if errors.Is(err, store.ErrMixed) {
		return hinted(err, "remove entry.db-wal and entry.db-shm, and put a whole copy of entry.db back")
	}
	return err
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
	if s.auth != nil { // nobody is left who could change an account
		p := s.log.Position()
		errs = append(errs, s.store.NotePosition(context.Background(), p, p.Size, time.Now()))
	}
	if s.store != nil {
		errs = append(errs, s.store.Close())
	}
	if s.log != nil {
		errs = append(errs, s.log.Close())
	}
	return errors.Join(errs...)
}

// Self returns a context in which this process is the actor.
func Self(ctx context.Context) context.Context {
	return audit.WithActor(ctx, admin.Process(uint32(os.Geteuid()), int32(os.Getpid())))
}
