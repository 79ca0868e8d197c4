package main

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"entry/audit/evidence"
	"entry/audit/plain"
	"entry/audit/when"
	"entry/session/recording"
	"entry/session/recording/find"
)

// Exit codes of grep, as of its namesake.
const (
	grepNone    = 1
	grepTrouble = 2
)

// grepFlags are which sessions are searched, and for what.
type grepFlags struct {
	aboutFlags
	pattern                   find.Pattern
	text                      string // of it
	since, until, command, in string

	query find.Query
}

func sessionsGrepCmd() *cobra.Command {
	var g grepFlags
	cmd := &cobra.Command{
		Use:   "grep PATTERN",
		Short: "Search what recorded sessions show, their commands and file names",
		Long: `Search recorded sessions for lines that match a regular expression (Go's syntax;
-F takes it as it is, -i takes no notice of case). Searched are, or those that --in
names:

  output    every line that could ever be read: also what was erased or
            overwritten, what full-screen programs showed, and each pane of a
            tmux in control mode (tmux -CC), which it names. What stood too
            shortly to be a line of the text export is found as it was written
            or stood ("passing"), at the end of its channel, unless a line that
            stood then has it; of a counter the first few and the last. What is
            in a control string, as a title, is "concealed"; what was written as
            hidden, or in the colour of its background, is "hidden" (the same
            words may have been shown at that time, too); "as written" is what a
            terminal might have shown with other letters
  input     what was piped to a shell as its script, or typed where policy
            records that, also into tmux's panes, and what the client said
            beside: environment variables, a terminal's type, signals, X11, who
            opened a forward
  commands  typed at a prompt, run by exec, read as a script. A command that was
            typed is a line of output, too, and found once, as that; one of
            which no line stood there whole, as a command. --in commands finds
            commands alone
  files     names of files that sftp, scp, rsync and git moved or changed

A line that doesn't match as it is is searched as it reads, too: without what has no
width or is NUL, with letters and their marks composed, in their usual width and form,
and without the marks; what in it is no UTF-8 by its bytes, as letters of Latin-1 or
Windows-1252, and as it is shown: \xe5. A line of output that only grew, as while it is typed, is one
line, grown: $ is its end then.

--since and --until are about when it was shown: a line of output counts if it stood
there in that time, however long before it came; what matches in a line whose numbers
change again and again is one hit. --command wants sessions in which a command was given
that matches it. Each hit comes with a line that replays it.

What should be there and couldn't be looked at is named on standard error, after the
hits: a recording that can't be opened, is damaged or was cut, a channel of which
something was lost. What policy doesn't keep, of what is searched, is no error and is
counted in a note: files of which there are names, forwards, sessions that aren't
recorded. So is a recording that a crash cut, or that failed, once the audit log says so.

The audit log notes each search: who, in which recordings, and a digest of PATTERN
(entry audit search --searched). Exit codes, as of grep: 0 found, 1 not found, 2 something that should be
there couldn't be looked at, found or not; and 3 where the identity opens none of the
recordings, as everywhere.

--json has one object a line: hits, what was "not_searched", at the end "summary".`,
		Example: `  entry sessions grep 'BEGIN .* PRIVATE KEY' --since 7d --identity auditor.key
  entry sessions grep -i patient --lab tinker --in output,files
  entry sessions grep '^(sudo|su)\b' --in commands --user alice --json
  entry sessions grep -F results.csv --command '^scp'`,
		Args: usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := g.parse(args[0], time.Now()); err != nil {
				return err
			}
			return g.run(cmd)
		},
	}
	g.aboutFlags.flags(cmd)
	f := cmd.Flags()
	f.BoolVarP(&g.pattern.FoldCase, "ignore-case", "i", false, "small and capital letters are the same, also for --command")
	f.BoolVarP(&g.pattern.Fixed, "fixed-strings", "F", false, "PATTERN is a text, not a regular expression")
	f.StringVar(&g.since, "since", "", "only what was shown since this `TIME`: "+when.Forms)
	f.StringVar(&g.until, "until", "", "only what was shown before this `TIME`")
	f.StringVar(&g.command, "command", "", "only sessions with a command that matches this `REGEXP`")
	f.StringVar(&g.in, "in", "", "only in these `PARTS`: output, input, commands, files")
	f.Bool("json", false, "one JSON object a line")
	identityFlag(cmd)
	return cmd
}

