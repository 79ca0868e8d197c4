//go:build linux

package site

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"os/user"
	"strconv"
	"syscall"

	"go.uber.org/zap"

	"entry/audit"
	"entry/audit/evidence"
	"entry/audit/witness"
	"entry/bastion/admin"
	"entry/bastion/store"
	"entry/configs"
	"entry/policy"
)

// Operate reaches the running server that cfg describes, or takes its place as
// the log's one writer. tell hears, in words and with the cause, of notices to
// users that got lost meanwhile.
func Operate(cfg *configs.Config, tell func(string, error)) (*admin.Client, error) {
	c, err := reach(cfg)
	if c != nil || err != nil {
		return c, err
	}
	if err := ownAccount(cfg.Audit.Directory, os.Geteuid()); err != nil {
		return nil, err
	}
	if err := known(cfg); err != nil {
		return nil, err
	}
	st, err := openState(cfg, tell)
	if errors.Is(err, audit.ErrLocked) {
		return nil, unanswered()
	}
	if err != nil {
		return nil, err
	}
	p, _ := policy.Load(cfg.Policy) // verbs that need one load it first and say what is wrong with it
	keys := &rotations{cfg: cfg, log: st.log, store: st.store, auth: st.auth, policy: func() *policy.Policy { return p }}
	return admin.InProcess(&admin.Server{Auth: st.auth, Events: st.log, Holds: st.store, Erasures: st.store, Rotations: keys, Retention: retention(cfg, st.log, st.store, &st.orders),
		Recordings: cfg.Recording.Directory, Log: zap.NewNop(), Policy: p, History: newest(cfg)}, st.Close), nil
}

// known refuses a log that a witness knows as another one, as a start does: what is done on it
// would be lost with it, or be kept where all else is.
func known(cfg *configs.Config) error {
	_, err := CheckWitnesses(context.Background(), cfg)
	if errors.Is(err, witness.ErrBehind) || errors.Is(err, witness.ErrForked) {
		return err
	}
	return nil // opening the log says more
}

// retention is what removes recordings, but for the policy and whom it tells.
func retention(cfg *configs.Config, log admin.Events, st *store.Store, orders *evidence.Orders) evidence.Retention {
	var signed func() audit.Position
	if l, ok := log.(interface{ Position() audit.Position }); ok {
		signed = l.Position
	}
	return evidence.Retention{Dir: cfg.Recording.Directory, Log: cfg.Audit.Directory, Signed: signed, Orders: orders, Append: log.Append, Holds: st.Holds, Lost: st.PlaceHold, Erasures: st.Erasures,
		NeedsTwo: cfg.Operators.EraseNeedsTwo, Least: cfg.Recording.KeepAtLeast}
}

// Ask is Operate for questions: where no server runs it changes nothing, and answers
// as after a start. warnings are Look's. Before there are accounts it is Operate.
func Ask(ctx context.Context, cfg *configs.Config, tell func(string, error)) (c *admin.Client, warnings []string, err error) {
	c, warnings, err = Look(ctx, cfg)
	if errors.Is(err, audit.ErrLocked) {
		return nil, nil, unanswered()
	}
	if c == nil && err == nil {
		c, err = Operate(cfg, tell)
	}
	return c, warnings, err
}

// unanswered is the error where a server runs that can't be reached.
func unanswered() error {
	return hinted(errors.New("a server is running, but its admin socket doesn't answer"), "check admin.socket in the configuration; if the server is just starting, try again")
}

// reach dials the running server; without one the client is nil.
func reach(cfg *configs.Config) (*admin.Client, error) {
	c, err := admin.Dial(cfg.Admin.Socket)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) {
		return nil, nil
	}
	if err != nil {
		return nil, hinted(fmt.Errorf("admin socket: %w", err), "run this as root or as the server's own account")
	}
	return c, nil
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
	return &Error{Err: fmt.Errorf("no server is running, and its files belong to account %s", owner), Config: true,
		Todo: "start the server first, or run this as that account (runuser -u " + owner + " -- entry …)"}
}

// newest reads the newest events of the log that cfg names, none of one that hasn't begun.
func newest(cfg *configs.Config) func(context.Context, int) iter.Seq2[audit.Event, error] {
	return func(ctx context.Context, n int) iter.Seq2[audit.Event, error] {
		if !exists(cfg.Audit.Directory) {
			return func(func(audit.Event, error) bool) {}
		}
		return audit.Tail(ctx, cfg.Audit.Directory, n, false)
	}
}
