package main

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"entry/audit/plain"
	"entry/policy"
	"entry/policy/strict"
)

func policyValidateCmd() *cobra.Command {
	return &cobra.Command{
		Use: "validate [DIR | FILE...]",

		SuggestFor: []string{"lint"},
		Short:      "Report every problem of the policy, with its line",
		Long: `Read the policy, run its tests, and report every problem at once with file,
line, column and code; entry policy codes says what a code means. Without
arguments it is the configuration's policy, which is also held against the
configuration.

Warnings are on standard error and don't change the exit code. It is 3 where
nothing but tests failed, 2 for every other problem. One of those is only a
warning when a server starts: a denied upload or download (P103) for who keeps
a shell.`,
		Example: "  entry policy validate\n  entry policy validate new/ && cp new/* /etc/entry/policy.d/",
		Args:    usageArgs(cobra.ArbitraryArgs),
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := policyOf(cmd, args)
			if err == nil {
				if found := p.Unenforceable(); len(found) > 0 {
					err = &exitError{code: exitUsage, err: found}
				}
			}
			if err := reportProblems(cmd, p, err); err != nil {
				return err
			}
			noteUploads(cmd, p)
			return sayPolicy(cmd, fmt.Sprintf("ok: %s, %s, %s, policy %s", plain.Count(len(p.Rules()), "rule"), plain.Count(len(p.Targets()), "target"), plain.Count(p.Tests(), "test"), p.Hash()))
		},
	}
}

func policyTestCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "test [DIR | FILE...]",
		Short: "Run the tests that stand in the policy's files",
		Long: `Run the tests that stand in the policy's files. They run before every load too:
a failing test refuses it. The exit code is 3 where a test fails.`,
		Example: "  entry policy test\n  entry policy test new/",
		Args:    usageArgs(cobra.ArbitraryArgs),
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := policyOf(cmd, args)
			if err := reportProblems(cmd, nil, err); err != nil {
				return err
			}
			if p.Tests() == 0 {
				return sayPolicy(cmd, "ok: there are no tests")
			}
			return sayPolicy(cmd, fmt.Sprintf("ok: %s passed", plain.Count(p.Tests(), "test")))
		},
	}
}

func policyCodesCmd() *cobra.Command {
	return &cobra.Command{
		Use:     "codes [CODE...]",
		Short:   "Say what the codes of problems mean",
		Long:    "Say what the codes of problems mean, and what to do about them. Y codes come from\nreading YAML, P codes from the policy; P1xx are warnings.",
		Example: "  entry policy codes P107",
		Args:    usageArgs(cobra.ArbitraryArgs),
		RunE: func(cmd *cobra.Command, args []string) error {
			codes := slices.DeleteFunc(policy.Codes(), func(d strict.CodeDoc) bool { return len(args) > 0 && !slices.Contains(args, d.Code) })
			if err := printEach(cmd, codes, func(d strict.CodeDoc) string { return d.Code + "  " + d.Meaning + "\n      " + d.Advice }); err != nil {
				return err
			}
			for _, code := range args {
				if !slices.ContainsFunc(codes, func(d strict.CodeDoc) bool { return d.Code == code }) {
					return failf(exitNotFound, "there is no code %q", code)
				}
			}
			return nil
		},
	}
}

// reportProblems shows the warnings of p, which may be nil, and what err holds,
// and returns err. With --json all of it is on standard output.
func reportProblems(cmd *cobra.Command, p *policy.Policy, err error) error {
	var found, warnings strict.Problems
	errors.As(err, &found)
	if p != nil {
		warnings = slices.DeleteFunc(append(p.Warnings(), p.Lapsed(time.Now())...), func(w strict.Problem) bool {
			w.Warning = false
			return slices.Contains(found, w)
		})
	}
	lines, jerr := jsonLines(cmd)
	switch {
	case jerr != nil:
		return jerr
	case lines == nil:
		for _, w := range warnings {
			fmt.Fprintln(cmd.ErrOrStderr(), w.Error())
		}
		return err
	}
	if err := printEach(cmd, append(warnings, found...), strict.Problem.Error); err != nil {
		return err
	}
	if len(found) > 0 {
		return &exitError{code: exitCode(err), err: fmt.Errorf("the policy has problems")}
	}
	return err
}

// noteUploads says what the right to upload alone rests on, in one line, where there is
// such a rule.
func noteUploads(cmd *cobra.Command, p *policy.Policy) {
	if note := p.UploadNote(); note != "" {
		fmt.Fprintln(cmd.ErrOrStderr(), "note: "+note)
	}
}

// sayPolicy prints a line for people; --json has said all.
func sayPolicy(cmd *cobra.Command, line string) error {
	if lines, err := jsonLines(cmd); lines != nil || err != nil {
		return err
	}
	_, err := fmt.Fprintln(cmd.OutOrStdout(), line)
	return err
}
