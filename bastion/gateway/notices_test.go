package gateway_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"entry/bastion/gateway"
	"entry/configs"
)

// losses collects what was lost.
type losses struct {
	mu  sync.Mutex
	all []gateway.Loss
}

func (l *losses) add(x gateway.Loss) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, x)
}

func (l *losses) get() []gateway.Loss {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all
}

var sample = gateway.Notice{
	User: "alice", Kind: "authenticator-added", At: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC),
	Source: "192.0.2.7", Detail: `Another authenticator "phone".`,
}

func TestCommand(t *testing.T) {
	dir := t.TempDir()
	script := filepath.Join(dir, "notify")
	out := filepath.Join(dir, "out")
	if err := os.WriteFile(script, []byte("#!/bin/sh\n{ cat; echo \"$2\"; env | sort; pwd; } >\"$1\"\necho noise; echo noise >&2\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("CANARY", "secret")
	var lost losses
	n, err := gateway.NewNotices(gateway.NoticesOptions{Notices: command(script, out, "$(id) `id`"), Lost: lost.add})
	if err != nil {
		t.Fatal(err)
	}
	n.Send(sample)
	if err := n.Close(t.Context()); err != nil || len(lost.get()) != 0 {
		t.Fatalf("%v %+v", err, lost.get())
	}
	got, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	line, rest, _ := strings.Cut(string(got), "\n")
	var v gateway.Notice
	if err := json.Unmarshal([]byte(line), &v); err != nil || v != sample {
		t.Errorf("%q: %+v %v", line, v, err)
	}
	if !strings.HasPrefix(rest, "$(id) `id`\n") || !strings.HasSuffix(rest, "\n/\n") || strings.Contains(rest, "CANARY") {
		t.Errorf("the rest: %q", rest)
	}
}

// A command that hangs with children is killed with them, so that the next
// notice has its turn.
func TestHangingCommand(t *testing.T) {
	dir := t.TempDir()
	script := filepath.Join(dir, "notify")
	if err := os.WriteFile(script, []byte("#!/bin/sh\nsleep 1000 &\nsleep 1000\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	var lost losses
	n, err := gateway.NewNotices(gateway.NoticesOptions{Notices: configs.Notices{Command: []string{script}, Timeout: 100 * time.Millisecond}, Lost: lost.add})
	if err != nil {
		t.Fatal(err)
	}
	n.Send(sample)
	n.Send(sample)
	if err := n.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if all := lost.get(); len(all) != 2 || all[0].Reason != "not-taken" || !strings.Contains(all[1].Err.Error(), "took longer than 100ms") {
		t.Errorf("%+v", all)
	}
}

func TestFailingCommand(t *testing.T) {
	for name, argv := range map[string][]string{"status": {"/bin/false"}, "missing": {"/nonexistent/notify"}} {
		var lost losses
		n, err := gateway.NewNotices(gateway.NoticesOptions{Notices: command(argv...), Lost: lost.add})
		if err != nil {
			t.Fatal(err)
		}
		n.Send(sample)
		if err := n.Close(t.Context()); err != nil || len(lost.get()) != 1 {
			t.Errorf("%s: %v %+v", name, err, lost.get())
		}
	}
}

func TestWebhook(t *testing.T) {
	var mu sync.Mutex
	var got []gateway.Notice
	s := server(t, func(w http.ResponseWriter, r *http.Request) {
		var v gateway.Notice
		if err := json.NewDecoder(r.Body).Decode(&v); err != nil || r.Header.Get("Authorization") != "Bearer x" {
			t.Errorf("%v %v", err, r.Header)
		}
		mu.Lock()
		defer mu.Unlock()
		got = append(got, v)
		if len(got) == 1 {
			w.WriteHeader(http.StatusBadGateway)
		}
	})
	var lost losses
	n, err := gateway.NewNotices(gateway.NoticesOptions{
		Notices: configs.Notices{Webhook: gateway.EndpointWith(s.URL, func(e *configs.Endpoint) { e.HeadersFile = file(t, "Authorization: Bearer x\n") })}, Lost: lost.add,
	})
	if err != nil {
		t.Fatal(err)
	}
	n.Send(sample)
	if err := n.Close(t.Context()); err != nil || len(lost.get()) != 0 {
		t.Errorf("%v %+v", err, lost.get())
	}
	if len(got) != 2 || got[0] != sample || got[1] != sample {
		t.Errorf("%+v", got)
	}
}

func TestHangingWebhook(t *testing.T) {
	s := server(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // the server looks for the client's end only then
		<-r.Context().Done()
	})
	var lost losses
	n, err := gateway.NewNotices(gateway.NoticesOptions{Notices: configs.Notices{Webhook: gateway.EndpointWith(s.URL, func(e *configs.Endpoint) { e.Timeout = time.Hour })}, Lost: lost.add, Queue: 1})
	if err != nil {
		t.Fatal(err)
	}
	for range 100 {
		n.Send(sample)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := n.Close(ctx); err == nil {
		t.Error("closed without a word")
	}
	total := 0
	for _, l := range lost.get() {
		total += l.Count
	}
	if total != 100 {
		t.Errorf("%d of 100 reported: %+v", total, lost.get())
	}
}

func command(argv ...string) configs.Notices {
	return configs.Notices{Command: argv, Timeout: 10 * time.Second}
}

func TestNewNoticesRefuses(t *testing.T) {
	lost := func(gateway.Loss) {}
	good := command("/bin/true")
	both := good
	both.Webhook = gateway.EndpointWith("https://x.example.org")
	for name, o := range map[string]gateway.NoticesOptions{
		"nothing":         {Lost: lost},
		"both":            {Lost: lost, Notices: both},
		"nobody to tell":  {Notices: good},
		"relative":        {Lost: lost, Notices: command("notify")},
		"plain http":      {Lost: lost, Notices: configs.Notices{Webhook: gateway.EndpointWith("http://x.example.org")}},
		"negative queue":  {Lost: lost, Notices: good, Queue: -1},
		"endless queue":   {Lost: lost, Notices: good, Queue: 1<<16 + 1},
		"negative time":   {Lost: lost, Notices: configs.Notices{Command: []string{"/bin/true"}, Timeout: -1}},
		"no time":         {Lost: lost, Notices: configs.Notices{Command: []string{"/bin/true"}}},
		"no headers file": {Lost: lost, Notices: configs.Notices{Webhook: gateway.EndpointWith("https://x.example.org", func(e *configs.Endpoint) { e.HeadersFile = "/nonexistent" })}},
	} {
		if n, err := gateway.NewNotices(o); err == nil {
			t.Errorf("%s was taken", name)
			_ = n.Close(t.Context())
		}
	}
}
