package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"entry/audit/evidence"
	"entry/audit/plain"
	"entry/configs"
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
				return takeRewrapped(cmd, r.take)
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
	f.BoolVar(&r.yes, "yes", false, "don't ask")
	return cmd
}

// rewrapping is what somebody wants sealed anew, by flags.
type rewrapping struct {
	out, take, lab string
	add, remove    []string
	yes            bool

	added   []auditors.Auditor
	without []string          // fingerprints
	names   map[string]string // of keys that are known, by fingerprint
}

// wrapped is one recording that is to be sealed anew.
type wrapped struct {
	id     string
	lab    string
	to     rewrap.Target
	before []string
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
	if err := r.parse(); err != nil {
		return err
	}
	ids, err := identities(cmd)
	if err != nil {
		return err
	}
	todo, rest, err := r.plan(cfg, dir, list)
	if err != nil {
		return err
	}
	errs := cmd.ErrOrStderr()
	if rest.same > 0 {
		fmt.Fprintf(errs, "entry: note: %s sealed to these keys already\n", plain.Count(rest.same, "recording"))
	}
	if len(todo) == 0 {
		if len(rest.bad) > 0 {
			return errors.Join(rest.bad...)
		}
		_, err := fmt.Fprintln(errs, "There is nothing to seal anew.")
		return err
	}
	if err := r.confirm(cmd, todo); err != nil {
		return err
	}
	sealed, closed, empty := 0, 0, 0
	write := func(w io.Writer) error {
		f, err := rewrap.NewWriter(w)
		if err != nil {
			return err
		}
		bar := newProgress(cmd, "sealing", len(todo))
		defer bar.end()
		for n, t := range todo {
			bar.at(n)
			k, err := t.to.Seal(dir, t.id, ids, t.before)
			switch {
			case errors.Is(err, recording.ErrKey):
				closed++
				continue
			case errors.Is(err, recording.ErrNothing):
				empty++
				continue
			case err != nil:
				rest.bad = append(rest.bad, err)
				continue
			}
			sealed++
			if err := f.Add(k); err != nil {
				return err
			}
		}
		if sealed == 0 && closed > 0 {
			return wrongIdentity(closed)
		}
		return f.Close()
	}
	if r.out == "-" {
		if isTerminal(cmd.OutOrStdout()) {
			return failf(exitUsage, "the keys aren't for a terminal: pipe them into entry sessions rewrap --take -, or name a file")
		}
		err = write(cmd.OutOrStdout())
	} else {
		err = writeNew(r.out, write)
	}
	if err != nil {
		return errors.Join(append(rest.bad, err)...)
	}
	fmt.Fprintf(errs, "Sealed anew: %s. To have them opened so, on the server: entry sessions rewrap --take %s\n", plain.Count(sealed, "recording"), shellWord(r.out))
	if empty > 0 {
		fmt.Fprintf(errs, "entry: note: nothing was recorded in %s: left as they are\n", plain.Count(empty, "recording"))
	}
	if closed > 0 {
		rest.bad = append(rest.bad, hinted(failf(exitFailure, "this identity doesn't open %s, so this isn't all", plain.Count(closed, "recording")), "seal those with another one's --identity KEYFILE; what is done by then is passed over"))
	}
	return errors.Join(rest.bad...)
}

