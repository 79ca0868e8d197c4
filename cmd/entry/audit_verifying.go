package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/mod/sumdb/note"

	"entry/audit"
	"entry/audit/logs"
	"entry/audit/plain"
	"entry/audit/verdict"
	"entry/audit/witness"
	"entry/configs"
)

// verifying is what verify is told, by flags, of one log or of several.
type verifying struct {
	keys, since, spools []string // --public-key, --since-checkpoint, --recordings: files and directories
	vouchers
	accepted, absent []string // --gap, --absent
}

// logCase is a log that is to be verified.
type logCase struct {
	logs.Log
	verdict.Case
}

// cases are the logs that are to be verified: copies named by flags, else the
// configuration's. The two aren't mixed: a copy's witness is no witness of the
// running log.
func (v *verifying) cases(cmd *cobra.Command) ([]logCase, error) {
	away, err := parseAbsent(v.absent)
	if err != nil {
		return nil, err
	}
	keys, dirs, err := v.split()
	if err != nil {
		return nil, err
	}
	var all []logCase
	if !cmd.Flags().Changed("log") {
		c, err := v.configured(cmd, len(dirs) > 0)
		if err != nil {
			return nil, err
		}
		if len(keys) == 0 {
			if keys, err = v.configuredWitnesses(cmd); err != nil {
				return nil, err
			}
		}
		all = []logCase{c}
	} else if all, err = v.copies(cmd, dirs); err != nil {
		return nil, err
	}
	switch {
	case v.need > 0 && len(keys) == 0:
		return nil, failf(exitUsage, "--need %d: no witness is given, by --witness KEY or by the configuration", v.need)
	case len(all) > 1 && len(away) > 0:
		return nil, failf(exitUsage, "--absent goes with one --log: each log counts its own records")
	case len(v.since) > 0 && len(v.since) != len(all):
		return nil, asOften("--since-checkpoint FILE", len(v.since), len(all))
	}
	for i := range all {
		c := &all[i].Case
		c.Dir, c.Absent, c.Gaps, c.Witnesses, c.Need = all[i].Log.Dir, away, v.accepted, keys, v.need
		if len(v.since) == 0 || v.since[i] == "" && len(all) > 1 {
			continue
		}
		if c.Options.Since, err = readCheckpointFile(v.since[i]); err != nil {
			return nil, err
		}
		c.Recordings = ""
	}
	return all, nil
}

// configured is the configuration's log.
func (v *verifying) configured(cmd *cobra.Command, witness bool) (c logCase, err error) {
	if len(v.keys) > 0 || witness {
		return c, failf(exitUsage, "--public-key and --witness go with --log")
	}
	if c.Log.Dir, c.Options.Witness, c.Options.PublicKey, err = auditDirs(cmd); err != nil {
		return c, err
	}
	cfg, err := loadConfig(cmd)
	if err != nil {
		return c, err
	}
	c.Options.Copies = !exists(cfg.Database.SQLite) // as on an auditor's machine
	if c.Options.Known, err = databaseKnows(cfg); err != nil {
		fmt.Fprintf(cmd.ErrOrStderr(), "entry: note: the log isn't held against the database: %v\n", err)
	}
	c.Recordings = cfg.Recording.Directory
	if dir, err := cmd.Flags().GetString("dir"); err == nil && dir != "" {
		if out := outside(cfg); len(out) > 0 {
			fmt.Fprintf(cmd.ErrOrStderr(), "entry: note: %s names what lies outside of %s, and that is looked at: %s; if this is a copy of a site, name the copy's own: --log DIR --public-key KEY --witness DIR --recordings DIR\n",
				configs.FileName, plain.Word(dir), strings.Join(out, ", "))
		}
	}
	return c, nil
}

// outside are the directories that verify looks at and that lie outside of the
// configuration's own, as a copy of that has them, too: the original's.
func outside(cfg *configs.Config) (all []string) {
	for _, d := range []struct{ name, path string }{
		{"audit.directory", cfg.Audit.Directory}, {"audit.witness", cfg.Audit.Witness}, {"recording.directory", cfg.Recording.Directory},
	} {
		if d.path == "" {
			continue
		}
		if rel, err := filepath.Rel(filepath.Dir(cfg.Path), d.path); err != nil || !filepath.IsLocal(rel) {
			all = append(all, d.name+" "+plain.Word(d.path))
		}
	}
	return all
}

// copies are logs that flags name.
func (v *verifying) copies(cmd *cobra.Command, witnesses []string) (all []logCase, err error) {
	list, err := auditLogs(cmd)
	if err != nil {
		return nil, err
	}
	if len(v.keys) == 0 {
		return nil, failf(exitUsage, "--log needs --public-key KEY, and --witness DIR if there is one")
	}
	for _, f := range []struct {
		flag  string
		given []string
	}{{"--public-key KEY", v.keys}, {"--witness DIR", witnesses}, {"--recordings DIR", v.spools}} {
		if len(f.given) > 0 && len(f.given) != len(list) {
			return nil, asOften(f.flag, len(f.given), len(list))
		}
	}
	for i, log := range list {
		c := logCase{Log: log, Case: verdict.Case{Options: audit.VerifyOptions{Copies: true}}}
		if c.Options.PublicKey, err = publicKey(v.keys[i]); err != nil {
			return nil, err
		}
		if len(witnesses) > 0 {
			c.Options.Witness = witnesses[i]
		}
		if len(v.spools) > 0 {
			c.Recordings = v.spools[i]
		}
		all = append(all, c)
	}
	return all, nil
}

