package main

import (
	"github.com/spf13/cobra"

	"entry/audit/catalog"
	"entry/audit/evidence"
	"entry/policy"
	"entry/policy/compare"
	"entry/session/recording"
)

// aboutFlags are of whom and where sessions are wanted, by flags.
type aboutFlags struct{ catalog.About }

func (w *aboutFlags) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&w.User, "user", "", "only this user's (`NAME`)")
	f.StringVar(&w.Target, "target", "", "only on this target (`NAME`, home or home.tinker)")
	f.StringVar(&w.Lab, "lab", "", "only in this lab (`NAME`)")
}

// check refuses a name that nobody and nothing has or ever had, as far as recordings,
// the audit log and the policy tell. list are the recordings, nil if they weren't looked at.
func (w *aboutFlags) check(cmd *cobra.Command, list []recording.Info) error {
	if w.About == (catalog.About{}) {
		return nil
	}
	if list == nil && !cmd.Flags().Changed("log") { // a copy of the log may be of elsewhere
		if _, all, err := recordings(cmd); err == nil {
			list = all
		}
	}
	return w.Check(list, func() (evidence.Names, error) { return namesHere(cmd) })
}

// namesHere are all names of people, labs and targets that logs and policy have.
func namesHere(cmd *cobra.Command) (evidence.Names, error) {
	dirs, err := logsHere(cmd)
	if err != nil {
		return evidence.Names{}, err
	}
	names, err := evidence.ReadNames(dirs...)
	if err != nil {
		return names, err
	}
	cfg, err := loadConfig(cmd)
	if err != nil {
		return names, nil // as where --log names a copy
	}
	if p, err := policy.Load(cfg.Policy, compare.Warnings); err == nil { // else the verbs of policy say what is wrong with it
		names.Policy(p)
	}
	return names, nil
}

// logsHere are the logs' directories, of verbs that take --log and of those that don't.
func logsHere(cmd *cobra.Command) (dirs []string, err error) {
	if cmd.Flags().Lookup("log") == nil {
		dir, _, _, err := auditDirs(cmd)
		return []string{dir}, err
	}
	all, err := auditLogs(cmd)
	for _, l := range all {
		dirs = append(dirs, l.Dir)
	}
	return dirs, err
}
