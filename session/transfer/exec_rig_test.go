package transfer

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"entry/e2e/testkit"
)

// standIn is set where this test binary is run as ssh by a stock client: to a
// file in which it says what it did.
const standIn = "TRANSFER_TEST_SSH"

func TestMain(m *testing.M) {
	if report := os.Getenv(standIn); report != "" {
		os.Exit(runAsSSH(report, os.Args[1:]))
	}
	os.Exit(m.Run())
}

// run is what became of one command that a client asked for.
type run struct {
	Line    string // the client's
	Sent    string // the target's; "" if it was refused
	Refused string
	Status  int
	Entries []Entry
	Error   string // the decoder's
}

// runAsSSH does what entry and a target would: it judges the command line, has a
// shell run it in the target's folder, and the decoder between. TRANSFER_TEST_MAY
// has the rights.
func runAsSSH(report string, args []string) int {
	got := run{Line: commandOf(args), Status: 255}
	defer func() {
		f, err := os.OpenFile(report, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err == nil {
			err = errors.Join(json.NewEncoder(f).Encode(got), f.Close())
		}
		if err != nil {
			panic(err)
		}
	}()
	signal.Ignore(syscall.SIGPIPE)
	if os.Getenv("TRANSFER_TEST_MAY") == "as it is" {
		got.Sent = got.Line
		got.Status = bare(got.Line, os.Getenv("TRANSFER_TEST_DIR"))
		return got.Status
	}
	may := mayOf(os.Getenv("TRANSFER_TEST_MAY"))
	p, err := Command(got.Line)
	if err == nil {
		if why := p.Refused(may); why != "" {
			err = errors.New(why)
		}
	}
	if err != nil {
		got.Refused = err.Error()
		_, _ = io.WriteString(os.Stderr, got.Refused+"\n")
		return got.Status
	}
	got.Sent = p.Line(may)
	var stopped error
	got.Status, got.Entries, stopped = carry(p, may, got.Sent, os.Getenv("TRANSFER_TEST_DIR"), os.Stdin, os.Stdout, os.Stderr)
	if stopped != nil {
		got.Error, got.Status = stopped.Error(), 254
		_, _ = io.WriteString(os.Stderr, got.Error+"\n")
	}
	return got.Status
}

// bare runs line as a target without entry in front of it does.
func bare(line, dir string) int {
	cmd := exec.Command("sh", "-c", line)
	cmd.Dir, cmd.Stdin, cmd.Stdout, cmd.Stderr = dir, os.Stdin, os.Stdout, os.Stderr
	_ = cmd.Run() // the status says it
	return cmd.ProcessState.ExitCode()
}

// carry runs line in a shell, with p's decoder between it and the client, until
// it has ended: an ssh doesn't wait for its own input then.
func carry(p *Program, may May, line, dir string, from io.Reader, to, stderr io.Writer) (status int, entries []Entry, stopped error) {
	cmd := exec.Command("sh", "-c", line)
	cmd.Dir, cmd.Stderr = dir, stderr
	in, _ := cmd.StdinPipe()
	out, _ := cmd.StdoutPipe()
	if err := cmd.Start(); err != nil {
		panic(err)
	}
	c := &carrier{d: p.Decoder(may)}
	toClient := make(chan struct{})
	for i, w := range []io.Writer{to, in} {
		pieces := make(chan []byte, 1<<16) // more than a test has under way
		c.out[i] = pieces
		go func() {
			for p := range pieces {
				_, _ = w.Write(p) // who is gone takes nothing
			}
			if i == 0 {
				close(toClient)
			} else {
				_ = in.Close()
			}
		}()
	}
	go c.copy(true, from)
	c.copy(false, out)
	_ = cmd.Wait() // which has the status
	c.mu.Lock()
	defer c.mu.Unlock()
	if r := (&takings{entries: &c.entries}); c.err == nil {
		if !c.ended[1] {
			c.err = c.d.End(true, r)
		}
		c.close()
		if f, ok := c.d.(Finisher); ok {
			f.Finish(cmd.ProcessState.ExitCode(), r)
		}
	}
	<-toClient
	return cmd.ProcessState.ExitCode(), c.entries, c.err
}

// carrier is a decoder in a channel.
type carrier struct {
	d       Decoder
	mu      sync.Mutex
	out     [2]chan []byte // to the client, to the target; nil once closed
	entries []Entry
	ended   [2]bool
	err     error
}

func (c *carrier) copy(toTarget bool, src io.Reader) {
	for {
		buf := make([]byte, 32<<10)
		n, err := src.Read(buf)
		if over := c.piece(toTarget, buf[:n], err != nil); over || err != nil {
			return
		}
	}
}

// close has what is queued written, and no more.
func (c *carrier) close() {
	for i, out := range c.out {
		if out != nil {
			close(out)
		}
		c.out[i] = nil
	}
}

func (c *carrier) piece(toTarget bool, p []byte, last bool) (over bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	mine, other := c.out[index(toTarget)], c.out[1-index(toTarget)]
	r := &takings{entries: &c.entries}
	if c.err == nil && len(p) > 0 {
		c.err = c.d.Data(toTarget, p, r)
	}
	if c.err == nil && last {
		c.ended[index(toTarget)] = true
		c.err = c.d.End(toTarget, r)
	}
	passed, answers := r.take()
	if mine != nil && len(passed) > 0 {
		mine <- slices.Concat(passed...)
	}
	if other != nil && len(answers) > 0 {
		other <- slices.Concat(answers...)
	}
	if c.err != nil {
		c.close()
	} else if last && toTarget && mine != nil {
		close(mine)
		c.out[1] = nil
	}
	return c.err != nil
}

// commandOf is the command in what a client runs ssh with.
func commandOf(args []string) string {
	for len(args) > 0 && strings.HasPrefix(args[0], "-") {
		if a := args[0]; a == "-o" || a == "-p" || a == "-l" {
			args = args[1:]
		}
		args = args[1:]
	}
	return strings.Join(args[1:], " ")
}

// mayOf permits the directions that text names, behind the word once each of them
// for one question.
func mayOf(text string) May {
	once, asked := strings.HasPrefix(text, "once "), 0
	return func(d Direction) string {
		if asked++; strings.Contains(text, d.String()) && !(once && asked > 1) {
			return ""
		}
		return "entry: you may not " + d.String() + " here: ask Ines"
	}
}

// target is a folder at a target, and a stock client's way there.
type target struct {
	dir, report string
	env         []string
}

// newTarget permits what may says, as policy writes it.
func newTarget(t testing.TB, may string) *target {
	t.Helper()
	dir := t.TempDir()
	report := filepath.Join(t.TempDir(), "report")
	env := append(os.Environ(), standIn+"="+report, "TRANSFER_TEST_DIR="+dir, "TRANSFER_TEST_MAY="+may)
	return &target{dir: dir, report: report, env: env}
}

// ssh is the program that is ssh for clients.
func (g *target) ssh(t testing.TB) string { return testkit.Must(os.Executable())(t) }

// run runs a client in dir to its end, and says what the target's side did.
func (g *target) run(t testing.TB, dir string, command ...string) (testkit.Result, []run) {
	t.Helper()
	testkit.Check(t, os.RemoveAll(g.report))
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Dir, cmd.Env = dir, g.env
	result := testkit.Run(t, cmd)
	var runs []run
	data, _ := os.ReadFile(g.report) // none if the client didn't get so far
	for d := json.NewDecoder(strings.NewReader(string(data))); ; {
		var one run
		if err := d.Decode(&one); errors.Is(err, io.EOF) {
			return result, runs
		} else if err != nil {
			t.Fatal(err)
		}
		runs = append(runs, one)
	}
}
