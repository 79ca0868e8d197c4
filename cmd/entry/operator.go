//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"entry/audit"
	"entry/bastion/admin"
	"entry/bastion/site"
	"entry/configs"
)

// operator does operations at the running server, or itself, as the log's one
// writer, when no server runs.
type operator struct{ *admin.Client }

// openOperator finds the server that cfg describes, or takes its place.
func openOperator(cfg *configs.Config) (*operator, error) {
	c, err := site.Operate(cfg, lostNotice)
	if err != nil {
		return nil, err
	}
	return &operator{c}, nil
}

// askOperator is openOperator for questions, which change nothing: what a start would
// say of accounts that it takes access from is said on standard error.
func askOperator(ctx context.Context, cfg *configs.Config) (*operator, error) {
	c, warnings, err := site.Ask(ctx, cfg, lostNotice)
	if err != nil {
		return nil, err
	}
	for _, w := range warnings {
		fmt.Fprintln(os.Stderr, "warning:", w)
	}
	return &operator{c}, nil
}

func lostNotice(text string, cause error) {
	fmt.Fprintf(os.Stderr, "entry: note: %s: %v\n", text, cause)
}

// withOperator runs f with the running server, or in its place.
func withOperator(cmd *cobra.Command, f func(cfg *configs.Config, o *operator) error) error {
	return with(cmd, openOperator, f)
}

// withAnswers is withOperator for an f that changes nothing; nor does it.
func withAnswers(cmd *cobra.Command, f func(cfg *configs.Config, o *operator) error) error {
	return with(cmd, func(cfg *configs.Config) (*operator, error) { return askOperator(cmd.Context(), cfg) }, f)
}

func with(cmd *cobra.Command, open func(*configs.Config) (*operator, error), f func(*configs.Config, *operator) error) (err error) {
	cfg, err := loadConfig(cmd)
	if err != nil {
		return err
	}
	o, err := open(cfg)
	if err != nil {
		return err
	}
	defer func() {
		if cerr := o.Close(); err == nil {
			err = cerr
		}
	}()
	return f(cfg, o)
}

// withServer runs f with the running server, for verbs that mean nothing without one, as
// hint says where there is none.
func withServer(cmd *cobra.Command, hint string, f func(o *operator) error) error {
	return with(cmd, func(cfg *configs.Config) (*operator, error) {
		c, err := admin.Dial(cfg.Admin.Socket)
		if err != nil {
			return nil, hinted(fmt.Errorf("no server answers at %s", cfg.Admin.Socket), hint)
		}
		return &operator{c}, nil
	}, func(_ *configs.Config, o *operator) error { return f(o) })
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

// noteReadings tells the running server that recordings are being read, in a search for
// a pattern if that isn't "", so that the log shows it: one event for all of them, as far
// as that has room. Without a server it can't be traced, and says so.
func noteReadings(cmd *cobra.Command, ids []string, verb, pattern string) (err error) {
	if len(ids) == 0 {
		return nil
	}
	if sourceOf(cmd) != nil {
		noteCopy(cmd)
		return nil
	}
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
	defer func() { err = errors.Join(err, o.Close()) }()
	for some := range slices.Chunk(ids, audit.MaxSessions) {
		if err := o.call(cmd.Context(), http.MethodPost, "/v1/recordings/read", admin.Reading{Verb: verb, Sessions: some, Pattern: pattern}, nil); err != nil {
			return err
		}
	}
	return nil
}
