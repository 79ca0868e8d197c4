//go:build linux

package site

import (
	"fmt"

	"entry/audit"
	"entry/bastion/ca"
	"entry/configs"
)

// logOptions are those of the audit log that cfg describes, with what signs it.
func logOptions(cfg *configs.Config) (audit.Options, error) {
	o := audit.Options{Witness: cfg.Audit.Witness, Reserve: cfg.Audit.Reserve, Segment: cfg.Audit.Segment, Known: knownTo(cfg), Renamed: renamedTo(cfg)}
	private, file, err := logKeyFiles(cfg)
	if err != nil {
		return o, err
	}
	if cfg.Audit.Agent == "" {
		if o.Key, err = audit.ReadKey(private); err != nil {
			err = lostKey("audit.key", err, "entry audit accept-gap --key-lost begins the log anew")
		}
		return o, err
	}
	public, err := audit.ReadKey(file)
	if err != nil {
		return o, err
	}
	s, err := ca.OpenLogSigner(cfg.Audit.Agent, public)
	if err != nil {
		return o, fmt.Errorf("audit.agent: %w", err)
	}
	o.Signer = s
	return o, nil
}
