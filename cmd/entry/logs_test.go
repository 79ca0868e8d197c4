//go:build linux

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"entry/audit"
	"entry/audit/logs"
	"entry/e2e/testkit"
)

// twoLogs are logs that are written.
func twoLogs(t *testing.T) (dirs []string, all []*audit.Log, clock *testkit.Clock) {
	t.Helper()
	clock = testkit.NewClock(time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC))
	clock.Stride(time.Second)
	for _, name := range []string{"one.test", "two.test"} {
		dir := filepath.Join(t.TempDir(), "audit")
		key, _, err := audit.GenerateKey(name)
		testkit.Check(t, err)
		l := testkit.Must(audit.Open(dir, audit.Options{Key: key, Now: clock.Now}))(t)
		t.Cleanup(func() { _ = l.Close() })
		dirs, all = append(dirs, dir), append(all, l)
	}
	return dirs, all, clock
}

// Who follows several logs sees what comes to each, and goes on where one of them is broken.
func TestTailOfSeveral(t *testing.T) {
	dirs, all, _ := twoLogs(t)
	put := func(log int, user string) {
		testkit.Check(t, all[log].Append(t.Context(), audit.Event{Type: audit.LoginSucceeded, User: user}))
	}
	for i := range 6 {
		put(i%2, fmt.Sprintf("old%d", i))
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var out, errs testkit.Output
	cmd := auditCmd()
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	cmd.SetOut(&out)
	cmd.SetErr(&errs)
	cmd.SetArgs([]string{"tail", "-f", "-n", "3", "--log", dirs[0], "--log", dirs[1]})
	ended := make(chan error, 1)
	go func() { ended <- cmd.ExecuteContext(ctx) }()
	sees := func(user, log string) {
		t.Helper()
		testkit.Eventually(t, user, func() bool { return strings.Contains(out.String(), " log="+log+" user="+user+"\n") })
	}
	sees("old5", "two.test")
	put(0, "new0")
	sees("new0", "one.test")
	put(1, "new1")
	sees("new1", "two.test")
	testkit.Check(t, os.Truncate(filepath.Join(dirs[0], "events.jsonl"), 10))
	testkit.Check(t, all[1].Append(t.Context(), audit.Event{Type: audit.LoginSucceeded, User: "new2"}))
	sees("new2", "two.test")
	put(1, "new3") // by now it is known that the other one is broken
	sees("new3", "two.test")
	stop()
	err := testkit.Receive(t, "the end", ended)
	if err == nil || exitCode(err) != exitFailure || !strings.Contains(err.Error(), "one.test: ") || !strings.Contains(err.Error(), "shorter") {
		t.Errorf("%v; %s", err, errs.String())
	}
	var users []string
	for line := range strings.Lines(out.String()) {
		_, user, _ := strings.Cut(strings.TrimSpace(line), " user=")
		users = append(users, user)
	}
	if want := []string{"old3", "old4", "old5", "new0", "new1", "new2", "new3"}; !slices.Equal(users, want) {
		t.Errorf("%q, want %q", users, want)
	}
}

// A large log gets an index in the folder for what can be made again, a small one and a
// search that wants none don't; what they show is the same.
func TestSearchMakesAnIndex(t *testing.T) {
	home := t.TempDir()
	t.Setenv("XDG_CACHE_HOME", filepath.Join(home, "cache"))
	dirs, all, _ := twoLogs(t)
	batch := make([]audit.Event, 1000)
	for i := range batch {
		batch[i] = audit.Event{Type: audit.ChannelOpened, User: "alice", Session: fmt.Sprintf("01JQ8Z3M6W%016d", i), Detail: strings.Repeat("x", audit.MaxDetail)}
	}
	for range logs.LeastIndexed / (len(batch) * audit.MaxDetail) {
		testkit.Check(t, all[0].Append(t.Context(), batch...))
	}
	testkit.Check(t, all[0].Append(t.Context(), audit.Event{Type: audit.LoginFailed, User: "bob", Conn: "01JQ8Z3M6X0000000000000000"}))
	testkit.Check(t, all[1].Append(t.Context(), audit.Event{Type: audit.LoginFailed, User: "bob"}))
	made := func() []string { return testkit.Must(filepath.Glob(filepath.Join(home, "cache", "entry", "*.db")))(t) }

	for _, args := range [][]string{{"search", "--user", "bob", "--log", dirs[1]}, {"search", "--user", "bob", "--no-index", "--log", dirs[0]}} {
		out, errs, err := runAudit(args...)
		if err != nil || strings.Count(out, "\n") != 1 || len(made()) > 0 || strings.Contains(errs, "index") {
			t.Errorf("%q: %q, %q, %v, %q", args, out, errs, err, made())
		}
	}
	for _, args := range [][]string{{"--user", "bob"}, {"--user", "bob"}, {"--session", "01JQ8Z3M6X"}, {"--type", "login"}} {
		out, errs, err := runAudit(append([]string{"search", "--log", dirs[0]}, args...)...)
		if err != nil || strings.Count(out, "\n") != 1 || len(made()) != 1 || strings.Contains(errs, "index") {
			t.Errorf("%q: %q, %q, %v, %q", args, out, errs, err, made())
		}
	}
	// One that can't be is told of, and nothing else is different.
	testkit.Check(t, os.Chmod(filepath.Join(home, "cache", "entry"), 0o777))
	out, errs, err := runAudit("search", "--type", "login", "--log", dirs[0])
	if err != nil || strings.Count(out, "\n") != 1 || !strings.HasPrefix(errs, "entry: note: all of the log is read, since it can have no index here: others may write in ") {
		t.Errorf("%q, %q, %v", out, errs, err)
	}
	if _, _, err := runAudit("search", "--type", "login", "--index", filepath.Join(home, "cache", "entry"), "--log", dirs[0]); exitCode(err) != exitUsage {
		t.Errorf("a folder that others may write in: %v", err)
	}
}
