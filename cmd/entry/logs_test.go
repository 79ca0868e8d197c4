//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"entry/audit"
	"entry/e2e/testkit"
)

func TestMerged(t *testing.T) {
	second := func(n int) time.Time { return time.Unix(int64(n), 0) }
	broken := errors.New("broken")
	type one struct {
		at  int // 0 for no time, -1 for an error
		say string
	}
	of3 := map[string][]one{
		"a": {{1, "a1"}, {4, "a4"}, {4, "a4 too"}, {0, "a open"}},
		"b": {{-1, "b broke"}, {2, "b2"}, {3, "b3"}, {-1, "b broke again"}, {4, "b4"}, {0, "b open"}},
		"c": {{-1, "c broke"}},
		"d": {},
	}
	read := func(l oneLog) iter.Seq2[one, error] {
		return func(yield func(one, error) bool) {
			for _, o := range of3[l.name] {
				var err error
				if o.at < 0 {
					err = fmt.Errorf("%s: %w", o.say, broken)
				}
				if !yield(o, err) {
					return
				}
			}
		}
	}
	when := func(o one) time.Time {
		if o.at == 0 {
			return time.Time{}
		}
		return second(o.at)
	}
	logs := []oneLog{{name: "a"}, {name: "b"}, {name: "c"}, {name: "d"}}
	var all []string
	for x := range merged(logs, read, when) {
		if (x.err != nil) != (x.what.at < 0) || !strings.HasPrefix(x.what.say, x.log.name) {
			t.Errorf("%+v", x)
		}
		all = append(all, x.what.say)
	}
	want := []string{"b broke", "c broke", "a1", "b2", "b3", "b broke again", "a4", "a4 too", "b4", "a open", "b open"}
	if !slices.Equal(all, want) {
		t.Errorf("got %q, want %q", all, want)
	}
	for stop := range want {
		n := 0
		for range merged(logs, read, when) {
			if n++; n > stop {
				break
			}
		}
		if n != stop+1 {
			t.Errorf("stopped after %d, not %d", n, stop+1)
		}
	}
}

// twoLogs are logs that are written.
func twoLogs(t *testing.T) (dirs []string, logs []*audit.Log, clock *testkit.Clock) {
	t.Helper()
	clock = testkit.NewClock(time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC))
	clock.Stride(time.Second)
	for _, name := range []string{"one.test", "two.test"} {
		dir := filepath.Join(t.TempDir(), "audit")
		key, _, err := audit.GenerateKey(name)
		testkit.Check(t, err)
		l := testkit.Must(audit.Open(dir, audit.Options{Key: key, Now: clock.Now}))(t)
		t.Cleanup(func() { _ = l.Close() })
		dirs, logs = append(dirs, dir), append(logs, l)
	}
	return dirs, logs, clock
}

// Who follows several logs sees what comes to each, and goes on where one of them is broken.
func TestTailOfSeveral(t *testing.T) {
	dirs, logs, _ := twoLogs(t)
	put := func(log int, user string) {
		testkit.Check(t, logs[log].Append(t.Context(), audit.Event{Type: audit.LoginSucceeded, User: user}))
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
	testkit.Check(t, logs[1].Append(t.Context(), audit.Event{Type: audit.LoginSucceeded, User: "new2"}))
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
	dirs, logs, _ := twoLogs(t)
	batch := make([]audit.Event, 1000)
	for i := range batch {
		batch[i] = audit.Event{Type: audit.ChannelOpened, User: "alice", Session: fmt.Sprintf("01JQ8Z3M6W%016d", i), Detail: strings.Repeat("x", audit.MaxDetail)}
	}
	for range leastIndexed / (len(batch) * audit.MaxDetail) {
		testkit.Check(t, logs[0].Append(t.Context(), batch...))
	}
	testkit.Check(t, logs[0].Append(t.Context(), audit.Event{Type: audit.LoginFailed, User: "bob", Conn: "01JQ8Z3M6X0000000000000000"}))
	testkit.Check(t, logs[1].Append(t.Context(), audit.Event{Type: audit.LoginFailed, User: "bob"}))
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
