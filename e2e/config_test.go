package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"entry/e2e/testkit"
)

// TestMalformedConfig: every mistake is named with its place, all at once, by
// `check` and `serve` alike, and nothing is started.
func TestMalformedConfig(t *testing.T) {
	beside(t)
	s := initSite(t)
	file := s.path("entry.yaml")
	good := testkit.ReadFile(t, file)
	for name, c := range map[string]struct {
		text string
		want []string // the first lines of each problem
	}{
		"unknown key":     {good + "listenrs: []\n", []string{`unknown key "listenrs".* \[Y009\]`}},
		"bad duration":    {good + "drain: soon\n", []string{` \[Y0\d\d\]`}},
		"twice":           {good + "name: a\nname: b\n", []string{`"name" .*\[Y008\]`}},
		"no YAML":         {"listeners: [\n", []string{` \[Y004\]`}},
		"empty":           {"", []string{` \[Y005\]`}},
		"second document": {good + "---\nname: other\n", []string{` \[Y006\]`}},
		"no listeners":    {"name: entry\n", []string{`listeners.* \[Y011\]`}},
		"bad address":     {"listeners: [{address: nowhere}]\n", []string{`"nowhere": want host:port or :port \[C001\]`}},
		"two mistakes":    {"listeners: [{address: nowhere}]\nlog: {level: loud}\n", []string{` \[C001\]`, ` \[Y012\]`}},
	} {
		t.Run(name, func(t *testing.T) {
			testkit.WriteFile(t, file, c.text)
			for _, verb := range []string{"check", "serve"} {
				r := testkit.Run(t, command(built, verb, "--config", file))
				if r.Code != 2 || r.Stdout != "" || !strings.HasPrefix(r.Stderr, "entry: ") {
					t.Errorf("%s: %s", verb, r)
				}
				for _, want := range c.want {
					line := regexp.MustCompile(`(?m)^(entry: )?` + regexp.QuoteMeta(file) + `(:\d+:\d+)?: .*` + want + `$`)
					if !line.MatchString(r.Stderr) {
						t.Errorf("%s doesn't say %q: %s", verb, want, r)
					}
				}
			}
		})
	}
}

// TestMalformedPolicy pins what an operator reads about each mistake.
func TestMalformedPolicy(t *testing.T) {
	beside(t)
	s := initSite(t)
	file := s.path("policy.d", "tinker.yaml")
	key := testkit.Authorized(testkit.NewSigner(t).PublicKey())
	const labs = "labs:\n  tinker:\n    members: [alice]\n    targets:\n"
	home := testkit.TargetLine("home", "127.0.0.1:22", key) + "\n"
	for name, c := range map[string]struct{ text, want string }{
		"no host key":      {labs + "      home: {address: \"127.0.0.1:22\"}\n", `home\.tinker has neither host_keys nor host_ca`},
		"no such right":    {labs + home + "rules:\n  - name: a\n    who: {labs: [tinker]}\n    where: {labs: [tinker]}\n    may: [shel]\n", `"shel" is no capability; did you mean "shell"\?`},
		"no such lab":      {labs + home + "rules:\n  - name: a\n    who: {labs: [tinkr]}\n    where: {labs: [tinker]}\n    may: [shell]\n", `no file defines lab "tinkr"`},
		"unlisted forward": {labs + home + "rules:\n  - name: a\n    who: {labs: [tinker]}\n    where: {labs: [tinker]}\n    may: [forward-local]\n    record: full\n", `forward_local`},
		"wildcard":         {labs + home + "rules:\n  - name: a\n    who: {labs: [tinker]}\n    where: {labs: [tinker]}\n    may: [forward-local]\n    forward_local: [\"*\"]\n    record: full\n", `a wildcard under record: full`},
		"failing test":     {labs + home + "tests:\n  - {user: alice, target: home.tinker, may: [shell]}\n", `test failed: expected alice .*no rule allows`},
		"tab":              {"labs:\n\ttinker: {}\n", `\[Y004\]`},
		"a secret inside":  {labs + home + "password: hunter2\n", `unknown key "password"`},
	} {
		t.Run(name, func(t *testing.T) {
			testkit.WriteFile(t, file, c.text)
			r := s.entry("check")
			// The place is shown, with a caret. Warnings may stand beside it.
			message := `(?m)^(entry: )?` + regexp.QuoteMeta(file) + `:\d+:\d+: .*` + c.want + `.*\n *\d+ \| .*\n +\| *\^`
			code := 2
			if name == "failing test" {
				code = 3 // the files are right, and what they promise isn't kept
			}
			if r.Code != code || r.Stdout != "" || !regexp.MustCompile(message).MatchString(r.Stderr) {
				t.Errorf("%s", r)
			}
			if r := testkit.Run(t, command(built, "serve", "--config", s.path("entry.yaml"))); r.Code == 0 || r.Stdout != "" {
				t.Errorf("serve: %s", r)
			}
		})
	}
}

