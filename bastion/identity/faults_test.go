package identity_test

import (
	"context"
	"errors"
	"sync"
	"time"

	"entry/bastion/identity"
)

// counting records which calls reach the store.
type counting struct {
	identity.Store
	mu    sync.Mutex
	calls []string
}

func (c *counting) note(call string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls = append(c.calls, call)
}

// taken are the calls since the last time.
func (c *counting) taken() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	calls := c.calls
	c.calls = nil
	return calls
}

func (c *counting) Account(ctx context.Context, name string) (identity.Account, error) {
	c.note("Account")
	return c.Store.Account(ctx, name)
}

func (c *counting) Standing(ctx context.Context, name, fingerprint string) (identity.Standing, error) {
	c.note("Standing")
	return c.Store.Standing(ctx, name, fingerprint)
}

func (c *counting) Tallies(ctx context.Context, keys ...identity.TallyKey) ([]identity.Tally, error) {
	c.note("Tallies")
	return c.Store.Tallies(ctx, keys...)
}

func (c *counting) Count(ctx context.Context, at time.Time, edit func([]identity.Tally) bool, keys ...identity.TallyKey) error {
	c.note("Count")
	return c.Store.Count(ctx, at, edit, keys...)
}

func (c *counting) SpendStep(ctx context.Context, id string, step int64, at time.Time) (bool, error) {
	c.note("SpendStep")
	return c.Store.SpendStep(ctx, id, step, at)
}

func (c *counting) CountFailures(ctx context.Context, id string, at time.Time, edit func([]identity.Tally) bool, keys ...identity.TallyKey) error {
	c.note("CountFailures")
	return c.Store.CountFailures(ctx, id, at, edit, keys...)
}

func (c *counting) SpendRecovery(ctx context.Context, id string, h [32]byte, at time.Time) (bool, error) {
	c.note("SpendRecovery")
	return c.Store.SpendRecovery(ctx, id, h, at)
}

var errDisk = errors.New("disk I/O error at /secret/path")
