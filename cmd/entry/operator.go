//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"

	"github.com/spf13/cobra"

	"entry/bastion/admin"
	"entry/bastion/site"
	"entry/configs"
)

// operator does operations at the running server, or itself, as the log's one
// writer, when no server runs.
type operator struct{ *admin.Client }

// openOperator finds the server that cfg describes, or takes its place.
func openOperator(cfg *configs.Config) (*operator, error) {
	c, err := site.Operate(cfg, func(text string, cause error) { fmt.Fprintf(os.Stderr, "entry: note: %s: %v\n", text, cause) })
	if err != nil {
		return nil, err
	}
	return &operator{c}, nil
}

// call does one operation. in and out may be nil. What is refused ends with the
// exit code for it.
func (o *operator) call(ctx context.Context, method, path string, in, out any) error {
	err := o.Call(site.Self(ctx), method, path, in, out)
	var refused *admin.Error
	if !errors.As(err, &refused) {
		return err
	}
	switch refused.Status {
	case http.StatusNotFound:
		return failf(exitNotFound, "%s", refused.Text)
	case http.StatusForbidden:
		return failf(exitDenied, "%s", refused.Text)
	case http.StatusUnprocessableEntity:
		return failf(exitDenied, "%s", refused.Text) // tests failed
	case http.StatusBadRequest:
		return failf(exitUsage, "%s", refused.Text)
	}
	return errors.New(refused.Text)
}

// noteRead tells the running server that recording id is being read, so that
// the log shows it. Without one it can't be traced, and says so.
func noteRead(cmd *cobra.Command, id, verb string) error { return readings(cmd, verb)(id) }

// readings is noteRead for many: it says once that they can't be traced.
func readings(cmd *cobra.Command, verb string) func(id string) error {
	said := false
	return func(id string) error {
		cfg, err := loadConfig(cmd)
		if err != nil {
			return err
		}
		c, err := admin.Dial(cfg.Admin.Socket)
		if err != nil {
			if !said {
				fmt.Fprintln(os.Stderr, "entry: note: no server is running, so the audit log won't show this reading")
			}
			said = true
			return nil
		}
		o := &operator{c}
		return errors.Join(o.call(cmd.Context(), http.MethodPost, "/v1/recordings/"+url.PathEscape(id)+"/read", map[string]string{"verb": verb}, nil), o.Close())
	}
}
