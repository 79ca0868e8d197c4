package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"entry/audit"
	"entry/audit/evidence"
	"entry/audit/plain"
	"entry/audit/segment"
)

// verifying is what verify is told, of one log or of several.
type verifying struct {
	keys, since, spools []string // --public-key, --since-checkpoint, --recordings: files and directories
	vouched             vouchers
	accepted, absent    []string // --gap, --absent
}

// verifiedLog is a log with what it is held against.
type verifiedLog struct {
	oneLog
	o     audit.VerifyOptions
	spool string // of its recordings; "" for none
	away  []segment.Absent
}

// logs are those that are to be verified: copies named by flags, else the
// configuration's. The two aren't mixed: a copy's witness is no witness of the
// running log.
func (v *verifying) logs(cmd *cobra.Command) ([]verifiedLog, error) {
	away, err := parseAbsent(v.absent)
	if err != nil {
		return nil, err
	}
	witnesses, err := v.vouched.split()
	if err != nil {
		return nil, err
	}
	var all []verifiedLog
	if !cmd.Flags().Changed("log") {
		l, err := v.configured(cmd, len(witnesses) > 0)
		if err != nil {
			return nil, err
		}
		all = []verifiedLog{l}
	} else if all, err = v.copies(cmd, witnesses); err != nil {
		return nil, err
	}
	if len(all) > 1 && len(away) > 0 {
		return nil, failf(exitUsage, "--absent goes with one --log: each log counts its own records")
	}
	if len(v.since) > 0 && len(v.since) != len(all) {
		return nil, asOften("--since-checkpoint FILE", len(v.since), len(all))
	}
	for i := range all {
		all[i].away = away
		if len(v.since) == 0 || v.since[i] == "" && len(all) > 1 {
			continue
		}
		if all[i].o.Since, err = readCheckpointFile(v.since[i]); err != nil {
			return nil, err
		}
		all[i].spool = ""
	}
	return all, nil
}

// configured is the configuration's log.
func (v *verifying) configured(cmd *cobra.Command, witness bool) (l verifiedLog, err error) {
	if len(v.keys) > 0 || witness {
		return l, failf(exitUsage, "--public-key and --witness go with --log")
	}
	if l.dir, l.o.Witness, l.o.PublicKey, err = auditDirs(cmd); err != nil {
		return l, err
	}
	if err := v.vouched.configured(cmd); err != nil {
		return l, err
	}
	cfg, err := loadConfig(cmd)
	if err != nil {
		return l, err
	}
	l.o.Copies = !exists(cfg.Database.SQLite) // as on an auditor's machine
	if l.o.Known, err = databaseKnows(cfg); err != nil {
		fmt.Fprintf(cmd.ErrOrStderr(), "entry: note: the log isn't held against the database: %v\n", err)
	}
	l.spool, err = spoolDir(cmd)
	return l, err
}

// copies are logs that flags name.
func (v *verifying) copies(cmd *cobra.Command, witnesses []string) (all []verifiedLog, err error) {
	logs, err := auditLogs(cmd)
	if err != nil {
		return nil, err
	}
	if len(v.keys) == 0 {
		return nil, failf(exitUsage, "--log needs --public-key FILE, and --witness DIR if there is one")
	}
	for _, f := range []struct {
		flag  string
		given []string
	}{{"--public-key FILE", v.keys}, {"--witness DIR", witnesses}, {"--recordings DIR", v.spools}} {
		if len(f.given) > 0 && len(f.given) != len(logs) {
			return nil, asOften(f.flag, len(f.given), len(logs))
		}
	}
	for i, log := range logs {
		l := verifiedLog{oneLog: log, o: audit.VerifyOptions{Copies: true}}
		if l.o.PublicKey, err = audit.ReadKey(v.keys[i]); err != nil {
			return nil, &exitError{code: exitUsage, err: err}
		}
		if len(witnesses) > 0 {
			l.o.Witness = witnesses[i]
		}
		if len(v.spools) > 0 {
			l.spool = v.spools[i]
		}
		all = append(all, l)
	}
	return all, nil
}

