package e2e

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"entry/e2e/testkit"
)

// moved is a line of `entry audit files --json`, with an auditor's identity.
type moved struct {
	Session string
	More    int
	File    *struct {
		Protocol, Operation, Direction string
		Path, To                       string
		Size                           int64
		SHA256, Unknown, Outcome       string
	}
}

// manifests is what was moved and changed, once no session runs any more.
func (s *site) manifests() []moved {
	s.t.Helper()
	testkit.Eventually(s.t, "all sessions have ended", func() bool {
		return !slices.ContainsFunc(s.sessions(), func(r recorded) bool { return r.State == "live" })
	})
	return decodeLines[moved](s.t, s.mustEntry("audit", "files", "--changes", "--json", "--identity", s.path("auditor.key")))
}

// idle reports whether each program that was started has ended.
func (s *site) idle() bool {
	s.t.Helper()
	channel := regexp.MustCompile(`"channel":\d+,`)
	running := map[string]bool{}
	for _, e := range s.events("exec.requested", "channel.closed") {
		running[e.Session+channel.FindString(e.line)] = e.Type == "exec.requested"
	}
	return !slices.Contains(slices.Collect(maps.Values(running)), true)
}

func sumOf(t testing.TB, path string) string {
	t.Helper()
	sum := sha256.Sum256([]byte(testkit.ReadFile(t, path)))
	return hex.EncodeToString(sum[:])
}

// randomTree makes n files of 0 bytes to most, few of which are large, in folders
// of twenty.
func randomTree(t testing.TB, n, most int) (dir string) {
	t.Helper()
	dir = filepath.Join(testkit.ShortDir(t), "canary")
	r := rand.New(rand.NewPCG(1, 2))
	usual := []int{0, 1, most, 32<<10 - 1, 32 << 10, 32<<10 + 1, 256 << 10}
	for i := range n {
		size := r.IntN(1 << r.IntN(21)) // bytes
		if i < len(usual) {
			size = usual[i]
		} else if i%50 == 0 {
			size = r.IntN(most + 1)
		}
		folder := filepath.Join(dir, fmt.Sprint("patient-", i/20))
		testkit.Check(t, os.MkdirAll(folder, 0o755))
		testkit.WriteFile(t, filepath.Join(folder, fmt.Sprint("größe ", i)), string(noise(uint64(i), size)))
	}
	return dir
}

