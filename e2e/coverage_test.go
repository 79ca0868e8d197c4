package e2e

import (
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"entry/e2e/testkit"
)

// TestNothingIsRecordedByHalfInSilence does what left little or nothing in a
// recording that was called complete: each is in it now, or its channel says what
// is missing, how much, and why; and the sum over all of them says so too.
func TestNothingIsRecordedByHalfInSilence(t *testing.T) {
	beside(t)
	s := initSite(t)
	home := s.startHome("AcceptEnv LC_*")
	echo := echoServer(t)
	s.setPolicy([]string{"alice", "bob"}, []string{home.Target(t, "home"), home.Target(t, "typed")}, testkit.Rule("typed", "may: [exec]", testkit.On("typed"), "record: full", "record_input: true"), testkit.Rule("home", testkit.MayAll, testkit.On("home"), "record: full",
		fmt.Sprintf("forward_local: [\"127.0.0.1:%d\"]", echo), "forward_remote: [0]", "bulk: {keep: 1MiB}"))
	s.serve()
	c := s.client(s.enrolled("alice"))
	c.master()
	show := func(id string) string {
		return s.mustEntry("sessions", "show", id, "--identity", s.path("auditor.key"))
	}
	// done runs a client to its end and gives what show has of its session, and what
	// was recorded.
	n := 0
	done := func(stdin string, options []string, remote ...string) (shown, output, input string) {
		t.Helper()
		cmd := c.home(options, remote...)
		cmd.Stdin = strings.NewReader(stdin)
		if r := testkit.Run(t, cmd); r.Code != 0 {
			t.Fatalf("%q: exit %d: %.300s", remote, r.Code, r.Stderr)
		}
		n++
		all := s.awaitSessions(n)
		id := all[n-1].ID
		return show(id), s.export(id, "raw"), s.export(id, "input")
	}
	want := func(what, text string, parts ...string) {
		t.Helper()
		for _, part := range parts {
			if !strings.Contains(text, part) {
				t.Errorf("%s: %q isn't in\n%.3000s", what, part, text)
			}
		}
	}

	// Bulk first, a shell after it, without a terminal.
	shown, output, input := done("sleep 3; echo fou''nd-it\n", nil, "head -c 4000000 /dev/zero | tr '\\0' x; echo; bash -s")
	want("after bulk", shown, "partial: ", "of output missing (more than policy keeps of bulk)", "1 channel partial")
	want("after bulk", output, "found-it")
	want("after bulk", input, "fou''nd-it")

	// Commands piped to a shell, or to an interpreter.
	shown, _, input = done("echo from-''stdin\n", []string{"-T"})
	want("ssh -T home", shown, "shell, ", ", 18 B in", ", recorded")
	want("ssh -T home", input, "echo from-''stdin")
	_, output, input = done("print(6*7)\n", nil, "python3 -")
	want("python3 -", output, "42")
	want("python3 -", input, "print(6*7)")

	// Input that isn't a script is payload: its size and digest, and it says so.
	shown, output, input = done("hunter2 and so on\n", nil, "cat > /dev/null")
	want("cat", shown, "partial: 18 B of input missing (input that is no script is kept by record_input only)")
	if strings.Contains(output+input, "hunter2") {
		t.Error("payload on standard input was recorded")
	}

	// Commands behind a prompt that the script shows itself: what is masked is counted,
	// and what is no password is kept.
	in, out := io.Pipe()
	cmd := c.home([]string{"-T"})
	cmd.Stdin = in
	hidden := testkit.Start(t, "ssh -T", cmd)
	hides := 0
	for i := range 11 {
		line := fmt.Sprintf("true line-%d; printf 'password%%s: ' %d\n", i, i)
		switch {
		case i == 1:
			line = "true " + strings.Repeat("x", 300) + line // no password
		case i > 1 && i < 10:
			hides += len(line)
		}
		_, _ = io.WriteString(out, line)
		hidden.WaitFor(regexp.MustCompile(fmt.Sprintf("password%d: ", i)))
	}
	out.Close()
	hidden.Wait()
	n++
	masked := s.awaitSessions(n)[n-1].ID
	want("masked", show(masked), fmt.Sprintf("partial: 8 lines of input, %d B, missing (masked as answers to password prompts)", hides), "1 channel partial")
	want("masked", s.export(masked, "input"), "line-0", "xxxtrue line-1", "line-10")

	// A password at a terminal whose input is recorded.
	typed := *c
	typed.target = "typed.tinker"
	asked := onTerminal(t, typed.home([]string{"-t"}, `bash -c 'read -rsp "Password: " secret; read -rp "name? " name'`))
	asked.expect("Password: ")
	asked.sendLine("hunter2")
	asked.expect(`name\? `)
	asked.sendLine("alice")
	asked.wait()
	n++
	answered := s.awaitSessions(n)[n-1].ID
	want("a password", show(answered), "recorded: 1 line of input, 8 B, missing (masked as answers to password prompts)", "1 channel recorded")
	if input := s.export(answered, "input"); input != "alice\r" {
		t.Errorf("a password and a name were recorded as %q", input)
	}

	// A file through a terminal.
	moved := strings.Repeat("0123456789", 20_000)
	file := filepath.Join(testkit.ShortDir(t), "moved")
	in, out = io.Pipe()
	cmd = c.home([]string{"-tt"}, "stty raw -echo; echo ready; head -c 200000 > "+file)
	cmd.Stdin = in
	sender := testkit.Start(t, "ssh -tt", cmd)
	sender.WaitFor(regexp.MustCompile("ready")) // or the terminal takes some for itself
	_, _ = io.WriteString(out, moved)
	out.Close()
	sender.Wait()
	n++
	filed := s.awaitSessions(n)[n-1].ID
	want("a file through a terminal", show(filed), "partial: 200 kB of input missing (faster than anybody types; a terminal's is kept by record_input only)")
	want("its digest", s.export(filed, "asciicast-v3"), fmt.Sprintf("%x", sha256.Sum256([]byte(moved))))
	if testkit.ReadFile(t, file) != moved {
		t.Error("the terminal changed the file")
	}

	// A command that comes in the environment.
	shown, _, _ = done("", []string{"-o", "SetEnv=LC_RUN=id"}, `eval "$LC_RUN"`)
	want("eval", shown, `environment LC_RUN="id"`, "recorded")

	// A forward: how much went through.
	port := testkit.FreePort(t)
	forward := testkit.Start(t, "ssh -L", c.home([]string{"-N", "-L", fmt.Sprintf("127.0.0.1:%d:127.0.0.1:%d", port, echo)}))
	awaitListener(t, forward, port)
	conn := testkit.Must(net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port)))(t)
	const through = 19954
	go func() { _, _ = conn.Write(make([]byte, through)) }()
	if _, err := io.CopyN(io.Discard, conn, through); err != nil {
		t.Fatal(err)
	}
	conn.Close()
	s.awaitEvent("forward.closed", func(e event) bool { return strings.Contains(e.line, `"coverage":"metadata"`) })
	forward.End()
	n++
	shown = show(s.awaitSessions(n)[n-1].ID)
	want("a forward", shown, fmt.Sprintf("direct-tcpip to 127.0.0.1:%d, 19 kB down and 19 kB up passed, metadata", echo))

	// A session in which all that was asked for was refused.
	refused := testkit.Start(t, "ssh -W", c.home([]string{"-W", "192.0.2.1:9"}))
	refused.Wait()
	n++
	s.awaitSessions(n)
	if list := s.mustEntry("sessions", "ls", "--coverage", "refused"); strings.Count(list, " complete  refused ") != 1 {
		t.Errorf("sessions ls --coverage refused:\n%s", list)
	}
	want("a refused forward", show(s.awaitSessions(n)[n-1].ID), "coverage     refused\n", "forward-local to 192.0.2.1:9: rule home (tinker.yaml:14) does not list that destination\n")

	// The sum of them, in which a crash cuts one off.
	w := onTerminal(t, c.home(nil))
	shellAnswers(w)
	s.proc.Kill()
	if list := s.mustEntry("sessions", "ls"); strings.Count(list, " aborted   partial ") != 1 {
		t.Errorf("before the restart sessions ls says\n%s", list)
	}
	if sum := s.mustEntry("audit", "coverage"); !strings.Contains(sum, "the server ended before it did") || !regexp.MustCompile(`open +0 `).MatchString(sum) {
		t.Errorf("before the restart audit coverage says\n%s", sum)
	}
	s.serve()
	sum := s.mustEntry("audit", "coverage", "--since", "1h", "--lab", "tinker")
	t.Logf("\n%s", sum)
	want("the sum", sum, "in 1 recorded channel 1 line of input, 8 B, missing (masked as answers to password prompts)\n", "partial:\n", "of output missing (more than policy keeps of bulk)", "18 B of input missing", "the server ended before it did")
	for _, line := range []string{`recorded +4 `, `metadata +1 `, `partial +5 `, `refused +1 `, `open +0 `} {
		if !regexp.MustCompile(line).MatchString(sum) {
			t.Errorf("the sum has no line %s", line)
		}
	}
	if list := s.mustEntry("sessions", "ls", "--coverage", "partial"); strings.Count(list, " partial ") != 5 {
		t.Errorf("sessions ls --coverage partial:\n%s", list)
	}
}
