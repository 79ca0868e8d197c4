// Command entry is an SSH jump host for research labs: it lets lab users reach
// their lab's machines with a stock SSH client, decides by policy files,
// records the inner session of `ssh -J`, and keeps an audit log that can be
// proven.
//
// Each verb is in the file of its name: its flags and what it prints. What it
// does is in the packages; bastion/site puts them together.
//
// Exit codes are those of exit.go, with two rules beside them: an identity that opens
// none of the recordings that were asked for is denied, whichever verb asks; and
// sessions grep has the codes of its namesake.
package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"entry/audit/plain"
)

func main() { os.Exit(run(os.Args[1:])) }

func run(args []string) int {
	cmd := rootCmd()
	cmd.SetArgs(args)
	err := perform(cmd)
	if err == nil {
		return exitOK
	}
	tellError(os.Stderr, err)
	return exitCode(err)
}

// perform runs cmd. Where help is asked for on a verb that isn't there, it says so, as
// it does without --help; cobra shows the help of what is above it.
func perform(cmd *cobra.Command) error {
	var unknown error
	help := cmd.HelpFunc()
	cmd.SetHelpFunc(func(c *cobra.Command, args []string) {
		if names := c.Flags().Args(); c.HasSubCommands() && len(names) > 0 {
			unknown = c.ValidateArgs(names)
		}
		if unknown == nil {
			help(c, args)
		}
	})
	return cmp.Or(cmd.Execute(), unknown)
}

func rootCmd() *cobra.Command {
	root := &cobra.Command{
		Use:   "entry",
		Short: "An SSH jump host that records `ssh -J`, for labs with protected data",
		Long: `entry is an SSH jump host for research labs that hold protected data.

Users come with a stock client: ssh -J entry home. entry asks for a passphrase
and a one-time code, decides by policy files, records the session and writes an
audit log that can be proven.

` + firstSteps + `

Exit codes: 0 ok, 1 failure, 2 usage or a bad file, 3 denied or tests failed,
4 not found. A bad file is a configuration, a policy or any other that can't be
used; of a policy of which nothing but its own tests failed it is 3, with every
verb. An identity that opens none of the recordings that were asked for is 3, a
file that holds none 2. sessions grep has the codes of grep.`,
		Version:       version(),
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          usageArgs(cobra.NoArgs),
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.PersistentFlags().String("config", defaultConfig, "configuration `FILE`")
	root.PersistentFlags().String("dir", "", "`DIR` made by entry init or entry demo; stands for --config DIR/entry.yaml")
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error {
		if cmd.Flags().Changed("config") && cmd.Flags().Changed("dir") {
			return failf(exitUsage, "--config and --dir both name the configuration: give one of them")
		}
		return nil
	}
	fitHelp(root)
	root.SetVersionTemplate("entry {{.Version}}\n")
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return hinted(failf(exitUsage, "%w", plainFlag(err)), "see "+cmd.CommandPath()+" --help")
	})
	root.AddCommand(verbs()...)
	root.SetHelpCommand(&cobra.Command{Use: "help [VERB]", Short: "Help about any verb",
		RunE: func(_ *cobra.Command, args []string) error {
			found, rest, err := root.Find(args)
			if err == nil && found.HasSubCommands() && len(rest) > 0 {
				err = found.ValidateArgs(rest)
			}
			if err != nil {
				return err
			}
			return found.Help()
		}})
	root.CompletionOptions.HiddenDefaultCmd = true
	return root
}

// plainFlag has an error about a flag's value say what was wanted, without the words of
// package strconv.
func plainFlag(err error) error {
	var bad *pflag.InvalidValueError
	if !errors.As(err, &bad) {
		return err
	}
	f := bad.GetFlag()
	want := ""
	switch t := f.Value.Type(); {
	case strings.HasPrefix(t, "uint"):
		want = "a whole number, 0 or more"
	case strings.HasPrefix(t, "int"):
		want = "a whole number"
	case strings.HasPrefix(t, "float"):
		want = "a number, such as 2 or 0.5"
	case t == "duration":
		want = "a time such as 500ms, 30s or 10m"
	case t == "bool":
		want = "true or false"
	default:
		return err
	}
	return fmt.Errorf("--%s %s: want %s", f.Name, plain.Quote(bad.GetValue()), want)
}

// version is what the Go tool recorded of the build.
func version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "of an unknown build"
}

// meant names the verbs that somebody may have meant by name below cmd: what is spelt
// nearly so there, or is called so elsewhere.
func meant(cmd *cobra.Command, name string) string {
	var paths []string
	add := func(c *cobra.Command) {
		if path := c.CommandPath(); c.IsAvailableCommand() && !slices.Contains(paths, path) {
			paths = append(paths, path)
		}
	}
	cmd.SuggestionsMinimumDistance = 2
	for _, near := range cmd.SuggestionsFor(name) {
		if c, _, err := cmd.Find([]string{near}); err == nil {
			add(c)
		}
	}
	if len(paths) == 0 {
		eachVerb(cmd.Root(), func(c *cobra.Command) {
			if c.Name() == name {
				add(c)
			}
		})
	}
	if len(paths) == 0 || len(paths) > 3 {
		return ""
	}
	return "; did you mean " + strings.Join(paths, " or ") + "?"
}

// eachVerb calls f for a command and all below it.
func eachVerb(cmd *cobra.Command, f func(*cobra.Command)) {
	f(cmd)
	for _, c := range cmd.Commands() {
		eachVerb(c, f)
	}
}

// answered is how to write a flag that is on or off where somebody wrote "--flag false";
// "" where they didn't.
func answered(cmd *cobra.Command, args []string) (flag string) {
	if len(args) == 0 || args[0] != "true" && args[0] != "false" {
		return ""
	}
	cmd.Flags().Visit(func(f *pflag.Flag) {
		if f.Value.Type() == "bool" {
			flag = "--" + f.Name + "=" + args[0]
		}
	})
	return flag
}

// usageArgs makes a wrong number of arguments a usage error that shows the
// right form.
func usageArgs(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		err := check(cmd, args)
		if err == nil {
			return nil
		}
		hint := "see " + cmd.CommandPath() + " --help"
		switch {
		case cmd.HasSubCommands() && len(args) > 0:
			err = fmt.Errorf("unknown command %q for %q%s", args[0], cmd.CommandPath(), meant(cmd, args[0]))
		case !cmd.HasSubCommands():
			err = fmt.Errorf("want: %s", strings.TrimSuffix(cmd.UseLine(), " [flags]"))
			if flag := answered(cmd, args); flag != "" {
				hint = "what a flag like that is goes behind =: " + flag
			}
		}
		return hinted(failf(exitUsage, "%w", err), hint)
	}
}

// dirOnly is the --dir of a verb that makes a directory and so has no use for
// a configuration.
func dirOnly(cmd *cobra.Command) (string, error) {
	if cmd.Flags().Changed("config") {
		return "", hinted(failf(exitUsage, "%s makes a directory with its own configuration", cmd.Name()), "name it with --dir DIR")
	}
	return cmd.Flags().GetString("dir")
}