// TestStartUpRefusals: what serve can't work with stops it before it listens.
func TestStartUpRefusals(t *testing.T) {
	beside(t)
	for name, spoil := range map[string]func(s *site){
		"the user CA's key is gone": func(s *site) { remove(s.t, s.path("keys", "user_ca")) },
		"the host CA's key is no key": func(s *site) {
			testkit.WriteFile(s.t, s.path("keys", "host_ca"), "nonsense\n")
		},
		"one key for both CAs": func(s *site) {
			testkit.WriteFile(s.t, s.path("keys", "host_ca"), testkit.ReadFile(s.t, s.path("keys", "user_ca")))
		},
		"no auditor": func(s *site) { testkit.WriteFile(s.t, s.path("keys", "auditors.pub"), "# nobody\n") },
		"a key that others can read": func(s *site) {
			if err := os.Chmod(s.path("keys", "user_ca"), 0o644); err != nil {
				s.t.Fatal(err)
			}
		},
		"a log that was tampered with": func(s *site) {
			s.add("zoe")
			file := s.path("audit", "events.jsonl")
			flip(s.t, file, len(testkit.ReadFile(s.t, file))/2)
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := initSite(t)
			spoil(s)
			r := testkit.Run(t, command(built, "serve", "--config", s.path("entry.yaml")))
			if r.Code == 0 || strings.Contains(r.Stdout, "ready") || !strings.Contains(r.Stderr, "entry: ") {
				t.Errorf("%s", r)
			}
		})
	}
	t.Run("a second server on the same directory", func(t *testing.T) {
		s, _ := quickSite(t, recordAll())
		s.configure(func(c map[string]any) {
			c["listeners"] = []any{map[string]any{"address": fmt.Sprintf("127.0.0.1:%d", testkit.FreePort(t))}}
		})
		r := testkit.Run(t, command(built, "serve", "--config", s.path("entry.yaml")))
		if r.Code != 1 || strings.Contains(r.Stdout, "ready") {
			t.Errorf("%s", r)
		}
	})
	t.Run("init keeps what is there", func(t *testing.T) {
		s := initSite(t)
		before := testkit.ReadFile(t, s.path("keys", "user_ca.pub"))
		if r := s.entry("init"); r.Code == 0 && testkit.ReadFile(t, s.path("keys", "user_ca.pub")) != before {
			t.Errorf("init replaced a key: %s", r)
		}
	})
	t.Run("usage", func(t *testing.T) {
		for _, args := range [][]string{{"frobnicate"}, {"serve", "--frobnicate"}, {"user", "add"}, {"sessions", "export"}} {
			if r := testkit.Run(t, command(built, args...)); r.Code != 2 || r.Stdout != "" {
				t.Errorf("%q: %s", args, r)
			}
		}
		if r := testkit.Run(t, command(built, "check", "--config", filepath.Join(testkit.ShortDir(t), "none.yaml"))); r.Code != 2 {
			t.Errorf("no configuration: %s", r)
		}
	})
	t.Run("modes", func(t *testing.T) {
		s := initSite(t)
		for _, name := range []string{"keys/user_ca", "keys/host_ca", "keys/audit.key", "keys/secret", "auditor.key"} {
			info, err := os.Stat(s.path(name))
			if err != nil {
				t.Error(err)
			} else if info.Mode().Perm()&0o077 != 0 {
				t.Errorf("%s has mode %v", name, info.Mode().Perm())
			}
		}
	})
}

