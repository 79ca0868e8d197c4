package main

import (
	"errors"
	"fmt"
	"iter"

	"github.com/spf13/cobra"

	"entry/audit"
	"entry/audit/catalog"
	"entry/audit/evidence"
	"entry/audit/plain"
	"entry/session/recording"
	"entry/session/recording/play"
)

func sessionsShowCmd() *cobra.Command {
	var verify bool
	cmd := &cobra.Command{
		Use:   "show SESSION",
		Short: "Show and verify one recorded session",
		Long: `Show all that is known of a session, and verify its recording: the chain over
every sealed byte, held against what the audit log says of it. With an auditor's
identity, its channels and commands, too, and the seals. A recording that isn't
what was written is named by its first bad segment, and the exit code is 1.

Of a channel, "out" and "in" are bytes that the recording has, of output and input;
"down" and "up" are what passed, towards the client and towards the target, entry's
own lines left out.

Of a session whose recording was removed, or is missing, what the log has of it is
shown, and the exit code is 4.`,
		Example: `  entry sessions show last
  entry sessions show 01JQ8Z3M6W --identity auditor.key --json`,
		Args: usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			dir, info, err := findRecording(cmd, args[0])
			var gone *catalog.GoneError
			if errors.As(err, &gone) {
				return errors.Join(showGone(cmd, gone.ID), err)
			} else if err != nil {
				return err
			}
			v, verr := evidence.Verdict{Info: info}, error(nil)
			if verify {
				v, verr = verdictOn(cmd, dir, info)
			}
			var list []recording.Channel
			var denied error
			ids, err := identities(cmd)
			switch {
			case errors.Is(err, errNoIdentity):
			case err != nil:
				return err
			default:
				if err := noteRead(cmd, info.ID, "show"); err != nil {
					return err
				}
				var cerr error
				list, cerr = play.Channels(dir, info.ID, ids)
				switch {
				case errors.Is(cerr, recording.ErrTruncated): // the verdict says so
				case errors.Is(cerr, recording.ErrKey):
					denied = sealedError(cerr) // which says nothing of the recording
				default:
					verr = errors.Join(verr, sealedError(cerr))
				}
			}
			notes, nerr := notesOf(cmd)
			if nerr != nil {
				_, _ = fmt.Fprintln(cmd.ErrOrStderr(), "entry: note: without the audit log nothing is known of reviews, nor of who ended it") // the verdict says what is wrong with it
			}
			tellLacks(cmd, notes, info)
			sheet := catalog.Sheet{Verdict: v, Notes: notes, Channels: list, Readers: catalog.Readers(v, knownAuditors(cmd)), Err: verr}
			if sheet.Refused, err = refusedLines(cmd, info, notes); err != nil {
				return err
			}
			if asJSON(cmd) {
				err = printJSON(cmd, sheet)
			} else {
				err = sheet.Tell(cmd.OutOrStdout())
			}
			if err != nil {
				return err
			}
			if verr != nil {
				return verr
			}
			if denied != nil && !cmd.Flags().Changed("identity") { // which nobody asked for
				fmt.Fprintf(cmd.ErrOrStderr(), "entry: note: %s beside the configuration doesn't open it, so its channels aren't shown: --identity KEYFILE names another one\n", recording.IdentityFile)
				return nil
			}
			return denied
		},
	}
	identityFlag(cmd)
	cmd.Flags().Bool("json", false, "one JSON object")
	cmd.Flags().BoolVar(&verify, "verify", true, "verify the recording, which reads all of it")
	return cmd
}

// showGone prints what the log has of a session whose recording isn't here.
func showGone(cmd *cobra.Command, id string) error {
	notes, err := notesOf(cmd)
	if err != nil {
		return err
	}
	info, _ := notes.GoneInfo(id)
	tellLacks(cmd, notes, info)
	sheet := catalog.Sheet{Verdict: evidence.Verdict{Info: info}, Notes: notes}
	if sheet.Refused, err = refusedLines(cmd, info, notes); err != nil {
		return err
	}
	if asJSON(cmd) {
		return printJSON(cmd, sheet)
	}
	return sheet.Tell(cmd.OutOrStdout())
}

// verdictOn verifies a recording against what is here of a log.
func verdictOn(cmd *cobra.Command, dir string, info recording.Info) (evidence.Verdict, error) {
	if p := sourceOf(cmd); p != nil && p.bundle != nil {
		return evidence.VerifyBy(p.events, dir, info)
	}
	logDir, _, _, err := auditDirs(cmd)
	if err != nil {
		logDir = "" // the verdict says that it isn't here
	}
	return evidence.VerifyOne(logDir, dir, info)
}

// place are the flags with which a command was told where things are, for one that
// follows it: of names those that were given.
func place(cmd *cobra.Command, names ...string) (flags string) {
	for _, name := range names {
		if f := cmd.Flags().Lookup(name); f != nil && f.Changed {
			flags += " --" + name + " " + plain.Shell(f.Value.String())
		}
	}
	return flags
}

// refusedLines say what was refused in a session, and why.
func refusedLines(cmd *cobra.Command, i recording.Info, notes evidence.Notes) ([]string, error) {
	if _, n := notes.Of(i); !n.Refused {
		return nil, nil
	}
	var refusals iter.Seq2[audit.Event, error]
	if p := sourceOf(cmd); p != nil {
		refusals = evidence.RefusalsBy(p.events, i.ID)
	} else {
		dir, _, _, err := auditDirs(cmd)
		if err != nil {
			return nil, err
		}
		refusals = evidence.Refusals(dir, i.ID)
	}
	return catalog.Refused(refusals, "entry audit search --session "+i.ID+place(cmd, "config", "dir")), nil
}
