package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"entry/audit/catalog"
	"entry/audit/evidence"
	"entry/audit/plain"
	"entry/session/recording"
	"entry/session/recording/auditors"
	"entry/session/recording/rewrap"
)

func sessionsRewrapCmd() *cobra.Command {
	var r rewrapping
	cmd := &cobra.Command{
		Use:   "rewrap [SESSION…|--lab NAME] -o FILE|--take FILE",
		Short: "Seal old recordings to other auditors",
		Long: `Seal recordings that are there to those who are auditors now: to the keys of the
configuration (recording: {auditors, labs}), with --add more and --remove fewer, each by
its public key, a file of those, or its fingerprint. It takes two steps, since no
auditor's secret key belongs on the jump host.

Where an auditor is, with a copy of entry.yaml, keys/auditors.pub, keys/audit.pub, audit
and spool: -o FILE writes the recordings' keys, opened with --identity and sealed anew.
It says to whom first, and asks: compare the keys with their owners', since the copy
comes from the jump host. Nothing in the file is secret. What is sealed to the same
keys already is passed over.

On the server: --take FILE puts them in their places, and the audit log has by whom, and
who came in and went out. Recordings keep their holds and their retention. One that is
still running is left: hand the file in again once it is over. What was cut off goes on
with the same file.

One that may have been sealed anew in records of the log that aren't here is refused: put
their segments back, or accept it with --absent. One that was sealed anew from an earlier
key, which entry audit verify names, is mended by sealing it anew.

Who is removed opens the recordings that are here no more. With a copy of a recording and
its key of before, a backup say, they still do.`,
		Example: `  entry sessions rewrap --dir COPY --identity old.key -o new-keys
  entry sessions rewrap --lab tinker --remove eve.pub --identity old.key -o new
  entry sessions rewrap --take new-keys`,
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case r.take != "" && (len(args) > 0 || r.out != "" || r.lab != "" || len(r.add)+len(r.remove) > 0 || cmd.Flags().Changed("identity")):
				return failf(exitUsage, "--take hands in a file as it is: give it alone")
			case r.take != "":
				return takeRewrapped(cmd, r.take, r.absent)
			case r.out == "":
				return hinted(failf(exitUsage, "-o is missing: the file to write, where an auditor is; or --take, the file to hand in, on the server"), "see entry sessions rewrap --help")
			case len(args) > 0 && r.lab != "":
				return failf(exitUsage, "name SESSIONs or --lab NAME, not both")
			}
			return r.run(cmd, args)
		},
	}
	f := cmd.Flags()
	identityFlag(cmd)
	f.StringVarP(&r.out, "output", "o", "", "the `FILE` to write; it may not be there yet. - is standard output")
	f.StringVar(&r.take, "take", "", "put the keys in `FILE` in their places, on the server; - is standard input")
	f.StringVar(&r.lab, "lab", "", "only this lab's recordings (`NAME`)")
	f.StringArrayVar(&r.add, "add", nil, "seal them to this `KEY` as well: a public key, or a file of some")
	f.StringArrayVar(&r.remove, "remove", nil, "not to this `KEY`: a public key, a file of some, or a fingerprint")
	f.StringArrayVar(&r.absent, "absent", nil, "`FROM-TO`, records of the log that aren't here and that you know to say nothing\nof these keys; once for each range")
	f.BoolVar(&r.yes, "yes", false, "don't ask")
	return cmd
}

// rewrapping is what somebody wants sealed anew, by flags.
type rewrapping struct {
	out, take, lab string
	add, remove    []string
	absent         []string
	yes            bool
}

