//go:build linux

package main

import (
	"github.com/spf13/cobra"

	"entry/audit"
	"entry/bastion/ca"
)

func agentKeyCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "agent-key FILE",
		Short: "Print the log's signing key as ssh-add takes it",
		Long: `Print the audit log's signing key, FILE, in OpenSSH's form on standard output, for an
ssh-agent that runs under another account and that the server's may connect to. Then
put agent: SOCKET in the place of key: FILE under audit in entry.yaml, and remove FILE
once it is in your backup. keys/audit.pub stays: it says which key is meant.

The server asks the agent for each checkpoint. One that can't be reached for two
seconds ends the log, and the server with it.`,
		Example: "  export SSH_AUTH_SOCK=/run/logkey/agent.sock\n  entry audit agent-key /etc/entry/keys/audit.key | ssh-add -",
		Args:    usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			key, err := audit.ReadKey(args[0])
			if err != nil {
				return failf(exitUsage, "%w", err)
			}
			text, err := ca.AgentForm(key)
			if err != nil {
				return failf(exitUsage, "%s: %w", args[0], err)
			}
			_, err = cmd.OutOrStdout().Write(text)
			return err
		},
	}
}
