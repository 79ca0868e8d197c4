package main

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"entry/audit"
	"entry/audit/evidence"
	"entry/audit/logs"
	"entry/policy"
	"entry/policy/compare"
	"entry/policy/strict"
	"entry/session/recording"
)

// aboutFlags are of whom and where sessions are wanted, by flags.
type aboutFlags struct{ user, target, lab string }

func (w *aboutFlags) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&w.user, "user", "", "only this user's (`NAME`)")
	f.StringVar(&w.target, "target", "", "only on this target (`NAME`, home or home.tinker)")
	f.StringVar(&w.lab, "lab", "", "only in this lab (`NAME`)")
}

// about reports whether a session is such a one.
func (w *aboutFlags) about(user, lab, target string) bool {
	return (w.user == "" || user == w.user) && (w.lab == "" || lab == w.lab) && (w.target == "" || audit.OnTarget(target, w.target))
}

// check refuses a name that nobody and nothing has or ever had, as far as recordings,
// the audit log and the policy tell: a search for it would find nothing, whatever
// happened. Without the log it lets every name pass, since who was removed stands
// there. list are the recordings, nil if they weren't looked at.
func (w *aboutFlags) check(cmd *cobra.Command, list []recording.Info) error {
	if w.user+w.lab+w.target == "" {
		return nil
	}
	if list == nil && !cmd.Flags().Changed("log") { // a copy of the log may be of elsewhere
		if _, all, err := recordings(cmd); err == nil {
			list = all
		}
	}
	found := func(is func(i recording.Info) bool) bool { return slices.ContainsFunc(list, is) }
	if (w.user == "" || found(func(i recording.Info) bool { return i.User == w.user })) &&
		(w.lab == "" || found(func(i recording.Info) bool { return i.Lab == w.lab })) &&
		(w.target == "" || found(func(i recording.Info) bool { return audit.OnTarget(i.Target, w.target) })) {
		return nil
	}
	names, err := namesHere(cmd, list)
	if err != nil {
		return nil // what is wrong with the log is told by who reads it for more
	}
	targets := maps.Clone(names.Targets) // by both of their names
	for full := range names.Targets {
		short, _, _ := strings.Cut(full, ".")
		targets[short] = true
	}
	return cmp.Or(unknownName("user", w.user, names.Users), unknownName("lab", w.lab, names.Labs), unknownName("target", w.target, targets))
}

// unknownName is the error for a name that isn't among those there are; nil if it is.
func unknownName(kind, name string, known map[string]bool) error {
	if name == "" || known[name] {
		return nil
	}
	return hinted(failf(exitNotFound, "--%s %q: recordings, audit log and policy have no such %s%s", kind, name, kind, strict.DidYouMean(name, slices.Sorted(maps.Keys(known)))),
		"names are in small letters, as entry sessions ls shows them")
}

// namesHere are all names of people, labs and targets that are known here.
func namesHere(cmd *cobra.Command, list []recording.Info) (evidence.Names, error) {
	all, err := logsHere(cmd)
	if err != nil {
		return evidence.Names{}, err
	}
	names, err := evidence.ReadNames(all[0].Dir)
	for _, l := range all[1:] {
		more, moreErr := evidence.ReadNames(l.Dir)
		err = cmp.Or(err, moreErr) // then every name passes
		maps.Copy(names.Users, more.Users)
		maps.Copy(names.Labs, more.Labs)
		maps.Copy(names.Targets, more.Targets)
	}
	if err != nil {
		return names, err
	}
	for _, i := range list {
		names.Users[i.User], names.Labs[i.Lab], names.Targets[i.Target] = true, true, true
	}
	cfg, err := loadConfig(cmd)
	if err != nil {
		return names, nil // as where --log names a copy
	}
	p, err := policy.Load(cfg.Policy, compare.Warnings)
	if err != nil {
		return names, nil // the verbs of policy say what is wrong with it
	}
	for _, name := range p.Users() {
		names.Users[name] = true
	}
	for _, l := range p.Labs() {
		names.Labs[l.Name] = true
	}
	for _, t := range p.Targets() {
		names.Targets[t.FullName()] = true
	}
	return names, nil
}

// logsHere are the logs, of verbs that take --log and of those that don't.
func logsHere(cmd *cobra.Command) ([]logs.Log, error) {
	if cmd.Flags().Lookup("log") != nil {
		return auditLogs(cmd)
	}
	dir, _, _, err := auditDirs(cmd)
	return []logs.Log{{Dir: dir}}, err
}
