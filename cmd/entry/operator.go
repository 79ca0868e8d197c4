package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/user"
	"strconv"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"entry/audit"
	"entry/bastion"
	"entry/configs"
	"entry/policy"
)

// operatorTimeout bounds one operation, argon2 and ended sessions included.
const operatorTimeout = 30 * time.Second

// operator sends operations to the running server over its admin socket, or
// does them itself, as the log's one writer, when no server runs.
type operator struct {
	do      func(*http.Request) (*http.Response, error)
	closing func() error
	running bool
}

// openOperator finds the server that cfg describes, or takes its place.
func openOperator(cfg *configs.Config) (*operator, error) {
	if o, err := dialOperator(cfg); err == nil {
		return o, nil
	} else if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ECONNREFUSED) {
		return nil, hinted(fmt.Errorf("admin socket: %w", err), "run this as root or as the server's own account")
	}
	if err := ownAccount(cfg.Audit.Directory, os.Geteuid()); err != nil {
		return nil, err
	}
	st, err := openState(cfg, func(text string, cause error) { fmt.Fprintf(os.Stderr, "entry: note: %s: %v\n", text, cause) })
	if errors.Is(err, audit.ErrLocked) {
		return nil, hinted(errors.New("a server is running, but its admin socket doesn't answer"), "check admin.socket in the configuration; if the server is just starting, try again")
	}
	if err != nil {
		return nil, err
	}
	p, _ := policy.Load(cfg.Policy) // verbs that need one load it first and say what is wrong with it
	admin := &bastion.Admin{Auth: st.auth, Events: st.log, Log: zap.NewNop(), Policy: p}
	return &operator{do: inProcess(admin.Handler()), closing: st.Close}, nil
}

// ownAccount refuses to work in the server's place as another account than the
// one that owns its files: root would leave new ones that the server can't open.
func ownAccount(dir string, euid int) error {
	fi, err := os.Stat(dir)
	if err != nil {
		return nil // opening it says so
	}
	st, ok := fi.Sys().(*syscall.Stat_t)
	if !ok || int(st.Uid) == euid {
		return nil
	}
	owner := strconv.FormatUint(uint64(st.Uid), 10)
	if u, err := user.LookupId(owner); err == nil {
		owner = u.Username
	}
	return hinted(failf(exitUsage, "no server is running, and its files belong to account %s", owner),
		"start the server first, or run this as that account (runuser -u "+owner+" -- entry …)")
}

// dialOperator connects to the running server only.
func dialOperator(cfg *configs.Config) (*operator, error) {
	nc, err := net.Dial("unix", cfg.Admin.Socket)
	if err != nil {
		return nil, err
	}
	used := false
	client := &http.Client{Timeout: operatorTimeout, Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			if !used {
				used = true
				return nc, nil
			}
			var d net.Dialer
			return d.DialContext(ctx, "unix", cfg.Admin.Socket)
		},
	}}
	return &operator{do: client.Do, closing: func() error { client.CloseIdleConnections(); return nil }, running: true}, nil
}

func (o *operator) Close() error { return o.closing() }

// call does one operation. in and out may be nil.
func (o *operator) call(ctx context.Context, method, path string, in, out any) error {
	var body bytes.Buffer
	if in != nil {
		if err := json.NewEncoder(&body).Encode(in); err != nil {
			return err
		}
	}
	r, err := http.NewRequestWithContext(self(ctx), method, "http://entry"+path, &body)
	if err != nil {
		return err
	}
	resp, err := o.do(r)
	if err != nil {
		return fmt.Errorf("ask the server: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		var e bastion.AdminError
		if err := json.NewDecoder(resp.Body).Decode(&e); err != nil {
			return fmt.Errorf("ask the server: it answered %s", resp.Status)
		}
		switch resp.StatusCode {
		case http.StatusNotFound:
			return failf(exitNotFound, "%s", e.Text)
		case http.StatusForbidden:
			return failf(exitDenied, "%s", e.Text)
		case http.StatusBadRequest:
			return failf(exitUsage, "%s", e.Text)
		}
		return errors.New(e.Text)
	}
	if out == nil {
		return nil
	}
	return json.NewDecoder(resp.Body).Decode(out)
}

// inProcess answers requests by calling h.
func inProcess(h http.Handler) func(*http.Request) (*http.Response, error) {
	return func(r *http.Request) (*http.Response, error) {
		w := &answer{status: http.StatusOK, header: http.Header{}}
		h.ServeHTTP(w, r)
		return &http.Response{StatusCode: w.status, Status: http.StatusText(w.status), Header: w.header, Body: io.NopCloser(&w.body)}, nil
	}
}

// answer is the response of a handler that is called in process.
type answer struct {
	status int
	header http.Header
	body   bytes.Buffer
}

func (a *answer) Header() http.Header         { return a.header }
func (a *answer) WriteHeader(status int)      { a.status = status }
func (a *answer) Write(p []byte) (int, error) { return a.body.Write(p) }

// noteRead tells the running server that recording id is being read, so that
// the log shows it. Without one it can't be traced, and says so.
func noteRead(cmd *cobra.Command, id, verb string) error {
	cfg, err := loadConfig(cmd)
	if err != nil {
		return err
	}
	o, err := dialOperator(cfg)
	if err != nil {
		fmt.Fprintln(os.Stderr, "entry: note: no server is running, so the audit log won't show this reading")
		return nil
	}
	return errors.Join(o.call(cmd.Context(), http.MethodPost, "/v1/recordings/"+url.PathEscape(id)+"/read", map[string]string{"verb": verb}, nil), o.Close())
}
