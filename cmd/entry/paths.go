package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"entry/audit"
	"entry/configs"
)

// defaultConfig is where packages put the configuration.
const defaultConfig = "/etc/entry/entry.yaml"

// configFile is the file that --config or --dir names.
func configFile(cmd *cobra.Command) (string, error) {
	dir, err := cmd.Flags().GetString("dir")
	if err != nil {
		return "", err
	}
	if dir != "" {
		return filepath.Join(dir, configs.FileName), nil
	}
	return cmd.Flags().GetString("config")
}

// loadConfig reads the configuration that --config or --dir names.
func loadConfig(cmd *cobra.Command) (*configs.Config, error) {
	file, err := configFile(cmd)
	if err != nil {
		return nil, err
	}
	cfg, err := configs.Load(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, hinted(failf(exitUsage, "no configuration at %s", file), "name yours with --config FILE or --dir DIR, or make one with entry init --dir DIR")
	}
	if errors.Is(err, fs.ErrPermission) {
		return nil, permitted(failf(exitUsage, "the configuration %s can't be read: %w", file, fs.ErrPermission))
	}
	if err != nil {
		return nil, &exitError{code: exitUsage, err: err}
	}
	return cfg, nil
}

// permitted adds to an error of who may not read something what to do about it.
func permitted(err error) error {
	if !errors.Is(err, fs.ErrPermission) {
		return err
	}
	return hinted(err, "run this as root or as the server's own account; on a copy, as who owns it")
}

// spoolDir is where recordings are.
func spoolDir(cmd *cobra.Command) (string, error) {
	if p := sourceOf(cmd); p != nil {
		return p.dir, nil
	}
	cfg, err := loadConfig(cmd)
	if err != nil {
		return "", err
	}
	return cfg.Recording.Directory, nil
}

// auditDirs are the log's directory, the witness directory ("" without one)
// and the text of the log's public key.
func auditDirs(cmd *cobra.Command) (dir, witness, publicKey string, err error) {
	if sourceOf(cmd) != nil {
		return "", "", "", errNoLogHere
	}
	cfg, err := loadConfig(cmd)
	if err != nil {
		return "", "", "", err
	}
	key, err := audit.ReadKey(cfg.Audit.PublicKey)
	if err != nil {
		return "", "", "", err
	}
	return cfg.Audit.Directory, cfg.Audit.Witness, key, nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func isDir(path string) bool {
	st, err := os.Stat(path)
	return err == nil && st.IsDir()
}
