package transfer

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"entry/e2e/testkit"
)

// gitTarget has a repository "repo.git" with branches main and side, and a tag.
func gitTarget(t *testing.T, may string) (g *target, here string) {
	t.Helper()
	g = newTarget(t, may)
	g.env = append(g.env, "GIT_SSH="+g.ssh(t), "GIT_SSH_VARIANT=ssh", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null",
		"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a", "GIT_TERMINAL_PROMPT=0")
	here = t.TempDir()
	for _, line := range []string{
		"init -q -b main work", "init -q --bare -b main repo.git", "-C repo.git config receive.advertisePushOptions true",
		"-C repo.git config uploadpack.allowAnySHA1InWant true", "-C repo.git config uploadarchive.allowUnreachable true",
		"-C work commit -q --allow-empty -m 1", "-C work tag -a -m tag v1", "-C work branch side",
		"-C work commit -q --allow-empty -m 2", "-C work push -q ../repo.git main side v1",
	} {
		result, _ := g.run(t, g.dir, append([]string{"git"}, strings.Fields(line)...)...)
		if result.Code != 0 {
			t.Fatal(line, result)
		}
	}
	return g, here
}

// git runs git and gives the lines of what was moved.
func (g *target) git(t *testing.T, dir string, args string) (testkit.Result, []string) {
	t.Helper()
	result, runs := g.run(t, dir, append([]string{"git"}, strings.Fields(args)...)...)
	var lines []string
	for _, r := range runs {
		if r.Error != "" || r.Refused != "" {
			t.Errorf("git %s: %s%s", args, r.Error, r.Refused)
		}
		for _, e := range r.Entries {
			if e.Protocol != "git" || e.SHA256 != nil || e.Unknown == "" || e.Operation == "pack" && e.Size == 0 {
				t.Errorf("git %s: %+v", args, e)
			}
			lines = append(lines, gitLine(e))
		}
	}
	return result, lines
}

func gitLine(e Entry) string {
	short := func(object string) string { return object[:min(7, len(object))] }
	return strings.TrimRight(fmt.Sprintf("%s %s %s %s %s..%s %s %s", e.Operation, e.Direction, e.Path, e.Ref, short(e.Old), short(e.New), e.Outcome, e.Detail), " ")
}

// object is what a name is in a repository, as gitLine has it.
func (g *target) object(t *testing.T, dir, name string) string {
	t.Helper()
	result, _ := g.run(t, dir, "git", "rev-parse", name)
	if result.Code != 0 {
		t.Fatal(result)
	}
	return result.Stdout[:7]
}

// TestGitFetch has git clone, fetch and list in each version of its protocol.
func TestGitFetch(t *testing.T) {
	for version := range 3 {
		t.Run(fmt.Sprint(version), func(t *testing.T) {
			t.Parallel()
			g, here := gitTarget(t, "download")
			repo := filepath.Join(g.dir, "repo.git")
			protocol := fmt.Sprintf("-c protocol.version=%d ", version)
			// An ssh that passes GIT_PROTOCOL on, as entry does if policy names it.
			main, side, tag := g.object(t, repo, "main"), g.object(t, repo, "side"), g.object(t, repo, "v1")
			check := func(args string, want ...string) {
				t.Helper()
				result, got := g.git(t, here, protocol+args)
				slices.Sort(got)
				slices.Sort(want)
				if result.Code != 0 || !slices.Equal(got, want) {
					t.Errorf("git %s: got %q, want %q\n%s", args, got, want, result)
				}
			}
			check("ls-remote home:repo.git", "list download repo.git  .. ok")
			check("clone -q home:repo.git all",
				"fetch download repo.git refs/heads/main .."+main+" ok", "fetch download repo.git refs/heads/side .."+side+" ok",
				"fetch download repo.git refs/tags/v1 .."+tag+" ok", "pack download repo.git  .. ok")
			check("clone -q --depth 1 --single-branch --no-tags -b side home:repo.git one",
				"fetch download repo.git refs/heads/side .."+side+" ok", "pack download repo.git  .. ok")
			check("-C all fetch -q", "list download repo.git  .. ok")
			full, _ := g.run(t, repo, "git", "rev-parse", "main~1^{tree}")
			check("-C all fetch -q --refetch --no-tags home:repo.git "+strings.TrimSpace(full.Stdout),
				"fetch download repo.git  .."+full.Stdout[:7]+" ok", "pack download repo.git  .. ok")
			if result, lines := g.git(t, here, protocol+"clone -q home:none.git"); result.Code == 0 || len(lines) != 1 || !strings.HasPrefix(lines[0], "list download none.git  .. failed it ended with status") {
				t.Errorf("%s %q", result, lines)
			}
		})
	}
}

