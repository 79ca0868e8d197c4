package access

import (
	"context"
	"errors"
	"time"

	"entry/policy"
)

// Book keeps who waits for whose approval, and what was approved, over restarts
// and for all servers on one database. *store.Store implements it. Each call is
// one transaction, durable on return; it is safe for concurrent use.
type Book interface {
	// Wait enters one more connection that waits, until w.Until at most. It joins
	// the request that the same seat has by the same rule for the same, whichever
	// server that waits at, and returns its ID in place of w.Request. It returns ErrCrowded when
	// the user, or everybody together, waits with so many already.
	Wait(ctx context.Context, w Waiter, now time.Time) (request string, err error)
	// Leave ends the waiting of that ID.
	Leave(ctx context.Context, id string) error
	// Waiters are all who wait.
	Waiters(ctx context.Context, now time.Time) ([]Waiter, error)

	// Give keeps an approval for the seat of w, for as long as w's account isn't
	// touched: what takes its access away (Account.Epoch) takes this along. It
	// stands in place of what the same person gave there before, as far as no
	// session uses that. It returns ErrNoRequest where the account was touched
	// since w began to wait, and ErrNotApprover where the approver has an account
	// that is disabled or over. It wakes Accounts.Changed, at all servers.
	Give(ctx context.Context, w Waiter, a policy.Approval) error
	// Given are the approvals in force that the session called use rests on; fresh
	// adds those that something new may use. Those for any number are in both. Where
	// the approver has an account, an approval is in force for as long as that isn't
	// touched and hasn't ended.
	Given(ctx context.Context, s policy.Seat, use string, fresh bool, now time.Time) ([]policy.Approval, error)
	// Use has the session called use rest on all approvals by these rules that it
	// may use, and returns how many it newly rests on. Of all callers, no more get
	// one than it was given for.
	Use(ctx context.Context, s policy.Seat, rules []string, use string, now time.Time) (int, error)
	// Unuse takes that back, for what didn't begin after all.
	Unuse(ctx context.Context, use string) error
	// Approvals are all in force.
	Approvals(ctx context.Context, now time.Time) ([]Approval, error)
	// Lapse removes those that are no longer in force because their approver's
	// account was touched, and returns them: of all callers, one gets each.
	Lapse(ctx context.Context, now time.Time) ([]Approval, error)
	// Withdraw ends the approval that by gave to a request, and what was to begin by
	// it or rests on it has it no more. It wakes Accounts.Changed, at all servers.
	Withdraw(ctx context.Context, request, by string) error
}

// Waiter is one connection that waits for approval.
type Waiter struct {
	ID      string // its own, random
	Request string // what approvers name: one for each seat and rule
	Seat    policy.Seat
	Rule    string // its name
	Gives   string // what would be approved, as policy.Quorum has it
	Until   time.Time
	// Account and Epoch are the store's: whose access, and as of when.
	Account string
	Epoch   int64
}

// Approval is one that was given, as listings show it.
type Approval struct {
	Request string // that it answered
	Seat    policy.Seat
	policy.Approval
	Used int // sessions that rest on it or did
}

// Limits of a Book. What is full refuses, never forgets: but for approvals, of
// which those go that end first.
const (
	MaxWaiting     = 1000 // connections that wait at a time
	MaxWaitingEach = 8    // of one user, so that one can't use up the others' places
	MaxApprovals   = 4096 // in force
)

// ErrCrowded is a Book's answer to one who waits too many.
var ErrCrowded = errors.New("too many wait for approval")