func remove(t testing.TB, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}

// TestCheckSaysWhatServeRefuses: where the log or the database keeps a server from
// starting, check says so in the same lines, and changes no file; where only a start
// has something to repair, check finds nothing wrong.
func TestCheckSaysWhatServeRefuses(t *testing.T) {
	beside(t)
	sql := func(statement string) string {
		return `/usr/bin/python3 -c "import sqlite3; c = sqlite3.connect('state/entry.db', isolation_level=None); c.execute(\"` + statement + `\"); c.close()"`
	}
	for name, c := range map[string]struct {
		spoil string // in the site's folder
		want  string // what is said, or "" where nothing is wrong
	}{
		"nothing":            {"true", ""},
		"rotated":            {"mv audit/events.jsonl audit/events.jsonl.1", "if it was rotated, put it back"},
		"truncated":          {": > audit/events.jsonl", "line 1 is missing"},
		"put back":           {"rm -r audit && mv old audit", "the log was put back to an older state"},
		"no checkpoint":      {"rm audit/checkpoint", "checkpoint is missing"},
		"no log":             {"rm -r audit", "the directory isn't there, but the witness directory knows of records"},
		"a line changed":     {"sed -i s/alice/malice/ audit/events.jsonl", "is not the record that was signed"},
		"a cut tail":         {"printf half >> audit/events.jsonl", ""},
		"no hashes":          {"rm audit/hashes", ""},
		"no witness":         {"rm -r witness", "open witness directory"},
		"killed":             {"kill -9 $SERVER", ""},
		"a newer database":   {sql("INSERT INTO migrations VALUES (9999, 'x', 'y', 0)"), "the database is newer than this program"},
		"another's database": {sql("UPDATE log_positions SET root = zeroblob(32)"), "isn't the one that the database knows"},
		"no WAL":             {sql("PRAGMA journal_mode=DELETE"), ""},
		"no database":        {"rm state/entry.db*", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := initSite(t)
			s.mustEntry("user", "add", "alice")
			testkit.MustRun(t, command("cp", "-a", s.path("audit"), s.path("old")))
			s.serve()
			server := fmt.Sprint("SERVER=", s.proc.Cmd.Process.Pid)
			if name != "killed" {
				s.stop()
			}
			testkit.MustRun(t, command("env", "-C", s.dir, server, "sh", "-c", c.spoil))
			if name == "killed" {
				s.proc.Wait()
			}
			before := contents(t, s.dir)
			check := s.entry("check")
			if now := contents(t, s.dir); now != before {
				t.Errorf("check has changed files; before:\n%s\nand now:\n%s", before, now)
			}
			if c.want == "" {
				if check.Code != 0 {
					t.Errorf("check: %s", check)
				}
				s.serve()
				s.stop()
				return
			}
			said := func(r testkit.Result) []string {
				return regexp.MustCompile(`(?m)^(entry|hint): .*`).FindAllString(r.Stderr, -1)
			}
			serve := s.entry("serve")
			if check.Code != 1 || check.Stdout != "" || !strings.Contains(check.Stderr, c.want) || serve.Code != 1 || !slices.Equal(said(check), said(serve)) {
				t.Errorf("check: %s\nserve: %s\nwant %q", check, serve, c.want)
			}
		})
	}
}

// contents is every file below dir with its hash, and every folder. The index into
// SQLite's log is left out: readers mark in it what they read.
func contents(t *testing.T, dir string) string {
	return testkit.MustRun(t, command("sh", "-c", "cd "+dir+" && find . -type f ! -name '*-shm' | sort | xargs sha256sum && find . -type d | sort")).Stdout
}