// TestGitPush has git push what it can push.
func TestGitPush(t *testing.T) {
	g, here := gitTarget(t, "upload")
	repo := filepath.Join(g.dir, "repo.git")
	none := "0000000"
	main, side := g.object(t, repo, "main"), g.object(t, repo, "side")
	must := func(args string) {
		t.Helper()
		if result, _ := g.git(t, here, args); result.Code != 0 {
			t.Fatal(args, result)
		}
	}
	must("clone -q " + repo + " work")
	must("-C work commit -q --allow-empty -m 3")
	next := g.object(t, filepath.Join(here, "work"), "main")
	check := func(code int, args string, want ...string) {
		t.Helper()
		result, got := g.git(t, here, "-C work push -q "+args)
		if (result.Code != 0) != (code != 0) || !slices.Equal(got, want) {
			t.Errorf("git push %s: got %q, want %q\n%s", args, got, want, result)
		}
	}
	check(0, "home:repo.git main", "push upload repo.git refs/heads/main "+main+".."+next+" ok", "pack upload repo.git  .. ok")
	check(0, "home:repo.git main", "list upload repo.git  .. ok")
	check(0, "-o ci.skip -o x=y home:repo.git main:new main:newer",
		"push upload repo.git refs/heads/new "+none+".."+next+" ok", "push upload repo.git refs/heads/newer "+none+".."+next+" ok", "pack upload repo.git  .. ok")
	check(0, "home:repo.git :new", "push upload repo.git refs/heads/new "+next+".."+none+" ok", "pack upload repo.git  .. ok")
	must("-C " + repo + " config receive.denyNonFastForwards true")
	must("-C " + repo + " config core.logAllRefUpdates false")
	check(1, "-f home:repo.git origin/side:main main:more",
		"push upload repo.git refs/heads/main "+next+".."+side+" failed non-fast-forward",
		"push upload repo.git refs/heads/more "+none+".."+next+" ok", "pack upload repo.git  .. ok")
	hook := filepath.Join(repo, "hooks/pre-receive")
	testkit.Check(t, os.MkdirAll(filepath.Dir(hook), 0o755))
	testkit.Check(t, os.WriteFile(hook, []byte("#!/bin/sh\nseq 20000; echo no such thing >&2; exit 1\n"), 0o755))
	check(1, "home:repo.git main:refused", "push upload repo.git refs/heads/refused "+none+".."+next+" failed pre-receive hook declined", "pack upload repo.git  .. ok")
}

// TestGitArchive has git fetch an archive.
func TestGitArchive(t *testing.T) {
	g, here := gitTarget(t, "download")
	result, lines := g.git(t, here, "archive -o x.tar --remote=home:repo.git v1")
	want := []string{"archive download repo.git --format=tar v1 .. ok"}
	if result.Code != 0 || !slices.Equal(lines, want) {
		t.Errorf("%q, want %q\n%s", lines, want, result)
	}
}

// TestGitWithoutRight has the client show the reason, and nothing moved.
func TestGitWithoutRight(t *testing.T) {
	for may, args := range map[string]string{"upload": "clone home:repo.git", "download": "push home:repo.git HEAD:x", "once upload": "push home:repo.git HEAD:x", "once download": "clone home:repo.git"} {
		g, here := gitTarget(t, may)
		if strings.HasPrefix(args, "push") {
			here = filepath.Join(g.dir, "work")
		}
		result, _ := g.run(t, here, append([]string{"git"}, strings.Fields(args)...)...)
		if result.Code == 0 || !strings.Contains(result.Stderr, "entry: you may not") {
			t.Errorf("%s %s: %s", may, args, result)
		}
		if result, _ := g.run(t, g.dir, "git", "-C", "repo.git", "rev-parse", "--verify", "x"); result.Code == 0 {
			t.Error("it was pushed")
		}
	}
}
