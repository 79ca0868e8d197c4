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
	"fmt"
	"os"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
)

func main() { os.Exit(run(os.Args[1:])) }

func run(args []string) int {
	cmd := rootCmd()
	cmd.SetArgs(args)
	err := cmd.Execute()
	if err == nil {
		return exitOK
	}
	fmt.Fprintf(os.Stderr, "entry: %v\n", err)
	if hint := hintOf(err); hint != "" {
		fmt.Fprintf(os.Stderr, "hint: %s\n", hint)
	}
	return exitCode(err)
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
	root.SetUsageTemplate(strings.ReplaceAll(root.UsageTemplate(), "FlagUsages ", "FlagUsagesWrapped 80 "))
	root.SetVersionTemplate("entry {{.Version}}\n")
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return hinted(failf(exitUsage, "%w", err), "see "+cmd.CommandPath()+" --help")
	})
	root.AddCommand(verbs()...)
	root.CompletionOptions.HiddenDefaultCmd = true
	return root
}

// version is what the Go tool recorded of the build.
func version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "of an unknown build"
}

// usageArgs makes a wrong number of arguments a usage error that shows the
// right form.
func usageArgs(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		err := check(cmd, args)
		if err == nil {
			return nil
		}
		if !cmd.HasSubCommands() {
			err = fmt.Errorf("want: %s", strings.TrimSuffix(cmd.UseLine(), " [flags]"))
		}
		return hinted(failf(exitUsage, "%w", err), "see "+cmd.CommandPath()+" --help")
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
