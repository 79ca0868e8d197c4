package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"os/user"
	"strconv"
	"syscall"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"entry/audit"
	"entry/bastion/admin"
	"entry/configs"
	"entry/policy"
)

// operator does operations at the running server, or itself, as the log's one
// writer, when no server runs.
type operator struct{ *admin.Client }

// openOperator finds the server that cfg describes, or takes its place.
func openOperator(cfg *configs.Config) (*operator, error) {
	c, err := admin.Dial(cfg.Admin.Socket)
	if err == nil {
		return &operator{c}, nil
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
	return &operator{admin.InProcess(&admin.Server{Auth: st.auth, Events: st.log, Log: zap.NewNop(), Policy: p}, st.Close)}, nil
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

// call does one operation. in and out may be nil. What is refused ends with the
// exit code for it.
func (o *operator) call(ctx context.Context, method, path string, in, out any) error {
	err := o.Call(self(ctx), method, path, in, out)
	var refused *admin.Error
	if !errors.As(err, &refused) {
		return err
	}
	switch refused.Status {
	case http.StatusNotFound:
		return failf(exitNotFound, "%s", refused.Text)
	case http.StatusForbidden:
		return failf(exitDenied, "%s", refused.Text)
	case http.StatusBadRequest:
		return failf(exitUsage, "%s", refused.Text)
	}
	return errors.New(refused.Text)
}

// noteRead tells the running server that recording id is being read, so that
// the log shows it. Without one it can't be traced, and says so.
func noteRead(cmd *cobra.Command, id, verb string) error {
	cfg, err := loadConfig(cmd)
	if err != nil {
		return err
	}
	c, err := admin.Dial(cfg.Admin.Socket)
	if err != nil {
		fmt.Fprintln(os.Stderr, "entry: note: no server is running, so the audit log won't show this reading")
		return nil
	}
	o := &operator{c}
	return errors.Join(o.call(cmd.Context(), http.MethodPost, "/v1/recordings/"+url.PathEscape(id)+"/read", map[string]string{"verb": verb}, nil), o.Close())
}