// TestSoakManifestsAreTrue has every program that keeps SFTP's or scp's order carry
// random files up and down, in parallel where it can: each file is in a manifest,
// with the hash that it has where it went. None of it stands in the log in clear.
func TestSoakManifestsAreTrue(t *testing.T) {
	beside(t)
	n := testkit.Long(40, 1000)
	s := initSite(t)
	home := s.startHome()
	s.setPolicy([]string{"alice"}, []string{home.Target(t, "home")}, testkit.Rule("files", "may: [upload, download]", "record: manifest"))
	s.serve()
	c := s.client(s.enrolled("alice"))
	c.master()
	with, master := c.carrierTo(t, "home")
	src := randomTree(t, n, testkit.Long(4<<20, 64<<20))
	programs := []struct {
		name string
		copy func(up bool, from, to string) testkit.Result
	}{
		{"sftp", func(up bool, from, to string) testkit.Result {
			return with.run(fmt.Sprintf("%s -r %s %s\n", either(up, "put", "get"), from, to), "sftp", "-R", "128", "-b", "-", "-F", with.config, "-J", "entry", with.host)
		}},
		{"scp", func(up bool, from, to string) testkit.Result { return with.scp(up, from, to, "-r", "-q") }},
		{"scp -O", func(up bool, from, to string) testkit.Result { return with.scp(up, from, to, "-O", "-r", "-p", "-q") }},
		{"lftp", func(up bool, from, to string) testkit.Result {
			return with.lftp(fmt.Sprintf("mirror %s --parallel=4 %s %s", either(up, "-R", ""), from, to))
		}},
		{"rclone", func(up bool, from, to string) testkit.Result {
			if up {
				return with.rclone("copy", "--transfers", "3", from, ":sftp:"+to)
			}
			return with.rclone("copy", "--transfers", "3", ":sftp:"+from, to)
		}},
	}
	renamed := renameWhileOpen(t, s, with)
	var all []string // folders that files went to
	for _, p := range programs {
		there, back := filepath.Join(testkit.ShortDir(t), "there"), filepath.Join(testkit.ShortDir(t), "back")
		for _, r := range []testkit.Result{p.copy(true, src, there), p.copy(false, there, back)} {
			if r.Code != 0 {
				t.Errorf("%s: %s", p.name, r)
			}
		}
		all = append(all, there)
	}
	testkit.Eventually(t, "all programs have ended", s.idle) // sshfs does so in the background
	master.End()

	type tally struct{ known, unknown int }
	tallies, listed := map[string]*tally{}, map[string]int{}
	secrets := []string{"canary", "patient", "renamed", filepath.Base(src)}
	reasons := map[string]int{}
	for _, m := range s.manifests() {
		f := m.File
		if f == nil || f.Operation != "put" && f.Operation != "get" {
			continue
		}
		at := f.Path // scp says too where it is if that is a folder, others where it is now
		if f.To != "" && (f.Protocol != "scp" || !fileExists(at)) {
			at = f.To
		}
		k := f.Protocol + " " + f.Operation
		if tallies[k] == nil {
			tallies[k] = &tally{}
		}
		// rclone leaves without waiting for an answer to its last close.
		if f.Outcome != "ok" && !(f.Outcome == "cut" && f.Operation == "get" && f.SHA256 != "") {
			t.Errorf("%+v", *f)
			continue
		}
		listed[f.Operation+" "+at]++
		if f.SHA256 == "" {
			tallies[k].unknown++
			reasons[f.Unknown]++
			if f.Unknown == "" {
				t.Errorf("neither a hash nor a reason: %+v", *f)
			}
			continue
		}
		tallies[k].known++
		if !fileExists(at) {
			t.Errorf("no such file on home: %+v", *f)
			continue
		}
		if sum := sumOf(t, at); f.SHA256 != sum {
			t.Errorf("the hash is %s and not %s of %d B: %+v", f.SHA256, sum, len(testkit.ReadFile(t, at)), *f)
		}
		secrets = append(secrets, f.SHA256)
	}
	for k, v := range tallies {
		t.Logf("%s: %d hashes, %d unknown", k, v.known, v.unknown)
		if strings.HasPrefix(k, "scp ") && v.unknown > 0 || v.unknown*20 > v.known {
			t.Errorf("%s: %d hashes are unknown: %v", k, v.unknown, reasons)
		}
	}
	for _, there := range all {
		files := 0
		testkit.Check(t, filepath.WalkDir(there, func(path string, e fs.DirEntry, err error) error {
			if err != nil || e.IsDir() {
				return err
			}
			files++
			if listed["put "+path] != 1 || listed["get "+path] != 1 {
				t.Errorf("%s: put %d times, got %d times by the manifests", path, listed["put "+path], listed["get "+path])
			}
			return nil
		}))
		if files != n {
			t.Errorf("%s: %d of %d files arrived", there, files, n)
		}
	}
	for _, path := range renamed {
		if listed["put "+path] != 1 {
			t.Errorf("%s isn't in the manifests", path)
		}
	}
	log := testkit.ReadFile(t, s.path("audit", "events.jsonl"))
	for _, secret := range secrets {
		if strings.Contains(log, secret) {
			t.Errorf("the log has %q", secret)
		}
	}
}

// renameWhileOpen writes two files through sshfs, which are renamed between their
// beginnings and their ends, and returns where they are.
func renameWhileOpen(t *testing.T, s *site, c *carrier) (paths []string) {
	t.Helper()
	there, mount := filepath.Join(testkit.ShortDir(t), "there"), filepath.Join(testkit.ShortDir(t), "mnt")
	testkit.Check(t, os.Mkdir(there, 0o700))
	testkit.Check(t, os.Mkdir(mount, 0o700))
	if r := c.run("", "sshfs", "-F", c.config, "-o", "ssh_command="+c.rsh(), c.far(there), mount); r.Code != 0 {
		t.Fatal(r)
	}
	defer testkit.MustRun(t, command("fusermount3", "-u", mount))
	before := len(s.events("transfer.file"))
	for i, size := range []int{100_000, 3 << 20} {
		content, name := noise(uint64(i), size), fmt.Sprint("renamed", i)
		f := testkit.Must(os.Create(filepath.Join(mount, "new")))(t)
		testkit.Must(f.Write(content[:size/2]))(t)
		testkit.Check(t, os.Rename(filepath.Join(mount, "new"), filepath.Join(mount, name)))
		testkit.Must(f.Write(content[size/2:]))(t)
		testkit.Check(t, f.Close())
		paths = append(paths, filepath.Join(there, name))
	}
	// It waits for no answer to the close, and an unmount would cut that off.
	testkit.Eventually(t, "the files are closed", func() bool { return len(s.events("transfer.file")) == before+len(paths) })
	return paths
}

