//go:build linux

package main

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"entry/audit/catalog"
	"entry/audit/plain"
	"entry/bastion/access"
	"entry/bastion/admin"
	"entry/session/recording"
)

// actingVerbs are those that have a server do something about a session.
func actingVerbs() []*cobra.Command {
	return []*cobra.Command{sessionsKillCmd(), sessionsMarkCmd(), sessionsHoldCmd(), sessionsReleaseCmd(), sessionsHoldsCmd(), sessionsEraseCmd(), sessionsErasuresCmd()}
}

func sessionsKillCmd() *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use:   "kill SESSION --reason TEXT",
		Short: "End one running session; its user reads the reason",
		Long: `End one running session, with all its channels and forwards. Its user reads "an
operator ended this session" and the reason. Other sessions of theirs go on, and
they may begin new ones: entry user disable takes access away. The audit log has
who did it, as the kernel tells it, and the reason.

SESSION is the ID of a running session or the start of one, if no other session,
running or recorded, has an ID that starts so. "last" isn't taken: another one may
have begun since you looked. A session at another server on the same database needs
the whole ID.`,
		Example: `  entry sessions ls --state live
  entry sessions kill 01JQ8Z3M6W --reason "maintenance; come back at 14:00"`,
		Args: usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if strings.TrimSpace(reason) == "" {
				return failf(exitUsage, "say why with --reason TEXT; the user reads it")
			}
			return withServer(cmd, "sessions run only while a server does", func(o *operator) error { return killSession(cmd, o, args[0], reason) })
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the user and the log: one line (`TEXT`)")
	return cmd
}

func killSession(cmd *cobra.Command, o *operator, name, reason string) error {
	s, err := liveSession(cmd, o, name)
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
}

func whose(s access.SessionInfo, ended admin.Ended) string {
	if ended.Elsewhere {
		return ", at another server on the database"
	}
	return " of " + plain.Word(s.User) + " on " + plain.Word(s.Target)
}

// liveSession is the running session that a person means by name: one here, or one that
// the server may know by the whole ID.
func liveSession(cmd *cobra.Command, o *operator, name string) (access.SessionInfo, error) {
	var live []access.SessionInfo
	if err := o.call(cmd.Context(), http.MethodGet, "/v1/sessions", nil, &live); err != nil {
		return access.SessionInfo{}, err
	}
	running := map[string]access.SessionInfo{}
	for _, s := range live {
		running[s.ID] = s
	}
	id, err := catalog.Running(name, slices.Collect(maps.Keys(running)), func() ([]recording.Info, error) {
		_, list, err := recordings(cmd)
		return list, err
	})
	if a := adviser(nil); errors.As(err, &a) {
		err = hinted(err, a.Hint()) // not that of why recordings can't be read
	}
	if err != nil {
		return access.SessionInfo{}, err
	}
	if s, here := running[id]; here {
		return s, nil
	}
	if strings.EqualFold(id, name) { // it may run elsewhere
		return access.SessionInfo{ID: id}, goneSession(cmd, id, nil)
	}
	return access.SessionInfo{}, goneSession(cmd, id, failf(exitNotFound, "session %s isn't running", id))
}

// goneSession says of a session that isn't running that it is over, where the log
// has its end, else what err says.
func goneSession(cmd *cobra.Command, id string, err error) error {
	notes, nerr := notesOf(cmd)
	if at := notes.Ended(id); nerr == nil && !at.IsZero() {
		return failf(exitNotFound, "session %s is over already, since %s%s", id, plain.Moment(at), catalog.EndedBy(notes, id))
	}
	return err
}
