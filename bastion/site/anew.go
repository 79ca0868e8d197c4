//go:build linux

package site

import (
	"errors"
	"os"

	"entry/audit"
	"entry/bastion/store"
	"entry/configs"
)

// AcceptGap begins the audit log anew where it can't go on because records of it
// are lost, signed by an auditor's key. No server runs meanwhile, and none starts
// before it is done. It is refused for a log that can go on.
func AcceptGap(cfg *configs.Config, auditor, reason string) error {
	if err := ownAccount(cfg.Audit.Directory, os.Geteuid()); err != nil {
		return err
	}
	if !audit.Beginning(cfg.Audit.Directory) {
		s, err := openState(cfg, func(string, error) {})
		var bad *audit.BadRecord
		var behind *store.LogBehind
		switch {
		case err == nil:
			return hinted(errors.Join(errors.New("the log can go on: nothing that its witness or the database knows of is missing"), s.Close()), "start the server")
		case errors.Is(err, audit.ErrLocked):
			return hinted(errors.New("a server, or an operator's verb, has the audit log"), "stop it first")
		case !errors.As(err, &bad) && !errors.As(err, &behind):
			return err
		}
	}
	return audit.BeginAnew(audit.Anew{Dir: cfg.Audit.Directory, Witness: cfg.Audit.Witness, Key: cfg.Audit.Key, PublicKey: cfg.Audit.PublicKey, Auditor: auditor, Reason: reason})
}
