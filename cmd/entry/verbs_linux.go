package main

import "github.com/spf13/cobra"

// firstSteps are what somebody new to entry runs.
const firstSteps = `Try it:          entry demo
Set it up:       entry init --dir /etc/entry, then as it says
Look afterwards: entry sessions ls; entry sessions play last; entry audit verify`

// verbs are all there are, on the system that servers run on.
func verbs() []*cobra.Command {
	policy := policyCmd()
	policy.AddCommand(policyApplyCmd())
	return []*cobra.Command{demoCmd(), initCmd(), checkCmd(), serveCmd(), userCmd(), sessionsCmd(), auditCmd(), verifyBundleCmd(), policy, approveCmd(), keysCmd(), doctorCmd(), guideCmd()}
}
