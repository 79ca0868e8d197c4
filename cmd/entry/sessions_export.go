package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"entry/audit/plain"
	"entry/session/recording"
	"entry/session/recording/play"
)

func sessionsExportCmd() *cobra.Command {
	var format, output string
	var channel int64
	cmd := &cobra.Command{
		Use:   "export SESSION",
		Short: "Write a recorded session in another format",
		Long: "Write one channel of a session to standard output or a file:\n\n" + formatHelp() + `
Without --channel it is the first channel with a terminal, else the first with
output. A file that is there already is not overwritten.`,
		Example: `  entry sessions export last --format text | less
  entry sessions export 01JQ8Z3M6W --format asciicast-v3 -o session.cast
  entry sessions export last --format raw > session.bytes`,
		Args: usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			at := slices.IndexFunc(play.Formats, func(f play.Format) bool { return f.Name == format })
			if at < 0 {
				return failf(exitUsage, "--format %q: want %s", format, formatNames())
			}
			export := play.Formats[at]
			if export.AsItCame && output == "" && isTerminal(cmd.OutOrStdout()) {
				return hinted(failf(exitUsage, "%s output could do anything to this terminal", export.Name), "write it to a file with -o FILE, or use entry sessions play")
			}
			return withChannel(cmd, args[0], "export", channel, func(r *play.Opened, c recording.Channel) (err error) {
				out := cmd.OutOrStdout()
				if output != "" {
					f, ferr := os.OpenFile(output, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
					if errors.Is(ferr, fs.ErrExist) {
						return hinted(failf(exitFailure, "%s is there already, and isn't overwritten", output), "give another name with -o FILE, or remove it")
					}
					if ferr != nil {
						return ferr
					}
					defer func() { err = errors.Join(err, f.Close()) }()
					out = f
				}
				if export.AsItCame && len(c.Missing) > 0 { // the others say it in the file
					_, _ = fmt.Fprintln(cmd.ErrOrStderr(), "entry: note: not all of the channel is kept: "+plain.Line(recording.Describe(c.Coverage, c.Missing))) // what is kept is written all the same
				}
				if err := cutNote(cmd.ErrOrStderr(), export.Write(r.Next, out, r.Header(), c, r.All)); err != nil {
					return fmt.Errorf("export: %w", err)
				}
				return nil
			})
		},
	}
	cmd.Flags().StringVar(&format, "format", play.Formats[0].Name, formatNames()+" (`NAME`)")
	cmd.Flags().StringVarP(&output, "output", "o", "", "`FILE` to write instead of standard output")
	cmd.Flags().Int64Var(&channel, "channel", -1, "`NUMBER` of the channel")
	identityFlag(cmd)
	return cmd
}

// formatNames are all formats, as "one, two or three".
func formatNames() string {
	var names []string
	for _, f := range play.Formats {
		names = append(names, f.Name)
	}
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " or " + names[last]
}

// formatHelp says what each format is for.
func formatHelp() string {
	var b strings.Builder
	for _, f := range play.Formats {
		for i, line := range strings.Split(f.Help, "\n") {
			name := ""
			if i == 0 {
				name = f.Name
			}
			fmt.Fprintf(&b, "  %-13s %s\n", name, line)
		}
	}
	return b.String()
}