// wanted are the recordings that are asked for.
func (r *rewrapping) wanted(cmd *cobra.Command, args []string) (dir string, list []recording.Info, err error) {
	dir, all, err := recordings(cmd)
	if err != nil {
		return dir, nil, err
	}
	about := aboutFlags{lab: r.lab}
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

// parse reads the keys that flags name.
func (r *rewrapping) parse() (err error) {
	r.names = map[string]string{}
	keys := func(flag, value string) ([]auditors.Auditor, error) {
		if _, err := os.Stat(value); err == nil {
			all, err := auditors.ReadFile(value)
			if err != nil {
				return nil, failf(exitUsage, "--%s: %w", flag, err)
			}
			return all, nil
		}
		all, err := auditors.Parse(strings.NewReader(value))
		if err != nil {
			return nil, failf(exitUsage, "--%s: %w, nor a file", flag, err)
		}
		return all, nil
	}
	for _, value := range r.add {
		all, err := keys("add", value)
		if err != nil {
			return err
		}
		r.added = append(r.added, all...)
	}
	for _, value := range r.remove {
		if recording.IsFingerprint(value) {
			r.without = append(r.without, value)
			continue
		}
		all, err := keys("remove", value)
		if err != nil {
			return err
		}
		r.without = append(r.without, auditors.Fingerprints(all)...)
		r.name(all)
	}
	r.name(r.added)
	return nil
}

func (r *rewrapping) name(all []auditors.Auditor) {
	for _, a := range all {
		r.names[a.Fingerprint()] = a.Short()
	}
}

// rest is what isn't sealed anew.
type rest struct {
	same int     // sealed to the same keys already
	bad  []error // why others aren't
}

// plan says which recordings are sealed anew, to whom, and who can open them now.
func (r *rewrapping) plan(cfg *configs.Config, dir string, list []recording.Info) (todo []wrapped, left rest, err error) {
	targets := map[string]rewrap.Target{} // by file
	target := func(lab string) (rewrap.Target, error) {
		file, ok := cfg.Recording.Labs[lab]
		if !ok {
			file = cfg.Recording.Auditors
		}
		if t, ok := targets[file]; ok {
			return t, nil
		}
		base, err := auditors.ReadFile(file)
		if errors.Is(err, fs.ErrNotExist) {
			return rewrap.Target{}, hinted(failf(exitUsage, "%s isn't here, which says who the auditors are", file), "copy it from the server, and compare the keys in it with their owners'")
		}
		if err != nil {
			return rewrap.Target{}, &exitError{code: exitUsage, err: err}
		}
		r.name(base)
		all, err := auditors.With(base, r.added, r.without)
		if err != nil {
			return rewrap.Target{}, &exitError{code: exitUsage, err: err}
		}
		targets[file] = rewrap.To(all)
		return targets[file], nil
	}
	keys, err := evidence.ReadKeys(cfg.Audit.Directory)
	if err != nil {
		return nil, left, hinted(fmt.Errorf("how recordings are sealed stands in the audit log, which can't be read: %w", err), "copy audit as well; entry audit verify says more")
	}
	met := map[string]bool{} // keys that were to be removed, and could open something
	for _, i := range list {
		if i.State == recording.Damaged {
			left.bad = append(left.bad, fmt.Errorf("recording %s is damaged; entry audit verify says more", i.ID))
			continue
		}
		t, err := target(i.Lab)
		if err != nil {
			return nil, left, err
		}
		s, err := keys.Of(dir, i.Header)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue // nobody can open it: it was removed, or its key was
		case errors.Is(err, evidence.ErrUnknownRecording):
			err = fmt.Errorf("recording %s: %w", i.ID, err)
			fallthrough
		case err != nil:
			left.bad = append(left.bad, err)
			continue
		}
		for _, f := range s.Auditors {
			met[f] = true
		}
		if !s.Pending() && s.Set == t.Set {
			left.same++
			continue
		}
		todo = append(todo, wrapped{i.ID, i.Lab, t, s.Auditors})
	}
	for f := range r.names {
		met[f] = true
	}
	for _, f := range r.without {
		if !met[f] {
			return nil, left, hinted(failf(exitUsage, "--remove %s: no key of the configuration or of these recordings has this fingerprint", f), "entry sessions show SESSION lists who can open one")
		}
	}
	return todo, left, nil
}

// confirm says who will be able to open what, and asks.
func (r *rewrapping) confirm(cmd *cobra.Command, todo []wrapped) error {
	w := cmd.ErrOrStderr()
	bySet := map[string][]wrapped{}
	for _, t := range todo {
		bySet[t.to.Set] = append(bySet[t.to.Set], t)
	}
	for _, set := range slices.Sorted(maps.Keys(bySet)) {
		some := bySet[set]
		in, out, unknown := map[string]bool{}, map[string]bool{}, 0
		for _, t := range some {
			if t.before == nil {
				unknown++
				continue
			}
			i, o := t.to.Changes(t.before)
			for _, f := range i {
				in[f] = true
			}
			for _, f := range o {
				out[f] = true
			}
		}
		labs := map[string]bool{}
		for _, t := range some {
			labs[t.lab] = true
		}
		fmt.Fprintf(w, "%s of %s will be open to\n", plain.Count(len(some), "recording"), plain.List(slices.Sorted(maps.Keys(labs)), 10))
		for _, a := range some[0].to.Auditors {
			fmt.Fprintf(w, "  %s%s\n", a.Short(), map[bool]string{true: "   NEW"}[in[a.Fingerprint()]])
		}
		if len(out) > 0 {
			fmt.Fprintln(w, "and no more to")
			for _, f := range slices.Sorted(maps.Keys(out)) {
				name, ok := r.names[f]
				if !ok {
					name = "the key with the fingerprint " + f
				}
				fmt.Fprintf(w, "  %s\n", name)
			}
		}
		if unknown > 0 {
			fmt.Fprintf(w, "To whom %d of them are sealed now isn't known.\n", unknown)
		}
	}
	if r.yes {
		return nil
	}
	if !term.IsTerminal(int(os.Stdin.Fd())) {
		return hinted(failf(exitDenied, "nothing was sealed anew: there is no terminal to ask on"), "compare the keys above with their owners'; --yes seals to them")
	}
	if ok, err := asked("Are these keys, to the last letter (or their fingerprints), their owners'? [y/N] "); err != nil || !ok {
		return failf(exitDenied, "nothing was sealed anew")
	}
	return nil
}
