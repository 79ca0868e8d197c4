package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/mod/sumdb/note"

	"entry/audit"
	"entry/audit/witness"
	"entry/configs"
)

// vouchers are what verify is told of witnesses, and what it finds that they cosigned.
type vouchers struct {
	given []string // of --witness: keys, and one directory
	need  int      // of --need; 0 for all
	keys  []note.Verifier

	reach []witness.Reach
	short *witness.Unwitnessed
}

func (v *vouchers) flags(cmd *cobra.Command) {
	cmd.Flags().StringArrayVar(&v.given, "witness", nil, "`KEY` of a witness, once for each; or the directory of witnessed checkpoints, with --log")
	cmd.Flags().IntVar(&v.need, "need", 0, "`NUMBER` of witnesses that have to vouch for the log; all without it")
}

// split tells keys from directories, which it returns.
func (v *vouchers) split() (dirs []string, err error) {
	var texts []string
	for _, g := range v.given {
		switch {
		case strings.Count(g, "+") >= 2 && !exists(g):
			texts = append(texts, g)
		default:
			dirs = append(dirs, g)
		}
	}
	if v.keys, err = witness.ParseKeys(texts); err != nil {
		return nil, failf(exitUsage, "--witness: %w", err)
	}
	return dirs, v.count()
}

func (v *vouchers) count() error {
	if v.need < 0 || len(v.keys) > 0 && v.need > len(v.keys) {
		return failf(exitUsage, "--need %d: want 1 to %d, as many as witnesses are given", v.need, len(v.keys))
	}
	return nil
}

// configured takes the witnesses of the configuration where none were given.
func (v *vouchers) configured(cmd *cobra.Command) error {
	if len(v.keys) > 0 {
		return nil
	}
	cfg, err := loadConfig(cmd)
	if err != nil {
		return err
	}
	if v.keys, err = witness.ParseKeys(witnessKeys(cfg)); err != nil {
		return failf(exitUsage, "audit.witnesses: %w", err)
	}
	if v.need == 0 {
		v.need = cfg.Audit.Need
	}
	return v.count()
}

// witnessKeys are the public keys of the configuration's witnesses.
func witnessKeys(cfg *configs.Config) (keys []string) {
	for _, w := range cfg.Audit.Witnesses {
		keys = append(keys, w.Key)
	}
	return keys
}

// hold holds a consistent log against what the witnesses have cosigned.
func (v *vouchers) hold(dir, key string, rep audit.Report) (err error) {
	if len(v.keys) == 0 {
		if v.need > 0 {
			return failf(exitUsage, "--need %d: no witness is given, by --witness KEY or by the configuration", v.need)
		}
		return nil
	}
	if v.need == 0 {
		v.need = len(v.keys)
	}
	v.reach, err = witness.Reached(dir, key, rep, v.keys, v.need)
	if errors.As(err, &v.short) {
		return nil // it comes after what else is to be said
	}
	return err
}

func (v *vouchers) tell(w io.Writer) {
	for _, r := range v.reach {
		fmt.Fprintln(w, r)
	}
}

// enough fails where too few witnesses vouch for the log.
func (v *vouchers) enough() error {
	if v.short == nil {
		return nil
	}
	return hinted(failf(exitFailure, "%w", v.short), "entry audit search --type alarm.witness says since when a witness couldn't be reached; once it can, the server has it cosign all")
}