func (r *rewrapping) run(cmd *cobra.Command, args []string) error {
	cfg, err := loadConfig(cmd)
	if err != nil {
		return err
	}
	dir, list, err := r.wanted(cmd, args)
	if err != nil {
		return err
	}
	wish, err := r.wish()
	if err != nil {
		return err
	}
	ids, err := identities(cmd)
	if err != nil {
		return err
	}
	away, err := parseAbsent(r.absent)
	if err != nil {
		return err
	}
	keys, err := evidence.ReadKeys(cfg.Audit.Directory, away...)
	if err != nil {
		return hinted(fmt.Errorf("how recordings are sealed stands in the audit log, which can't be read: %w", err), "copy audit as well; entry audit verify says more")
	}
	plan, err := wish.Plan(rewrap.Site{Dir: dir, Keys: keys, File: cfg.Recording.AuditorsOf}, list)
	if errors.Is(err, rewrap.ErrNoSuchKey) {
		return hinted(failf(exitUsage, "--remove %w", err), hintOf(err))
	}
	if err != nil {
		return err
	}
	errs := cmd.ErrOrStderr()
	if plan.Same > 0 {
		fmt.Fprintf(errs, "entry: note: %s sealed to these keys already\n", plain.Count(plan.Same, "recording"))
	}
	if len(plan.Todo) == 0 {
		if len(plan.Bad) > 0 {
			return errors.Join(plan.Bad...)
		}
		_, err := fmt.Fprintln(errs, "There is nothing to seal anew.")
		return err
	}
	if plan.Tell(errs); !r.yes {
		if err := confirm(); err != nil {
			return err
		}
	}
	var s rewrap.Sealed
	write := func(w io.Writer) (err error) {
		bar := newProgress(cmd, "sealing", len(plan.Todo))
		defer bar.end()
		s, err = plan.Seal(w, ids, bar.at)
		if errors.Is(err, rewrap.ErrClosed) {
			return wrongIdentity(s.Closed)
		}
		return err
	}
	if r.out == "-" {
		if isTerminal(cmd.OutOrStdout()) {
			return failf(exitUsage, "the keys aren't for a terminal: pipe them into entry sessions rewrap --take -, or name a file")
		}
		err = write(cmd.OutOrStdout())
	} else {
		err = writeNew(r.out, write)
	}
	bad := slices.Concat(plan.Bad, s.Bad)
	if err != nil {
		return errors.Join(append(bad, err)...)
	}
	fmt.Fprintf(errs, "Sealed anew: %s. To have them opened so, on the server: entry sessions rewrap --take %s\n", plain.Count(s.Sealed, "recording"), plain.Shell(r.out))
	if s.Empty > 0 {
		fmt.Fprintf(errs, "entry: note: nothing was recorded in %s: left as they are\n", plain.Count(s.Empty, "recording"))
	}
	if s.Closed > 0 {
		bad = append(bad, hinted(failf(exitFailure, "this identity doesn't open %s, so this isn't all", plain.Count(s.Closed, "recording")), "seal those with another one's --identity KEYFILE; what is done by then is passed over"))
	}
	return errors.Join(bad...)
}

// wanted are the recordings that are asked for.
func (r *rewrapping) wanted(cmd *cobra.Command, args []string) (dir string, list []recording.Info, err error) {
	dir, all, err := recordings(cmd)
	if err != nil {
		return dir, nil, err
	}
	about := aboutFlags{catalog.About{Lab: r.lab}}
	if err := about.check(cmd, all); err != nil {
		return dir, nil, err
	}
	for _, a := range args {
		_, i, err := findRecording(cmd, a)
		if err != nil {
			return dir, nil, err
		}
		list = append(list, i)
	}
	if len(args) == 0 {
		list = slices.DeleteFunc(all, func(i recording.Info) bool { return r.lab != "" && i.Lab != r.lab })
	}
	return dir, list, nil
}

// wish reads the keys that flags name.
func (r *rewrapping) wish() (w rewrap.Wish, err error) {
	keys := func(flag, value string, to *[]auditors.Auditor) error {
		all, err := auditors.Named(value)
		if err != nil {
			return failf(exitUsage, "--%s: %w", flag, err)
		}
		*to = append(*to, all...)
		return nil
	}
	for _, value := range r.add {
		err = errors.Join(err, keys("add", value, &w.Add))
	}
	for _, value := range r.remove {
		if recording.IsFingerprint(value) {
			w.Without = append(w.Without, value)
			continue
		}
		err = errors.Join(err, keys("remove", value, &w.Remove))
	}
	return w, err
}

// confirm asks whether the keys that were shown are right.
func confirm() error {
	if !term.IsTerminal(int(os.Stdin.Fd())) {
		return hinted(failf(exitDenied, "nothing was sealed anew: there is no terminal to ask on"), "compare the keys above with their owners'; --yes seals to them")
	}
	if ok, err := asked("Are these keys, to the last letter (or their fingerprints), their owners'? [y/N] "); err != nil || !ok {
		return failf(exitDenied, "nothing was sealed anew")
	}
	return nil
}
