package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"golang.org/x/mod/sumdb/note"

	"entry/audit/plain"
	"entry/bastion/ca"
	"entry/configs"
	"entry/policy"
)

func checkCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "check",
		Short: "Check the configuration, the policy and its tests, and the keys",
		Long: `Check the configuration, the policy with its tests, and the keys, and change
nothing. Every problem of a file is named with its line. Warnings are on standard
error and don't change the exit code.

The last line is for users' known_hosts: with it they see no host-key warning.`,
		Example: "  entry check --dir /etc/entry\n  entry check --dir /etc/entry && systemctl reload entry",
		Args:    usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := loadConfig(cmd)
			if err != nil {
				return err
			}
			p, err := loadPolicy(cfg)
			if err != nil {
				return err
			}
			if _, err := loadKeys(cfg, p); err != nil {
				return err
			}
			if err := checkSecrets(cfg); err != nil {
				return err
			}
			if err := checkOutside(cfg); err != nil {
				return err
			}
			line, err := knownHostsLine(cfg, p)
			if err != nil {
				return err
			}
			for _, w := range p.Warnings() {
				fmt.Fprintln(os.Stderr, w.Error())
			}
			for _, w := range checkWarnings(cfg, p) {
				fmt.Fprintln(os.Stderr, "warning:", w)
			}
			fmt.Printf("ok: %s, policy %s\n", plain.Count(len(p.Targets()), "target"), p.Hash())
			fmt.Print("For users' known_hosts:\n", line)
			return nil
		},
	}
}

// checkSecrets opens the keys that only a writer of the log needs.
func checkSecrets(cfg *configs.Config) error {
	if _, err := readSecret(cfg.Keys.Secret); err != nil {
		return fmt.Errorf("keys.secret: %w", err)
	}
	private, err := readKeyText(cfg.Audit.Key)
	if err != nil {
		return fmt.Errorf("audit.key: %w", err)
	}
	public, err := readKeyText(cfg.Audit.PublicKey)
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

// checkWarnings are what works but is hardly meant.
func checkWarnings(cfg *configs.Config, p *policy.Policy) []string {
	var out []string
	if len(p.Targets()) == 0 {
		out = append(out, fmt.Sprintf("%s has no targets: users can log in, but go nowhere", cfg.Policy))
	}
	if cfg.Audit.Witness == "" {
		out = append(out, "audit.witness is empty: whoever controls this machine could replace the log with an older one")
	}
	if key := filepath.Join(filepath.Dir(cfg.Path), auditorKey); exists(key) {
		out = append(out, key+" opens every recording: move it to the auditors' machine")
	}
	return out
}

// knownHostsLine is the one line that makes users' clients trust this server
// and every SSH target behind it.
func knownHostsLine(cfg *configs.Config, p *policy.Policy) (string, error) {
	host, err := hostCA(cfg.Keys.HostCA)
	if err != nil {
		return "", fmt.Errorf("keys.host_ca: %w", err)
	}
	return ca.KnownHostsCA(host.PublicKey(), append(p.HostPatterns(), cfg.Name)...)
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
