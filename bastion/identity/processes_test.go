package identity_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"sync"
	"testing"
	"time"

	"entry/audit"
	"entry/bastion/identity"
	"entry/bastion/store"
	"entry/configs"
)

// order is what a process of its own is told to do, on its standard input.
type order struct {
	Path    string
	Secret  []byte
	Now     time.Time
	Name    string
	Answers []string
	Tries   int
	Spread  bool // each try from an address of its own
	First   int  // number of the first address
}

// outcome is what it reports, on its standard output.
type outcome struct {
	Succeeded, Refused, Locked, Unavailable int
	Judged                                  int // dialogues that were evaluated
}

// orderVariable makes the test binary a server process: it says that it is
// ready, waits for a line, tries, and reports.
const orderVariable = "ENTRY_TEST_ORDER"

func TestMain(m *testing.M) {
	if text := os.Getenv(orderVariable); text != "" {
		if err := serveOrder(text); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func serveOrder(text string) error {
	var o order
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		return err
	}
	s, err := store.OpenSQLite(o.Path, func() time.Time { return o.Now })
	if err != nil {
		return err
	}
	var (
		mu  sync.Mutex
		out outcome
	)
	a, err := identity.New(identity.Options{
		Config: configs.Default(), Store: s, Secret: o.Secret, Now: func() time.Time { return o.Now },
		Events: func(_ context.Context, all ...audit.Event) error {
			mu.Lock()
			defer mu.Unlock()
			for _, e := range all {
				if e.Type == audit.LoginFailed {
					out.Judged++
				}
			}
			return nil
		},
	})
	if err != nil {
		return err
	}
	a.MakeCheap()
	fmt.Println("ready")
	if _, err := bufio.NewReader(os.Stdin).ReadString('\n'); err != nil {
		return err
	}
	var wg sync.WaitGroup
	for i := range o.Tries {
		wg.Go(func() {
			at := identity.Attempt{Name: o.Name, Source: home, Conn: "01CONN"}
			if o.Spread {
				n := o.First + i
				at.Source = netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 9, byte(n >> 8), byte(n)}), 4000)
			}
			in := answering(slices.Clone(o.Answers))
			id, err := a.Login(context.Background(), at, identity.NewConnState(), &in)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil && id.Valid():
				out.Succeeded++
			case errors.Is(err, identity.ErrUnavailable):
				out.Unavailable++
			case errors.Is(err, identity.ErrLocked):
				out.Locked++
			default:
				out.Refused++
			}
		})
	}
	wg.Wait()
	return errors.Join(json.NewEncoder(os.Stdout).Encode(out), a.Close(context.Background()), s.Close())
}

// processes runs each order in a process of its own, all from one moment on.
func processes(t *testing.T, orders ...order) (sum outcome) {
	t.Helper()
	type child struct {
		in  io.WriteCloser
		out *bufio.Reader
		cmd *exec.Cmd
	}
	var all []child
	for _, o := range orders {
		text, err := json.Marshal(o)
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		cmd.Env = append(os.Environ(), orderVariable+"="+string(text))
		cmd.Stderr = os.Stderr
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		c := child{in, bufio.NewReader(out), cmd}
		if line, err := c.out.ReadString('\n'); err != nil || line != "ready\n" {
			t.Fatalf("%q %v", line, err)
		}
		all = append(all, c)
	}
	for _, c := range all {
		if _, err := io.WriteString(c.in, "go\n"); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range all {
		var got outcome
		if err := json.NewDecoder(c.out).Decode(&got); err != nil {
			t.Fatal(err)
		}
		if err := c.cmd.Wait(); err != nil {
			t.Fatal(err)
		}
		t.Logf("%+v", got)
		sum.Succeeded += got.Succeeded
		sum.Refused += got.Refused
		sum.Locked += got.Locked
		sum.Unavailable += got.Unavailable
		sum.Judged += got.Judged
	}
	return sum
}

// TestOneCodeOnceOverProcesses: a thousand tries of one code, half of them by
// each of two processes on one database.
func TestOneCodeOnceOverProcesses(t *testing.T) {
	w := newWorld(t)
	u := w.enrolled("alice")
	o := order{Path: w.path, Secret: w.secret, Now: w.clock.Now(), Name: "alice", Answers: []string{good, u.code()}, Tries: 500, Spread: true}
	second := o
	second.First = 500
	if got := processes(t, o, second); got.Succeeded != 1 || got.Refused+got.Unavailable != 999 {
		t.Errorf("%+v", got)
	}
}

// TestLockIsReachedOverProcesses: the limit of nine holds for both together, and
// for the one that comes after.
func TestLockIsReachedOverProcesses(t *testing.T) {
	for _, name := range []string{"alice", "nobody"} {
		w := newWorld(t)
		u := w.enrolled("alice")
		o := order{Path: w.path, Secret: w.secret, Now: w.clock.Now(), Name: name, Answers: []string{good, u.wrongCode()}, Tries: 20}
		if got := processes(t, o, o); got.Judged != 9 || got.Succeeded != 0 || got.Unavailable != 0 {
			t.Errorf("%s: %+v", name, got)
		}
		locked := []round{{askPass, good}, {askCode, u.wrongCode()}, {fmt.Sprintf(lockedText, "30 minutes"), ""}}
		_, err := w.login(attempt(name), locked...)
		wantErr(t, err, identity.ErrLocked)
		// A new process knows it, too: a restart forgives nothing.
		w.a = w.authenticator(w.store)
		_, err = w.login(attempt(name), locked...)
		wantErr(t, err, identity.ErrLocked)
	}
}
