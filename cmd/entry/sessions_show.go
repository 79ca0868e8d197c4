package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"

	"filippo.io/age"
	"github.com/spf13/cobra"

	"entry/audit"
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
what was written is named by its first bad segment, and the exit code is 1.`,
		Example: `  entry sessions show last
  entry sessions show 01JQ8Z3M6W --identity auditor.key --json`,
		Args: usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			dir, info, err := findRecording(cmd, args[0])
			if err != nil {
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
				list, cerr = channelsOf(dir, info.ID, ids)
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
			refused, err := refusedLines(cmd, info, notes)
			if err != nil {
				return err
			}
			if err := printVerdict(cmd.OutOrStdout(), v, notes, list, refused, openTo(cmd, v), asJSON(cmd), verr); err != nil {
				return err
			}
			if verr != nil {
				return verr
			}
			return denied
		},
	}
	identityFlag(cmd)
	cmd.Flags().Bool("json", false, "one JSON object")
	cmd.Flags().BoolVar(&verify, "verify", true, "verify the recording, which reads all of it")
	return cmd
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

// channelsOf reads a recording for what its channels are.
func channelsOf(dir, id string, ids []age.Identity) (list []recording.Channel, err error) {
	info, err := recording.Stat(dir, id) // before it is read: what ends meanwhile has its end in it
	if err != nil {
		return nil, err
	}
	r, err := recording.OpenRecording(dir, id, ids...)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	list, err = recording.Channels(r.Next)
	if info.State == recording.Live {
		recording.StillOpen(list)
	}
	return list, err
}

// channelLine is a channel as --json has it.
type channelLine struct {
	Number  uint32  `json:"channel"`
	Type    string  `json:"type,omitempty"`
	Program string  `json:"program,omitempty"`
	Command string  `json:"command,omitempty"`
	To      string  `json:"destination,omitempty"`
	PTY     bool    `json:"pty"`
	Term    string  `json:"term,omitempty"`
	Cols    uint32  `json:"cols,omitempty"`
	Rows    uint32  `json:"rows,omitempty"`
	Start   float64 `json:"start"` // seconds since the session's
	End     float64 `json:"end"`
	Output  int64   `json:"output_bytes"`
	Error   int64   `json:"error_bytes"`
	Input   int64   `json:"input_bytes"`
	Down    int64   `json:"bytes_down,omitempty"` // that passed, once it is closed
	Up      int64   `json:"bytes_up,omitempty"`
	Gaps    int     `json:"gaps,omitempty"`
	Exit    *uint32 `json:"exit,omitempty"`
	Signal  string  `json:"signal,omitempty"`

	Env      []string            `json:"env,omitempty"`      // "NAME=value"
	Coverage recording.Coverage  `json:"coverage,omitempty"` // absent where the recording lacks the channel's end
	Open     bool                `json:"open,omitempty"`     // since that is still to come
	Missing  []recording.Missing `json:"missing,omitempty"`
}

func channelLines(list []recording.Channel) []channelLine {
	out := make([]channelLine, len(list))
	for i, c := range list {
		out[i] = channelLine{
			Number: c.Number, Type: c.Type, Program: c.Program, Command: c.Command, To: c.Destination, PTY: c.PTY, Term: c.Term, Cols: c.Cols, Rows: c.Rows,
			Start: c.Start.Seconds(), End: c.End.Seconds(), Output: c.Output, Error: c.Error, Input: c.Input, Down: c.Down, Up: c.Up, Gaps: c.Gaps,
			Env: c.Env, Coverage: c.Coverage, Open: c.Open, Missing: c.Missing,
		}
		if c.Exit != nil {
			out[i].Exit, out[i].Signal = c.Exit.Status, c.Exit.Signal
		}
	}
	return out
}

// printVerdict writes what show has to say of one recording. refused are lines about
// what was refused in it, readers says who can open it, verr is what verifying and reading
// said.
func printVerdict(out io.Writer, v evidence.Verdict, notes evidence.Notes, list []recording.Channel, refused []string, readers string, asJSON bool, verr error) error {
	said := lineOf(v.Info, notes)
	if len(list) > 0 {
		said.Coverage = leastOf(list)
	}
	if asJSON {
		line := struct {
			sessionLine
			HeaderHash string          `json:"header_hash"`
			Head       string          `json:"head"`
			Notice     string          `json:"notice,omitempty"`
			Verified   bool            `json:"verified"`
			Against    string          `json:"against,omitempty"` // "" if verifying wasn't asked for
			Bad        string          `json:"bad,omitempty"`
			Failed     string          `json:"failed,omitempty"`
			Channels   []channelLine   `json:"channels,omitempty"`
			Holds      []evidence.Hold `json:"holds,omitempty"`
			Auditors   []string        `json:"auditors,omitempty"`  // fingerprints of the keys that open it, where they are known
			Rewrapped  int             `json:"rewrapped,omitempty"` // how often it was sealed anew
			Pending    bool            `json:"rewrap_pending,omitempty"`
		}{Auditors: v.Sealed.Auditors, Rewrapped: v.Sealed.Rewraps, Pending: v.Sealed.Pending(), Holds: notes.Holds(v.Info), sessionLine: said, HeaderHash: hexOf(v.Info.HeaderHash), Head: hexOf(v.Info.Head), Notice: v.Info.Notice,
			Verified: verr == nil && v.Against != evidence.Nothing, Against: v.Against.String(), Failed: v.Failed, Channels: channelLines(list)}
		if verr != nil {
			line.Bad = verr.Error()
		}
		return json.NewEncoder(out).Encode(line)
	}
	i := v.Info
	w := plain.NewTable(out)
	for _, row := range [][2]string{
		{"session", i.ID}, {"user", i.User}, {"lab", i.Lab}, {"target", i.Target}, {"login", i.Login}, {"source", i.Source},
		{"rule", i.Rule}, {"policy", i.Policy}, {"start", plain.Time(i.Start)}, {"end", plain.Time(i.End)}, {"state", string(said.State)},
		{"input", map[bool]string{true: "recorded", false: "not recorded"}[i.Input]}, {"notice", i.Notice},
		{"header hash", hexOf(i.HeaderHash)}, {"head", hexOf(i.Head)}, {"size", plain.Size(i.Size) + " in " + plain.Count(int(i.Segments), "segment")},
		{"open to", readers}, {"failed", v.Failed}, {"verified", verdictOf(v, verr)}, {"coverage", cmp.Or(coverageOfAll(list), string(said.Coverage))},
	} {
		if row[1] != "" {
			w.Row(row[0], plain.Line(row[1]))
		}
	}
	for n, line := range refused {
		w.Row(map[bool]string{true: "refused", false: ""}[n == 0], plain.Line(line))
	}
	for _, row := range [][2]string{{"ended by", killOf(said.Killed)}, {"reviewed", reviewOf(said)}, {"held", heldBy(notes.Holds(v.Info))}} { // in operators' own words
		if row[1] != "" {
			w.Row(row[0], row[1])
		}
	}
	for n, c := range list {
		w.Row(map[bool]string{true: "channels", false: ""}[n == 0], play.Describe(c))
		for _, line := range play.Environment(c) {
			w.Row("", "  "+line)
		}
	}
	return w.Flush()
}

// heldBy says which holds keep a recording; "" if none does.
func heldBy(holds []evidence.Hold) string {
	var all []string
	for _, h := range holds {
		all = append(all, fmt.Sprintf("by hold %s on %s since %s, by %s: %s", h.ID, plain.Word(h.What()), plain.Time(h.At), plain.Line(h.By.String()), plain.Said(h.Reason)))
	}
	return strings.Join(all, "; ")
}

// killOf says who ended a session, and why; "" if no operator did.
func killOf(k *evidence.Kill) string {
	if k == nil {
		return ""
	}
	return plain.Time(k.At) + " by " + plain.Line(k.By.String()) + ": " + plain.Said(k.Reason)
}

// killedBy says who ended a session, and why, in words to be added to its end; "" if
// no operator did.
func killedBy(notes evidence.Notes, id string) string {
	k := notes.Killed(id)
	if k == nil {
		return ""
	}
	return ": " + plain.Line(k.By.String()) + " ended it, " + plain.Said(k.Reason)
}

// maxRefused is how many refusals of a session show tells.
const maxRefused = 5

// refusedLines say what was refused in a session, and why.
func refusedLines(cmd *cobra.Command, i recording.Info, notes evidence.Notes) (lines []string, err error) {
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
	more := 0
	for e, err := range refusals {
		switch {
		case err != nil: // who reads the log for itself says so
		case len(lines) == maxRefused:
			more++
		default:
			lines = append(lines, refusalOf(e))
		}
	}
	if more > 0 {
		lines = append(lines, fmt.Sprintf("and %d more: entry audit search --session %s%s", more, i.ID, place(cmd, "config", "dir")))
	}
	return lines, nil
}

// refusalOf says what was refused, and why.
func refusalOf(e audit.Event) string {
	what := cmp.Or(e.Capability, plain.Word(e.ChannelType))
	if e.Channel != nil {
		what = cmp.Or(e.Capability, "a request") + fmt.Sprintf(" on channel %d", *e.Channel)
	}
	if e.Destination != "" {
		what += " to " + plain.Word(e.Destination)
	}
	text := plain.Time(e.Time) + " " + what + ": " + cmp.Or(e.Detail, e.Reason)
	if e.Count > 1 {
		text += fmt.Sprintf(" (%d times)", e.Count)
	}
	return text
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

// reviewOf says who has reviewed a session last; "" if nobody has.
func reviewOf(n sessionLine) string {
	if n.Review == nil {
		return ""
	}
	text := plain.Time(n.Review.At) + " by " + plain.Line(n.Review.By.String())
	if n.Review.Note != "" {
		text += ": " + plain.Said(n.Review.Note)
	}
	if n.Reviews > 1 {
		text += fmt.Sprintf(" (the newest of %d reviews)", n.Reviews)
	}
	return text
}

// leastOf is the least coverage of a session's channels; "" without them, and while
// one of them is open.
func leastOf(list []recording.Channel) (least recording.Coverage) {
	for _, c := range list {
		if c.Open {
			return ""
		}
		if c.Coverage == "" {
			c.Coverage = recording.Partial
		}
		least = recording.Least(least, c.Coverage)
	}
	return least
}

// coverageOfAll sums up how much of a session is kept; "" without its channels.
func coverageOfAll(list []recording.Channel) string {
	const open recording.Coverage = "open so far"
	sums := map[recording.Coverage]int{}
	for _, c := range list {
		switch {
		case c.Open:
			c.Coverage = open
		case c.Coverage == "":
			c.Coverage = recording.Partial
		}
		sums[c.Coverage]++
	}
	var parts []string
	for _, c := range append(recording.Coverages(), open) {
		if n := sums[c]; n > 0 {
			parts = append(parts, fmt.Sprintf("%s %s", plain.Count(n, "channel"), c))
		}
	}
	return strings.Join(parts, ", ")
}

func verdictOf(v evidence.Verdict, err error) string {
	if err != nil {
		return "NO: " + strings.ReplaceAll(err.Error(), "\n", "; ")
	}
	if v.Against == evidence.Nothing {
		return "not asked for"
	}
	return "yes, " + v.Against.String()
}