// publicKey reads a log's public key: text, or the file that has it.
func publicKey(text string) (string, error) {
	if _, err := audit.LogName(text); err == nil && !exists(text) {
		return strings.TrimSpace(text), nil
	}
	key, err := audit.ReadKey(text)
	if err != nil {
		return "", &exitError{code: exitUsage, err: err}
	}
	if _, err := audit.LogName(key); err != nil {
		return "", failf(exitUsage, "--public-key: %s has no public key of a log; want a copy of the server's keys/audit.pub", text)
	}
	return key, nil
}

// asOften refuses what isn't given once for each log.
func asOften(flag string, given, logs int) error {
	return failf(exitUsage, "%s is given %s for %s: give it once for each --log, in the same order", flag, plain.Count(given, "time"), plain.Count(logs, "log"))
}

// verify verifies one log and says what it finds.
func (c logCase) verify(cmd *cobra.Command) error {
	v, err := c.Judge()
	if errors.Is(err, verdict.ErrNoLog) {
		todo := noLogYet
		if cmd.Flags().Changed("log") {
			todo = "--log names the directory that has events.jsonl"
		}
		return hinted(failf(exitNotFound, "there is no audit log in %s, and no witness of one", c.Log.Dir), todo)
	}
	if v.WholeRead() {
		say(cmd, c.Log, "note: the whole log was read: the file of hashes doesn't lead on from the checkpoint that was given")
	}
	if asJSON(cmd) {
		object, err := v.MarshalJSON()
		if err != nil {
			return err
		}
		if err := plain.JSON(cmd.OutOrStdout()).Encode(json.RawMessage(c.JSON(object))); err != nil {
			return err
		}
	} else {
		v.Tell(c.Beside(cmd.OutOrStdout()))
	}
	return v.Err()
}

// readCheckpointFile reads a checkpoint that somebody has kept.
func readCheckpointFile(path string) ([]byte, error) {
	f, err := os.Open(path) // which may be a pipe that the operator has made
	if err != nil {
		return nil, &exitError{code: exitUsage, err: err}
	}
	defer f.Close()
	const most = 4 << 10 // bytes; more is no checkpoint
	b, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && len(b) == 0 {
		return nil, failf(exitUsage, "%s is empty: want a copy of the file \"checkpoint\" in the log's directory", path)
	}
	return b, err
}

// vouchers are what a verb is told of witnesses.
type vouchers struct {
	given []string // of --witness: keys, and directories
	need  int      // of --need; 0 for all
}

func (v *vouchers) flags(cmd *cobra.Command) {
	cmd.Flags().StringArrayVar(&v.given, "witness", nil, "`KEY` of a witness, once for each; or the directory of witnessed checkpoints, with --log")
	cmd.Flags().IntVar(&v.need, "need", 0, "`NUMBER` of witnesses that have to vouch for the log; all without it")
}

// split tells keys from directories.
func (v *vouchers) split() (keys []note.Verifier, dirs []string, err error) {
	var texts []string
	for _, g := range v.given {
		switch {
		case strings.Count(g, "+") >= 2 && !exists(g):
			texts = append(texts, g)
		case g != "" && !isDir(g):
			return nil, nil, failf(exitUsage, "--witness %.80q is neither a witness's public key, NAME+HASH+BASE64, nor a directory", g)
		default:
			dirs = append(dirs, g)
		}
	}
	if keys, err = witness.ParseKeys(texts); err != nil {
		return nil, nil, failf(exitUsage, "--witness: %w", err)
	}
	return keys, dirs, v.count(keys)
}

func (v *vouchers) count(keys []note.Verifier) error {
	if v.need < 0 || len(keys) > 0 && v.need > len(keys) {
		return failf(exitUsage, "--need %d: want 1 to %d, as many as witnesses are given", v.need, len(keys))
	}
	return nil
}

// configuredWitnesses are those of the configuration, and how many of them it wants unless
// a flag says so.
func (v *vouchers) configuredWitnesses(cmd *cobra.Command) ([]note.Verifier, error) {
	cfg, err := loadConfig(cmd)
	if err != nil {
		return nil, err
	}
	keys, err := witness.ParseKeys(witnessKeys(cfg))
	if err != nil {
		return nil, failf(exitUsage, "audit.witnesses: %w", err)
	}
	if v.need == 0 {
		v.need = cfg.Audit.Need
	}
	return keys, v.count(keys)
}

// witnessKeys are the public keys of the configuration's witnesses.
func witnessKeys(cfg *configs.Config) (keys []string) {
	for _, w := range cfg.Audit.Witnesses {
		keys = append(keys, w.Key)
	}
	return keys
}
