//go:build !linux

package main

import (
	"github.com/spf13/cobra"
)

// firstSteps are what somebody new to entry runs.
const firstSteps = `Servers run on Linux. Here are the verbs of those who review recordings and the
audit log, on copies of them, and of those who edit the policy:

Look:            entry sessions ls; entry sessions play last; entry audit verify
Rehearse:        entry policy validate policy.d; entry policy explain alice home`

// verbs are those that need no server.
func verbs() []*cobra.Command {
	all := []*cobra.Command{sessionsCmd(), auditCmd(), verifyBundleCmd(), policyCmd()}
	for _, name := range []string{"serve", "demo", "init", "check", "user", "approve"} {
		all = append(all, &cobra.Command{Use: name, Hidden: true, DisableFlagParsing: true, RunE: func(*cobra.Command, []string) error {
			return failf(exitFailure, "%s: servers run on Linux, not here", name)
		}})
	}
	return all
}

// actingVerbs are none here: they need the server.
func actingVerbs() []*cobra.Command { return nil }

func takeRewrapped(*cobra.Command, string, []string) error {
	return failf(exitFailure, "--take: servers run on Linux, not here")
}

// noteReadings says that a reading can't be traced: no server runs here.
func noteReadings(cmd *cobra.Command, ids []string, _, _ string) error {
	if len(ids) > 0 {
		noteCopy(cmd)
	}
	return nil
}
