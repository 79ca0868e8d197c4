package main

import (
	"os"

	"github.com/spf13/cobra"

	"entry/configs"
	"entry/policy"
	"entry/policy/compare"
)

func policyCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "policy",
		Short: "Check, explain, compare and rehearse the policy",
		Long: `The policy is a directory of text files that say who may do what, where and
when. All of these but apply, where there is one, change nothing and need no
running server: they read the files, and replay also reads the audit log.`,
		Example: `  entry policy validate
  entry policy explain alice home --may download
  entry policy diff /etc/entry/policy.d new
  entry policy replay --since 30d new`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.PersistentFlags().Bool("json", false, "one JSON object a line")
	cmd.AddCommand(policyValidateCmd(), policyTestCmd(), policyExplainCmd(), policyWhoCanCmd(), policyDiffCmd(), policyReplayCmd(), policyCodesCmd())
	return cmd
}

// loadPolicy reads the configuration's policy.
func loadPolicy(cfg *configs.Config) (*policy.Policy, error) { return coded(compare.Load(cfg)) }

// policyOf reads the policy in a directory or in files, or the configuration's
// if none are named.
func policyOf(cmd *cobra.Command, paths []string) (*policy.Policy, error) {
	if len(paths) == 0 {
		cfg, err := loadConfig(cmd)
		if err != nil {
			return nil, err
		}
		return loadPolicy(cfg)
	}
	if info, err := os.Stat(paths[0]); len(paths) == 1 && err == nil && info.IsDir() {
		return coded(policy.Load(paths[0], compare.Warnings))
	}
	return coded(policy.LoadFiles(paths, compare.Warnings))
}

// coded tells failed tests from files that can't be used at all.
func coded(p *policy.Policy, err error) (*policy.Policy, error) {
	switch {
	case err == nil:
		return p, nil
	case policy.OnlyTests(err):
		return nil, &exitError{code: exitDenied, err: err}
	}
	return nil, &exitError{code: exitUsage, err: err}
}

// policyFlag adds --policy to a verb whose arguments are something else.
func policyFlag(cmd *cobra.Command) *string {
	return cmd.Flags().String("policy", "", "`DIR` or file of the policy, instead of the configuration's")
}

// flagPaths is a path given by a flag, or none.
func flagPaths(path string) []string {
	if path == "" {
		return nil
	}
	return []string{path}
}
