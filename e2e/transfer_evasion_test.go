package e2e

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"entry/e2e/testkit"
)

// TestNoCommandIsMoreThanATransfer: who may upload, or run one listed command, and
// nothing else, runs nothing else in the clothes of a transfer.
func TestNoCommandIsMoreThanATransfer(t *testing.T) {
	beside(t)
	s := initSite(t)
	home := s.startHome("AcceptEnv *")
	rule := func(name string, fields ...string) string {
		return testkit.Rule(name, append(fields, testkit.On(name), "record: full")...)
	}
	s.setPolicy([]string{"alice"}, []string{home.Target(t, "up"), home.Target(t, "listed")},
		rule("up", "may: [upload]"), rule("listed", "may: [exec]", "exec: [hostname]"))
	s.serve()
	c := s.client(s.enrolled("alice"))
	c.master()
	up, _ := c.carrierTo(t, "up.tinker")
	listed, _ := c.carrierTo(t, "listed.tinker")

	dir := testkit.ShortDir(t)
	x, ran, script := filepath.Join(dir, "x"), filepath.Join(dir, "ran"), filepath.Join(dir, "script")
	testkit.WriteFile(t, script, "touch "+ran+"\n")
	for _, command := range []string{
		"sh -c 'scp -t " + x + "'",
		"scp -t " + x + "; touch " + ran,
		"scp -t " + x + "\ntouch " + ran,
		"scp -t " + x + " & touch " + ran,
		"scp -t " + x + " | sh",
		"scp -t " + x + " > " + ran,
		"scp -t $(touch " + ran + ")",
		"scp -t \"`touch " + ran + "`\"",
		"scp -t {" + x + "," + ran + "}",
		"scp -S " + script + " -t " + x,
		"scp -tS" + script + " " + x,
		"scp -oProxyCommand='touch " + ran + "' -t " + x,
		"scp -t -f " + x,
		"scp -f " + script,
		"cd " + dir + " && scp -t x",
		"exec scp -t " + x,
		"env scp -t " + x,
		"X=1 scp -t " + x,
		"SSH_ORIGINAL_COMMAND='touch " + ran + "' scp -t " + x,
		"command scp -t " + x,
		"eval scp -t " + x,
		"./scp -t " + x,
		dir + "/scp -t " + x,
		"rsync --server -e 'touch " + ran + "' . " + x,
		"rsync --server --rsh='touch " + ran + "' . " + x,
		"rsync --server -vlogDtpre.iLsfxCIvu --log-file=" + ran + " . " + x,
		"rsync --server --daemon --config=" + script + " .",
		"rsync --server --sender -logDtpre.iLsfxCIvu . " + script,
		"rsync -e 'sh " + script + "' . host:" + x,
		"git-upload-pack '" + dir + "'",
		"git -c core.sshCommand='touch " + ran + "' receive-pack '" + dir + "'",
		"git --exec-path=" + dir + " receive-pack '" + dir + "'",
		"git-receive-pack --help",
		"git-shell -c \"git-receive-pack '" + dir + "'\"",
		sftpServer + " -d " + dir,
		sftpServer + " -l DEBUG3 -e",
		sftpServer + " -Q requests",
		"sudo " + sftpServer,
		"test -x /usr/lib/sftp-server && exec /usr/lib/sftp-server\ntouch " + ran,
	} {
		for _, with := range []*carrier{up, listed} {
			r := testkit.Run(t, with.exec(command))
			if r.Code != 254 || !strings.Contains(r.Stderr, "entry: ") || r.Stdout != "" {
				t.Errorf("%s: %q isn't refused: %s", with.host, command, r)
			}
		}
	}
	if r := testkit.Run(t, up.home([]string{"-s"}, "scp -t "+x)); r.Code != 254 {
		t.Errorf("scp as a subsystem isn't refused: %s", r)
	}
	// What a shell reads before its command comes in no variable, though home would
	// take it.
	options := []string{"-O", "-o", "SetEnv=BASH_ENV=" + script + " ENV=" + script + " LD_PRELOAD=" + script + " SSH_ORIGINAL_COMMAND=" + script}
	apart := *up
	apart.config = c.config // a connection of its own: they go with none that is there
	if r := apart.scp(true, script, x, options...); r.Code != 0 || !fileExists(x) {
		t.Errorf("scp with variables: %s", r)
	}
	// Exactly one command may be run: that brings no file along.
	if r := testkit.Run(t, listed.exec("hostname")); r.Code != 0 || r.Stdout == "" {
		t.Errorf("the listed command: %s", r)
	}
	back := filepath.Join(dir, "back")
	for _, m := range movers {
		if r := m.copy(listed, false, script, back); fileExists(back) {
			t.Errorf("%s downloads under a list of commands: %s", m.name, r)
		}
	}
	if fileExists(ran) {
		t.Error("something was run")
	}
}

// TestADeniedUploadBesideAShell: the denial is advice, and the programs that move
// files take it; what a shell could do stays.
func TestADeniedUploadBesideAShell(t *testing.T) {
	beside(t)
	s, _ := quickSite(t, testkit.Rule("all", testkit.MayAll, "forward_local: [\"127.0.0.1:1\"]", "forward_remote: [0]", "record: full"),
		testkit.Rule("none-in", "deny: true", "advisory: true", "may: [upload]"))
	c := s.client(s.enrolled("alice"))
	c.master()
	with, master := c.carrierTo(t, "home")
	dir := testkit.ShortDir(t)
	from := filepath.Join(dir, "from")
	testkit.WriteFile(t, from, "content\n")
	for i, m := range movers {
		to, back := filepath.Join(dir, fmt.Sprint("to", i)), filepath.Join(dir, fmt.Sprint("back", i))
		if r := m.copy(with, true, from, to); fileExists(to) {
			t.Errorf("%s uploads: %s", m.name, r)
		} else if says := "you may not upload files to home.tinker"; m.says == "" && !strings.Contains(r.Stderr, says) {
			t.Errorf("%s is refused without %q: %s", m.name, says, r)
		}
		if r := m.copy(with, false, from, back); !fileExists(back) {
			t.Errorf("%s doesn't download: %s", m.name, r)
		}
	}
	to := filepath.Join(dir, "to")
	for _, command := range []string{"scp -S sh -t " + to, "rsync --server --unknown . " + to, "scp -t " + to + "; true", sftpServer + " -e"} {
		if r := testkit.Run(t, with.exec(command)); r.Code != 254 || !strings.Contains(r.Stderr, "entry: ") {
			t.Errorf("%q isn't refused: %s", command, r)
		}
	}
	cmd := with.exec("cat > " + to)
	cmd.Stdin = strings.NewReader("typed")
	if r := testkit.Run(t, cmd); r.Code != 0 || testkit.ReadFile(t, to) != "typed" {
		t.Errorf("cat: %s", r)
	}
	if !master.Running() {
		t.Error("the session ended")
	}
}
