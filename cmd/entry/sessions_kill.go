//go:build linux

package main

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/oklog/ulid/v2"
	"github.com/spf13/cobra"

	"entry/audit/plain"
	"entry/bastion/access"
	"entry/bastion/admin"
)

// actingVerbs are those that have a server do something about a session.
func actingVerbs() []*cobra.Command { return []*cobra.Command{sessionsKillCmd(), sessionsMarkCmd()} }

func sessionsKillCmd() *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use:   "kill SESSION --reason TEXT",
		Short: "End one running session; its user reads the reason",
		Long: `End one running session, with all its channels and forwards. Its user reads "an
operator ended this session" and the reason. Other sessions of theirs go on, and they may begin new ones: entry user disable takes access away. The
audit log has who did it, as the kernel tells it, and the reason.

SESSION is the ID of a running session or the unambiguous start of one. A session
at another server on the same database needs the whole ID.`,
		Example: `  entry sessions ls --state live
  entry sessions kill 01JQ8Z3M6W --reason "maintenance of home; come back at 14:00"`,
		Args: usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if strings.TrimSpace(reason) == "" {
				return failf(exitUsage, "say why with --reason TEXT; the user reads it")
			}
			o, err := runningServer(cmd)
			if err != nil && exitCode(err) != exitUsage {
				return hinted(err, "sessions run only while a server does")
			}
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, o.Close()) }()
			s, err := liveSession(cmd, o, args[0])
			if err != nil {
				return err
			}
			var ended admin.Ended
			err = o.call(cmd.Context(), http.MethodDelete, "/v1/sessions/"+url.PathEscape(s.ID), map[string]string{"reason": reason}, &ended)
			if exitCode(err) == exitNotFound {
				return goneSession(cmd, s.ID, err)
			}
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "Ended: session %s%s.\n", s.ID, whose(s, ended))
			return err
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the user and the log: one line (`TEXT`)")
	return cmd
}

func whose(s access.SessionInfo, ended admin.Ended) string {
	if ended.Elsewhere {
		return ", at another server on the database"
	}
	return " of " + plain.Word(s.User) + " on " + plain.Word(s.Target)
}

// liveSession is the running session that a person means by name: one here by the
// start of its ID, or one that the server may know by the whole ID.
func liveSession(cmd *cobra.Command, o *operator, name string) (access.SessionInfo, error) {
	var live, fits []access.SessionInfo
	if err := o.call(cmd.Context(), http.MethodGet, "/v1/sessions", nil, &live); err != nil {
		return access.SessionInfo{}, err
	}
	for _, s := range live {
		if name != "" && strings.HasPrefix(s.ID, strings.ToUpper(name)) {
			fits = append(fits, s)
		}
	}
	if len(fits) == 1 {
		return fits[0], nil
	}
	if len(fits) > 1 {
		return access.SessionInfo{}, hinted(failf(exitUsage, "%q is the start of %d running sessions", name, len(fits)),
			fmt.Sprintf("the first two are %s and %s", fits[0].ID, fits[1].ID))
	}
	if id, err := ulid.ParseStrict(strings.ToUpper(name)); err == nil {
		return access.SessionInfo{ID: id.String()}, goneSession(cmd, id.String(), nil)
	}
	if _, i, err := findRecording(cmd, name); err == nil && name != "last" {
		return access.SessionInfo{}, goneSession(cmd, i.ID, failf(exitNotFound, "session %s isn't running", i.ID))
	}
	return access.SessionInfo{}, hinted(failf(exitNotFound, "no running session here has an ID that starts with %q", name),
		"entry sessions ls --state live lists them; one at another server needs its whole ID")
}

// goneSession says of a session that isn't running that it is over, where the log
// has its end, else what err says.
func goneSession(cmd *cobra.Command, id string, err error) error {
	notes, nerr := notesOf(cmd)
	if at := notes.Ended(id); nerr == nil && !at.IsZero() {
		by := ""
		if k := notes.Killed(id); k != nil {
			by = ": " + plain.Line(k.By.String()) + " ended it, " + plain.Said(k.Reason)
		}
		return failf(exitNotFound, "session %s is over already, since %s%s", id, plain.Moment(at), by)
	}
	return err
}
