//go:build linux

package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"

	"github.com/spf13/cobra"

	"entry/audit/evidence"
	"entry/audit/plain"
	"entry/bastion/admin"
	"entry/configs"
	"entry/session/recording/rewrap"
)

// takeRewrapped hands in recordings' new keys.
func takeRewrapped(cmd *cobra.Command, file string, absent []string) (err error) {
	away, err := parseAbsent(absent)
	if err != nil {
		return err
	}
	in := io.Reader(cmd.InOrStdin())
	total := 0 // where that isn't known
	if file != "-" {
		if info, err := os.Stat(file); err == nil && !info.Mode().IsRegular() { // one without an end, or a pipe that nobody writes to, is never read
			return failf(exitUsage, "%s is no regular file, so it can't be read twice; hand it in by --take - < FILE", file)
		}
		f, err := os.Open(file)
		if err != nil {
			return permitted(&exitError{code: exitUsage, err: err})
		}
		defer f.Close()
		for _, err := range rewrap.Read(bufio.NewReader(f)) { // all of it before anything is done
			if err != nil {
				return failf(exitUsage, "%s %w", file, err)
			}
			total++
		}
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			return failf(exitUsage, "%s can't be read twice: %w; hand it in by --take - < FILE", file, err)
		}
		in = f
	}
	h := admin.HandingIn{}
	err = withOperator(cmd, func(cfg *configs.Config, o *operator) error {
		h.Dir = cfg.Recording.Directory
		if h.Keys, err = evidence.ReadKeys(cfg.Audit.Directory, away...); err != nil {
			return hinted(fmt.Errorf("how recordings are sealed stands in the audit log, which can't be read: %w", err), "entry audit verify says more")
		}
		h.Call = func(some []admin.Rewrap, out *[]admin.RewrapOutcome) error {
			return o.call(cmd.Context(), http.MethodPost, admin.RewrapPath, some, out)
		}
		bar := newProgress(cmd, "placing", total)
		bar.on = bar.on && total > 0
		defer bar.end()
		return h.All(rewrap.Read(bufio.NewReader(in)), bar.at)
	})
	if errors.Is(err, rewrap.ErrNotRewrap) {
		err = hinted(failf(exitUsage, "standard input %w", err), "what came before the end was handed in; make the file anew and hand it in")
	}
	return errors.Join(append(h.Bad, err, tellHandedIn(cmd, h.HandedIn))...)
}

// tellHandedIn says what became of the keys.
func tellHandedIn(cmd *cobra.Command, h admin.HandedIn) error {
	_, err := fmt.Fprintf(cmd.OutOrStdout(), "Sealed anew: %s.\n", plain.Count(h.Placed, "recording"))
	errs := cmd.ErrOrStderr()
	if h.Same > 0 {
		fmt.Fprintf(errs, "entry: note: %s had been before\n", plain.Count(h.Same, "recording"))
	}
	if h.Gone > 0 {
		fmt.Fprintf(errs, "entry: note: %s not here any more\n", plain.Count(h.Gone, "recording"))
	}
	if h.Live > 0 {
		fmt.Fprintf(errs, "entry: note: %s still being recorded: hand the file in again once that is over\n", plain.Count(h.Live, "session"))
	}
	return err
}
