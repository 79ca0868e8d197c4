package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"entry/policy"
	"entry/policy/strict"
)

func policyValidateCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "validate [DIR | FILE...]",
		Short: "Report every problem of the policy, with its line",
		Long: `Read the policy, run its tests, and report every problem at once with file,
line, column and code; entry policy codes says what a code means. Without
arguments it is the configuration's policy, which is also held against the
configuration.

Warnings are on standard error and don't change the exit code. It is 3 where
nothing but tests failed, 2 for every other problem.`,
		Example: "  entry policy validate\n  entry policy validate new/ && cp new/* /etc/entry/policy.d/",
		Args:    usageArgs(cobra.ArbitraryArgs),
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := policyOf(cmd, args)
			if err := reportProblems(cmd, p, err); err != nil {
				return err
			}
			return sayPolicy(cmd, fmt.Sprintf("ok: %d rules, %d targets, %d tests, policy %s", len(p.Rules()), len(p.Targets()), p.Tests(), p.Hash()))
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
			return sayPolicy(cmd, fmt.Sprintf("ok: %d tests passed", p.Tests()))
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
			asked := map[string]bool{}
			for _, code := range args {
				asked[code] = true
			}
			lines, err := jsonLines(cmd)
			if err != nil {
				return err
			}
			for _, d := range policy.Codes() {
				if len(args) > 0 && !asked[d.Code] {
					continue
				}
				delete(asked, d.Code)
				if lines != nil {
					err = lines.Encode(codeLine(d))
				} else {
					_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s  %s\n      %s\n", d.Code, d.Meaning, d.Advice)
				}
				if err != nil {
					return err
				}
			}
			for code := range asked {
				return failf(exitNotFound, "there is no code %q", code)
			}
			return nil
		},
	}
}

// codeLine is codes' --json line.
type codeLine struct {
	Code    string `json:"code"`
	Warning bool   `json:"warning,omitempty"`
	Meaning string `json:"meaning"`
	Advice  string `json:"advice"`
}

// problemLine is validate's --json line for a problem.
type problemLine struct {
	File    string `json:"file"`
	Line    int    `json:"line,omitempty"`
	Col     int    `json:"col,omitempty"`
	Code    string `json:"code"`
	Warning bool   `json:"warning,omitempty"`
	Message string `json:"message"`
}

// reportProblems shows the warnings of p, which may be nil, and what err holds,
// and returns err. With --json all of it is on standard output.
func reportProblems(cmd *cobra.Command, p *policy.Policy, err error) error {
	lines, jerr := jsonLines(cmd)
	if jerr != nil {
		return jerr
	}
	var found, warnings strict.Problems
	errors.As(err, &found)
	if p != nil {
		warnings = append(p.Warnings(), p.Lapsed(time.Now())...)
	}
	if lines == nil {
		for _, w := range warnings {
			fmt.Fprintln(cmd.ErrOrStderr(), w.Error())
		}
		return err
	}
	for _, q := range append(warnings, found...) {
		if werr := lines.Encode(problemLine{q.File, q.Line, q.Col, q.Code, q.Warning, q.Message}); werr != nil {
			return werr
		}
	}
	if len(found) > 0 {
		return &exitError{code: exitCode(err), err: fmt.Errorf("the policy has problems")}
	}
	return err
}

// sayPolicy prints a line for people; --json has said all.
func sayPolicy(cmd *cobra.Command, line string) error {
	if lines, err := jsonLines(cmd); lines != nil || err != nil {
		return err
	}
	_, err := fmt.Fprintln(cmd.OutOrStdout(), line)
	return err
}
