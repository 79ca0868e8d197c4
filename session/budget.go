package session

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"entry/audit/refusal"
	"entry/policy"
)

// What is taken out of a budget at once: little at first, so that somebody who
// types holds little of what others could use, and more the more is moved.
const (
	firstBlock = 64 << 10 // bytes
	lastBlock  = 1 << 20  // bytes
)

// allowance is what one session took out of a budget and hasn't moved yet.
// The zero value is without a bound.
type allowance struct {
	budget Budget
	left   atomic.Int64

	mu    sync.Mutex // one Take or Return at a time; held across them
	block int64      // to be taken next
}

// take spends n bytes, if need be after asking the budget for more.
func (a *allowance) take(ctx context.Context, n int) error {
	if a.budget == nil || a.spend(int64(n)) {
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for !a.spend(int64(n)) {
		got, err := a.budget.Take(ctx, max(a.block, firstBlock, int64(n)))
		if err != nil {
			return err
		}
		if got <= 0 {
			return errBudget
		}
		a.left.Add(got)
		a.block = min(2*max(a.block, firstBlock), lastBlock)
	}
	return nil
}

var errBudget = errors.New("the budget gave nothing and no reason")

// spend takes n bytes out of what is left. It never goes below zero, not even
// for a moment: another channel would be refused what is there.
func (a *allowance) spend(n int64) bool {
	for {
		left := a.left.Load()
		if left < n {
			return false
		}
		if a.left.CompareAndSwap(left, left-n) {
			return true
		}
	}
}

// giveBack returns what wasn't moved.
func (a *allowance) giveBack() {
	if a.budget == nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.block = 0
	if n := a.left.Swap(0); n > 0 {
		a.budget.Return(n)
	}
}

// unbudgeted is the refusal for an error of Take.
func unbudgeted(err error) *refusal.Error {
	var denied *policy.Denied
	var why *refusal.Error
	switch {
	case errors.As(err, &denied):
		return &refusal.Error{Text: denied.Told(), Code: refusal.Budget, Cause: denied}
	case errors.As(err, &why):
		return why
	}
	return &refusal.Error{Text: "how much may still be moved can't be checked right now", Code: refusal.Unavailable, Cause: err}
}