func (g *grepFlags) parse(pattern string, now time.Time) (err error) {
	g.text = pattern
	if g.query.Match, err = g.pattern.Compile(pattern); err != nil {
		return hinted(failf(exitUsage, "%w", err), "-F takes the pattern as it is")
	}
	if g.query.Since, g.query.Until, err = parseSpan(g.since, g.until, now); err != nil {
		return err
	}
	if g.command != "" {
		match, err := find.Pattern{FoldCase: g.pattern.FoldCase}.Compile(g.command)
		if err != nil {
			return failf(exitUsage, "--command: %w", err)
		}
		g.query.Command = func(text []byte) bool { return match(text) != nil }
	}
	for _, part := range strings.FieldsFunc(g.in, func(r rune) bool { return r == ',' || r == '|' || r == ' ' }) {
		if !slices.Contains(find.Fields(), find.Field(part)) {
			return failf(exitUsage, "--in %q: want output, input, commands or files, or several with commas", part)
		}
		g.query.In = append(g.query.In, find.Field(part))
	}
	return nil
}

// wants reports whether a session is searched. One whose header is damaged may be
// anybody's.
func (g *grepFlags) wants(i recording.Info) bool {
	return i.State == recording.Damaged && i.User == "" ||
		g.Fits(i.User, i.Lab, i.Target) && (i.End.IsZero() || !i.End.Before(g.query.Since)) &&
			(g.query.Until.IsZero() || i.Start.Before(g.query.Until))
}

func (g *grepFlags) run(cmd *cobra.Command) error {
	ids, err := identities(cmd)
	if err != nil {
		return err
	}
	dir, all, err := recordings(cmd)
	if err != nil {
		return &exitError{code: grepTrouble, err: err, hint: hintOf(err)}
	}
	if err := g.check(cmd, all); err != nil {
		return &exitError{code: grepTrouble, err: err, hint: hintOf(err)}
	}
	list := slices.DeleteFunc(slices.Clone(all), func(i recording.Info) bool { return !g.wants(i) })
	ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	p := newGrepPrinter(cmd, list)
	var names []string
	for _, i := range list {
		names = append(names, i.ID)
	}
	if err := noteReadings(cmd, names, "grep", g.text); err != nil {
		return &exitError{code: grepTrouble, err: err, hint: hintOf(err)}
	}
	o := find.Options{Dir: dir, Identities: ids, Workers: runtime.GOMAXPROCS(0), Progress: p.progress}
	if notes, err := notesOf(cmd); err == nil { // what is wrong with the log is told below
		o.Cut = notes.KnownCut
	}
	for r, err := range find.Search(ctx, o, list, g.query) {
		if err == nil {
			err = p.result(r)
		}
		if err != nil {
			p.clear()
			return &exitError{code: grepTrouble, err: err, hint: hintOf(err)}
		}
	}
	p.clear()
	if err := g.unrecorded(cmd, p, all); err != nil {
		return &exitError{code: grepTrouble, err: err}
	}
	return p.end()
}

// unrecorded names the sessions that only the log has.
func (g *grepFlags) unrecorded(cmd *cobra.Command, p *grepPrinter, have []recording.Info) error {
	dir, _, _, err := auditDirs(cmd)
	notes, nerr := notesOf(cmd)
	if err != nil || !exists(dir) {
		_, _ = fmt.Fprintln(p.errs, "entry: note: the audit log isn't here: sessions that weren't recorded can't be named")
		return nil
	}
	want := func(c evidence.Channel) bool {
		return g.Fits(c.User, c.Lab, c.Target) && (g.query.Until.IsZero() || c.Opened.Before(g.query.Until))
	}
	if nerr != nil {
		notes = evidence.Notes{} // what is wrong with the log is told below
	}
	for u, err := range find.Unrecorded(dir, g.query.Since, have, notes.Gone(), want) {
		if tellAbsent(cmd, err) {
			continue
		}
		if err != nil {
			u = find.Unread{Why: "a part of the audit log can't be read: " + err.Error(), Missing: true}
		}
		if err := p.result(find.Result{Unread: &u}); err != nil {
			return err
		}
	}
	return nil
}

// end is the exit code of a search.
func (p *grepPrinter) end() error {
	if p.lines != nil {
		if err := p.lines.Encode(map[string]find.Summary{"summary": p.sum.Summary}); err != nil {
			return &exitError{code: grepTrouble, err: err}
		}
	}
	if p.sum.Sealed > 0 && p.sum.Sealed == p.sum.Sessions {
		return wrongIdentity(p.sum.Sealed)
	}
	if err := p.tellUnread(); err != nil {
		return &exitError{code: grepTrouble, err: err}
	}
	switch {
	case p.sum.Missing > 0:
		return failf(grepTrouble, "%s; not all could be looked at, as named above", plain.Count(p.sum.Hits, "hit"))
	case p.sum.Hits == 0:
		return &exitError{code: grepNone, err: errors.New("nothing matches")}
	}
	return nil
}
