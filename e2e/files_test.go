package e2e

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"entry/e2e/testkit"
)

// TestWhichFilesLeft answers what security staff asked: which files left the lab, how
// large, with which hashes. The log alone, which goes to others, tells neither names
// nor hashes, and still finds a file that somebody holds.
func TestWhichFilesLeft(t *testing.T) {
	beside(t)
	s := initSite(t)
	home := s.startHome()
	s.setPolicy([]string{"alice", "bob"}, []string{home.Target(t, "home")}, testkit.Rule("files", "may: [upload, download]", "record: manifest"))
	s.serve()
	c := s.client(s.enrolled("alice"))
	c.master()
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	const text = "patient,value\n7,1.5\n"
	for _, name := range []string{"patient-seven.csv", "other.csv"} {
		testkit.WriteFile(t, at(name), text+name)
	}
	sum := func(name string) string {
		h := sha256.Sum256([]byte(testkit.ReadFile(t, at(name))))
		return hex.EncodeToString(h[:])
	}
	batch := strings.Join([]string{"put " + at("other.csv") + " " + at("in.csv"), "get " + at("patient-seven.csv") + " " + at("out.csv"), "rename " + at("in.csv") + " " + at("moved.csv")}, "\n") + "\n"
	cmd := c.command("sftp", "-o", "BatchMode=no", "-b", "-", "-F", c.config, "-J", "entry", "home")
	cmd.Stdin = strings.NewReader(batch)
	if r := testkit.Run(t, cmd); r.Code != 0 {
		t.Fatal(r)
	}
	if r := testkit.Run(t, c.command("scp", "-O", "-F", c.config, "-J", "entry", "home:"+at("other.csv"), at("scp.csv"))); r.Code != 0 {
		t.Fatal(r)
	}
	s.awaitSessions(2)

	key := []string{"--identity", s.path("auditor.key")}
	down := s.mustEntry(append([]string{"audit", "files", "--lab", "tinker", "--direction", "download", "--since", "7d"}, key...)...)
	t.Logf("\n%s", down)
	for _, want := range []string{"sftp get \"" + at("patient-seven.csv") + "\"", sum("patient-seven.csv"), "scp get \"" + at("other.csv") + "\"", sum("other.csv")} {
		if !strings.Contains(down, want) {
			t.Errorf("no %s in\n%s", want, down)
		}
	}
	if strings.Contains(down, "put") || strings.Count(down, "\n") != 3 {
		t.Errorf("more than was downloaded:\n%s", down)
	}
	all := s.mustEntry(append([]string{"audit", "files", "--changes"}, key...)...)
	if !strings.Contains(all, "sftp rename \""+at("in.csv")+"\" to \""+at("moved.csv")+"\"") && !strings.Contains(all, "sftp posix-rename \""+at("in.csv")+"\" to \""+at("moved.csv")+"\"") {
		t.Errorf("no rename in\n%s", all)
	}
	// A search is one event, which each of its sessions leads to.
	s.entry(append([]string{"sessions", "grep", "patient", "--in", "files"}, key...)...)
	reads := s.events("recording.read")
	if len(reads) != 3 {
		t.Errorf("three searches are %d readings of recordings in the log", len(reads))
	}
	for _, session := range s.awaitSessions(2) {
		found := s.mustEntry("audit", "search", "--type", "recording.read", "--session", session.ID)
		if strings.Count(found, "\n") != 3 || strings.Count(found, " count=2") != 3 || !strings.Contains(found, "detail=grep ") {
			t.Errorf("who has read %s:\n%s", session.ID, found)
		}
	}
	if found := s.mustEntry("audit", "search", "--searched", "patient"); strings.Count(found, "\n") != 1 || strings.Contains(found, "patient") {
		t.Errorf("who has searched for it:\n%s", found)
	}
	if r := s.entry("audit", "search", "--searched", "patien"); r.Code != 4 {
		t.Errorf("searches for something else: %s", r)
	}

	// Without the key: sizes, and the one that somebody holds.
	if err := os.Rename(s.path("auditor.key"), at("auditor.key")); err != nil {
		t.Fatal(err)
	}
	listed := s.mustEntry("audit", "files", "--direction", "download")
	if strings.Contains(listed, "patient") || strings.Contains(listed, sum("patient-seven.csv")) || strings.Count(listed, "hmac-sha256:") != 2 {
		t.Errorf("the log alone tells\n%s", listed)
	}
	held := s.mustEntry("audit", "files", "--file", at("out.csv"))
	if strings.Count(held, "\n") != 2 || !strings.Contains(held, "sftp get") {
		t.Errorf("the file that somebody holds:\n%s", held)
	}
	testkit.WriteFile(t, at("none"), "something else")
	if r := s.entry("audit", "files", "--file", at("none")); r.Code != 4 || !strings.Contains(r.Stderr, "no file matches") {
		t.Errorf("a file that never moved: %s", r)
	}
	log := testkit.ReadFile(t, s.path("audit", "events.jsonl"))
	for _, secret := range []string{"patient-seven", "other.csv", sum("patient-seven.csv"), sum("other.csv")} {
		if strings.Contains(log, secret) {
			t.Errorf("the log has %q", secret)
		}
	}
	if coverage := s.mustEntry("audit", "coverage"); !strings.Contains(coverage, "manifest  2 ") {
		t.Errorf("\n%s", coverage)
	}

	// What can't be compared isn't said not to be it.
	testkit.WriteFile(t, at("rest.csv"), text)
	cmd = c.command("sftp", "-o", "BatchMode=no", "-b", "-", "-F", c.config, "-J", "entry", "home")
	cmd.Stdin = strings.NewReader("reput " + at("patient-seven.csv") + " " + at("rest.csv") + "\n")
	if r := testkit.Run(t, cmd); r.Code != 0 {
		t.Fatal(r)
	}
	s.awaitSessions(3)
	if r := s.entry("audit", "files", "--file", at("none")); r.Code != 4 || !strings.Contains(r.Stderr, "of 1 file here the content isn't known, so that it couldn't be compared") {
		t.Errorf("a file that may have moved: %s", r)
	}
}
