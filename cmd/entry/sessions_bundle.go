package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"entry/audit/bundle"
	"entry/audit/plain"
)

func sessionsBundleCmd() *cobra.Command {
	var out string
	cmd := &cobra.Command{
		Use:   "bundle SESSION -o FILE.tar",
		Short: "Take one session out, with all that proves it to an outsider",
		Long: `Write one session into a file for somebody who has neither the log nor this
program: the recording, sealed as it is, its sealed key, what the audit log says of
the session and of the login that it came by, and proofs that this stands in the log,
up to a tree head that the log's key signed and witnesses cosigned. README.txt in it
says to a lawyer what that proves, what it doesn't, and how it is checked.

entry verify-bundle checks it, with nothing else at hand; so does a script that needs
Python 3 alone (audit/bundle/verify_bundle.py). entry sessions play and the others
read it with --from FILE. No auditor's identity is needed to make it, nor is anything
unsealed. A session that runs has no end to prove yet.

A running server notes it in the log as a reading.`,
		Example: `  entry sessions bundle 01JQ8Z3M6W -o case-17.tar
  entry verify-bundle case-17.tar --log-key entry.example.org+5c4be7a1+AY…
  entry sessions play last --from case-17.tar --identity auditor.key`,
		Args: usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if out == "" {
				return hinted(failf(exitUsage, "-o is missing: the file to write"), "see entry sessions bundle --help")
			}
			dir, info, err := findRecording(cmd, args[0])
			if err != nil {
				return err
			}
			s, err := proofSource(cmd)
			if err != nil {
				return err
			}
			s.Recordings = dir
			if err := noteRead(cmd, info.ID, "bundle"); err != nil {
				return err
			}
			return writeBundle(cmd, s, info.ID, out)
		},
	}
	cmd.Flags().StringVarP(&out, "output", "o", "", "the `FILE` to write; it may not be there yet")
	return cmd
}

// proofSource is the configuration's log, with its witnesses.
func proofSource(cmd *cobra.Command) (s bundle.Source, err error) {
	if s.Log, _, s.Key, err = auditDirs(cmd); err != nil {
		return s, err
	}
	cfg, err := loadConfig(cmd)
	if err != nil {
		return s, err
	}
	s.Witnesses = witnessKeys(cfg)
	return s, nil
}

// writeBundle writes a bundle whole or not at all.
func writeBundle(cmd *cobra.Command, s bundle.Source, id, out string) error {
	var sum bundle.Summary
	err := writeNew(out, func(w io.Writer) (err error) {
		sum, err = s.Write(w, id)
		return err
	})
	if err != nil {
		return err
	}
	w := cmd.OutOrStdout()
	for _, line := range sum.Lines(out, id) {
		fmt.Fprintln(w, line)
	}
	for _, note := range sum.Notes() {
		fmt.Fprintln(cmd.ErrOrStderr(), "entry: note: "+note)
	}
	fmt.Fprintf(w, "to check it: entry verify-bundle %s --log-key %s\n", plain.Shell(out), plain.Shell(s.Key))
	return nil
}

// writeNew makes a file that isn't there yet, whole and durable or not at all.
func writeNew(path string, write func(io.Writer) error) (err error) {
	if _, err := os.Lstat(path); err == nil {
		return failf(exitUsage, "%s is there already: nothing was written", path)
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-")
	if err != nil {
		return &exitError{code: exitUsage, err: err}
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	b := bufio.NewWriterSize(f, 256<<10)
	if err := errors.Join(write(b), b.Flush(), f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