// TestTransferEvents: the log has the first thousand files and changes of a session
// one by one, the others as a sum; each channel says how much of it is kept; what
// isn't its protocol ends, and says so.
func TestTransferEvents(t *testing.T) {
	beside(t)
	s, _ := quickSite(t, testkit.Rule("files", "may: [upload, download]", "record: full"))
	c := s.client(s.enrolled("alice"))
	c.master()
	with, master := c.carrierTo(t, "home")
	src, there := filepath.Join(testkit.ShortDir(t), "src"), filepath.Join(testkit.ShortDir(t), "there")
	testkit.Check(t, os.Mkdir(src, 0o700))
	const many = 1100
	for i := range many {
		testkit.WriteFile(t, filepath.Join(src, fmt.Sprint("tiny-", i)), fmt.Sprint(i))
	}
	if r := with.lftp(fmt.Sprintf("mirror -R --parallel=2 --no-perms %s %s", src, there)); r.Code != 0 {
		t.Fatal(r)
	}
	master.End()
	all := s.manifests()
	one, two, more := s.events("transfer.file"), s.events("transfer.change"), s.events("transfer.more")
	puts := 0
	for _, m := range all {
		if m.File != nil && m.File.Operation == "put" {
			puts++
		}
	}
	if puts != many || len(one)+len(two) != 1000 || len(more) != 1 || !strings.Contains(more[0].line, fmt.Sprintf(`"count":%d}`, len(all)-1000)) {
		t.Errorf("%d of %d files in the manifest, which has %d lines; %d + %d events, then %+v", puts, many, len(all), len(one), len(two), more)
	}
	if len(one) > 0 && !regexp.MustCompile(`"capability":"upload",.*"digest":"hmac-sha256:[0-9a-f]{64}","reason":"ok","detail":"put","bytes_up":1,"hash":"hmac-sha256:[0-9a-f]{64}"`).MatchString(one[0].line) {
		t.Errorf("%s", one[0].line)
	}

	// What each way of moving files leaves of its channel.
	coverage := func(what string, r testkit.Result, want string) {
		t.Helper()
		n := len(s.sessions())
		s.awaitSessions(n)
		closed := s.events("channel.closed")
		if last := closed[len(closed)-1]; !strings.Contains(last.line, `"coverage":"`+want+`"`) {
			t.Errorf("%s isn't %s: %s\n%s", what, want, last.line, r)
		}
	}
	alone := *with
	alone.config = c.config // a session for each
	to := filepath.Join(testkit.ShortDir(t), "to")
	file := filepath.Join(src, "tiny-7")
	coverage("sftp", alone.sftp(true, file, to), "manifest")
	coverage("scp -O", alone.scp(true, file, to, "-O"), "manifest")
	coverage("rsync", alone.run("", "rsync", "-e", alone.rsh(), file, alone.far(to)), "metadata")
	coverage("git", alone.git(false, file, to+"2"), "metadata")

	for i, garbage := range []struct {
		name  string
		start []string
	}{
		{"sftp", []string{"-s", "home", "sftp"}}, {"scp", []string{"home", "scp -t " + to}},
	} {
		cmd := c.ssh(append([]string{"-J", "entry"}, garbage.start...)...)
		cmd.Stdin = strings.NewReader("GET / HTTP/1.0\r\n\r\n")
		r := testkit.Run(t, cmd)
		coverage(garbage.name+" of HTTP", r, "partial")
		if r.Code == 0 || !strings.Contains(r.Stderr, "entry: what came isn't "+garbage.name+" as its protocol has it") {
			t.Errorf("%s of HTTP: %s", garbage.name, r)
		}
		if events := s.events("transfer.desync"); len(events) != i+1 || events[i].Program != garbage.name {
			t.Errorf("%s of HTTP: %+v", garbage.name, events)
		}
	}
	if sum := s.mustEntry("audit", "coverage"); !strings.Contains(sum, "it wasn't the protocol that it began as") {
		t.Errorf("\n%s", sum)
	}
}