// asOften refuses what isn't given once for each log.
func asOften(flag string, given, logs int) error {
	return failf(exitUsage, "%s is given %s for %s: give it once for each --log, in the same order", flag, plain.Count(given, "time"), plain.Count(logs, "log"))
}

// verify verifies one log and says what it finds.
func (v *verifying) verify(cmd *cobra.Command, l verifiedLog) error {
	if !segment.Exist(l.dir) && (l.o.Witness == "" || !exists(filepath.Join(l.o.Witness, "checkpoints"))) {
		return hinted(failf(exitNotFound, "there is no audit log in %s, and no witness of one", l.dir), noLogYet)
	}
	vouched := v.vouched // of this log
	rep, err := audit.Verify(l.dir, l.o)
	if err == nil {
		err = vouched.hold(l.dir, l.o.PublicKey, rep)
	}
	sound := err == nil // the log itself
	if sound && l.o.Since != nil && rep.Since == 0 {
		l.say(cmd.ErrOrStderr(), "note: the whole log was read: the file of hashes doesn't lead on from the checkpoint that was given")
	}
	var kept evidence.Report
	if sound && l.spool != "" {
		kept, err = evidence.Verify(l.dir, l.spool, l.away...)
	}
	asJSON, jerr := cmd.Flags().GetBool("json")
	if jerr != nil {
		return jerr
	}
	if asJSON {
		if werr := writeVerdict(cmd.OutOrStdout(), l.oneLog, rep, &vouched, kept, err); werr != nil {
			return werr
		}
	} else if sound {
		tellVerdict(l.beside(cmd.OutOrStdout()), rep, &vouched)
		if l.spool != "" && (err == nil || kept.Recordings > 0) {
			fmt.Fprintln(l.beside(cmd.OutOrStdout()), kept)
		}
	}
	if err != nil {
		return advised(err)
	}
	if err := vouched.enough(); err != nil {
		return err
	}
	return v.accepts(rep.Gaps)
}

// advised adds to what is wrong what to do about it.
func advised(err error) error {
	var bad *audit.BadRecord
	var behind *audit.Behind
	if errors.As(err, &bad) && bad.Remade() {
		return hinted(failf(exitFailure, "%w", err), "move no segment away before the server has started again: that makes the file anew")
	}
	if errors.As(err, &bad) || errors.As(err, &behind) {
		return hinted(failf(exitFailure, "%w", err), "keep these files as they are, copy them away, and compare with the witness directory and backups")
	}
	var m *evidence.Mismatch
	if errors.As(err, &m) && m.Kind == evidence.Unended {
		return hinted(err, "start the server, which puts on record how the crash left it; then this holds it against that")
	}
	if m != nil && len(m.Perhaps) > 0 {
		return hinted(err, "put those segments into the folder archive beside the log and verify again; if you know that they say so, accept it: "+absentFlags(m.Perhaps))
	}
	return err
}

// accepts fails where the log has gaps that nobody named.
func (v *verifying) accepts(gaps []audit.GapReport) error {
	var unnamed []string
	for _, g := range gaps {
		if !slices.Contains(v.accepted, g.ID) {
			unnamed = append(unnamed, "--gap "+g.ID)
		}
	}
	switch len(unnamed) {
	case 0:
		return nil
	case 1:
		return hinted(failf(exitFailure, "the log has a gap: records before its beginning are lost"),
			"ask the auditor whose key that is; if you accept the gap too, name it: "+unnamed[0])
	}
	return hinted(failf(exitFailure, "the log has %d gaps: records before its beginning are lost", len(unnamed)),
		"ask the auditors whose keys those are; if you accept the gaps too, name each: "+strings.Join(unnamed, " "))
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
