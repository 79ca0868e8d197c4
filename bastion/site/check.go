//go:build linux

package site

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"

	"golang.org/x/crypto/ssh"
	"golang.org/x/mod/sumdb/note"

	"entry/audit"
	"entry/bastion/ca"
	"entry/configs"
	"entry/policy"
	"entry/session/recording"
)

// Checked is what Check has to say where nothing is wrong.
type Checked struct {
	Warnings []string // what works but is hardly meant
	// KnownHosts is the one line that makes users' clients trust this server and
	// every SSH target behind it, or the two of them while the host CA is changed.
	KnownHosts string
}

// Check is what New would refuse of a configuration, with the policy that it
// names. It opens every key and changes nothing.
func Check(cfg *configs.Config, p *policy.Policy) (c Checked, err error) {
	k, err := loadKeys(cfg, p)
	if err != nil {
		return c, err
	}
	if err := checkSecrets(cfg); err != nil {
		return c, err
	}
	if err := checkOutside(cfg); err != nil {
		return c, err
	}
	if err := checkPlaces(cfg); err != nil {
		return c, err
	}
	if err := checkLog(cfg); err != nil {
		return c, err
	}
	if err := checkDatabase(cfg); err != nil {
		return c, err
	}
	c.Warnings = append(checkThere(cfg), checkWarnings(cfg, p)...)
	for _, key := range []ssh.PublicKey{k.HostCA.PublicKey(), k.HostCA.Next()} {
		if key == nil {
			continue
		}
		line, err := ca.KnownHostsCA(key, append(p.HostPatterns(), cfg.Name)...)
		if err != nil {
			return c, err
		}
		c.KnownHosts += line
	}
	return c, nil
}

// checkSecrets opens the keys that only a writer of the log needs.
func checkSecrets(cfg *configs.Config) error {
	if _, err := readSecrets(cfg); err != nil {
		return lostKey("keys.secret", err, `README, "Change keys", says how to do without`)
	}
	if cfg.Audit.Agent != "" {
		_, err := logOptions(cfg) // asks it
		return err
	}
	privateFile, publicFile, err := logKeyFiles(cfg)
	if err != nil {
		return err
	}
	private, err := audit.ReadKey(privateFile)
	if err != nil {
		return lostKey("audit.key", err, "entry audit accept-gap --key-lost begins the log anew")
	}
	public, err := audit.ReadKey(publicFile)
	if err != nil {
		return fmt.Errorf("audit.public_key: %w", err)
	}
	signer, err := note.NewSigner(private)
	if err != nil { // x/mod's error may quote the key
		return hinted(fmt.Errorf("audit.key: %s holds no signing key", cfg.Audit.Key), "restore it from your backup")
	}
	verifier, err := note.NewVerifier(public)
	if err != nil || signer.Name() != verifier.Name() || signer.KeyHash() != verifier.KeyHash() {
		return hinted(errors.New("audit.key and audit.public_key are not the two halves of one key"), "restore both from your backup")
	}
	return nil
}

// lostKey is an error about a key's file, with what to do where that isn't there.
func lostKey(setting string, err error, without string) error {
	err = fmt.Errorf("%s: %w", setting, err)
	if errors.Is(err, fs.ErrNotExist) {
		return hinted(err, withoutKey(without))
	}
	return err
}

func withoutKey(todo string) string { return "put it back from your backup; without one, " + todo }

// checkWarnings are what works but is hardly meant.
func checkWarnings(cfg *configs.Config, p *policy.Policy) []string {
	var out []string
	if len(p.Targets()) == 0 {
		out = append(out, fmt.Sprintf("%s has no targets: users can log in, but go nowhere", cfg.Policy))
	}
	if !slices.ContainsFunc(cfg.Listeners, func(l configs.Listener) bool { return !configs.Loopback(l.Address) }) {
		out = append(out, "it listens on this machine alone: for users elsewhere, change listeners in "+cfg.Path)
	}
	if cfg.Audit.Witness == "" {
		out = append(out, "audit.witness is empty: whoever controls this machine could replace the log with an older one")
	} else if audit.NoWitness(cfg.Audit.Directory, cfg.Audit.Witness) != "" {
		out = append(out, cfg.Audit.Witness+" lies on the audit log's own file system, so it is no witness: whoever can change one can change the other; mount another disk there, or better a folder of another host")
	}
	out = append(out, rotationWarnings(cfg)...)
	if key := filepath.Join(filepath.Dir(cfg.Path), recording.IdentityFile); exists(key) {
		out = append(out, key+" opens every recording: move it to the auditors' machine")
	}
	return out
}
