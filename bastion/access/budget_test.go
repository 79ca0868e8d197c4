package access

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"entry/audit"
	"entry/audit/refusal"
	"entry/e2e/testkit"
	"entry/e2e/testkit/logbook"
	"entry/policy"
	"entry/policy/strict"
)

// ledger is Usage in memory.
type ledger struct {
	mu    sync.Mutex
	used  map[string]int64
	calls int
	down  error
}

func (l *ledger) key(day time.Time, owner string) string {
	return day.Format(time.DateOnly) + " " + owner
}

func (l *ledger) Reserve(_ context.Context, day time.Time, owner string, want, limit int64) (int64, int64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.calls++
	if l.down != nil {
		return 0, 0, l.down
	}
	k := l.key(day, owner)
	got := max(0, min(want, limit-l.used[k]))
	l.used[k] += got
	return got, l.used[k], nil
}

func (l *ledger) Release(_ context.Context, day time.Time, owner string, n int64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.used[l.key(day, owner)] -= n
	return l.down
}

func (l *ledger) sum(day, owner string) int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.used[day+" "+owner]
}

// braked is a gate as far as budgets know it, with the log of what they note.
func braked() (*Gate, *ledger, *logbook.Log, *testkit.Clock) {
	l, n, clock := &ledger{used: map[string]int64{}}, &logbook.Log{}, testkit.NewClock(time.Date(2026, 3, 1, 23, 0, 0, 0, time.UTC))
	return &Gate{o: Options{Usage: l, Events: n, Trouble: func(string, error) {}}, now: clock.Now}, l, n, clock
}

// limited is a grant for alice on home.tinker with these limits.
func limited(t *testing.T, limits, egress string) policy.Grant {
	t.Helper()
	if egress != "" {
		egress = "    egress: {user_day: " + egress + "}\n"
	}
	p, err := policy.Parse(strict.File{Name: "t.yaml", Data: []byte(`
labs:
  tinker:
    members: [alice]
` + egress + `    targets:
      home: {address: "127.0.0.1:22", host_keys: ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f"]}
      other: {address: "127.0.0.1:22", host_keys: ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f"]}
rules:
  - {name: a, who: {labs: [tinker]}, where: {labs: [tinker]}, may: [shell], limits: {` + limits + `}}
`)})
	if err != nil {
		t.Fatal(err)
	}
	target, _ := p.Target("home.tinker")
	g, err := p.Decide(policy.Request{User: "alice", Target: target, Time: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func (g *Gate) brakes(grant policy.Grant) *budgets {
	return newBudgets(g, grant, func(t audit.Type) audit.Event { return audit.Event{Type: t} })
}

// drain takes want bytes at a time until the budget ends, and gives the sum and
// what the user reads then.
func drain(b *Budget, want int64) (sum int64, said string) {
	for {
		n, err := b.Take(context.Background(), want)
		sum += n
		var end *refusal.Error
		if errors.As(err, &end) {
			return sum, end.Text
		}
		if err != nil || n <= 0 {
			return sum, "neither bytes nor an end"
		}
	}
}

const day = "2026-03-01"

func TestBudgetLimits(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		limits, egress string
		up             bool
		sum            int64
		said           string
	}{
		"session down": {limits: "session_down: 1MiB", sum: 1 << 20, said: "the limit of one session from home.tinker, 1 MiB, is reached; connect again"},
		"session up":   {limits: "session_up: 1000", up: true, sum: 1000, said: "the limit of one session to home.tinker, 1000 bytes, is reached; connect again"},
		"day down":     {limits: "day_down: 100MiB", sum: 100 << 20, said: "your limit for today from home.tinker, 100 MiB, is reached; it starts anew at 00:00 UTC"},
		"day up":       {limits: "day_up: 1KiB", up: true, sum: 1 << 10, said: "your limit for today to home.tinker, 1 KiB, is reached; it starts anew at 00:00 UTC"},
		"lab":          {limits: "", egress: "3MiB", sum: 3 << 20, said: "your lab's limit for today from home.tinker, 3 MiB, is reached; it starts anew at 00:00 UTC"},
		"the least":    {limits: "session_down: 5MiB, day_down: 4MiB", egress: "3MiB", sum: 3 << 20, said: "your lab's limit for today from home.tinker, 3 MiB, is reached; it starts anew at 00:00 UTC"},
	} {
		t.Run(name, func(t *testing.T) {
			s, l, n, _ := braked()
			b := s.brakes(limited(t, tt.limits, tt.egress))
			d, free := b.down, b.up
			if tt.up {
				d, free = b.up, b.down
			}
			if sum, said := drain(d, 100_000); sum != tt.sum || said != tt.said {
				t.Errorf("%d, %q", sum, said)
			}
			if _, said := drain(d, 1); said != tt.said {
				t.Errorf("again: %q", said)
			}
			if len(n.All(audit.BudgetWarning)) == 0 || len(n.All(audit.BudgetSpent)) != 1 {
				t.Errorf("%+v", n.All())
			}
			if got, err := free.Take(context.Background(), 1<<40); got != 1<<40 || err != nil {
				t.Errorf("the other direction: %d, %v", got, err)
			}
			b.close()
			for k, v := range l.used {
				if v > tt.sum {
					t.Errorf("%s: %d bytes on record, %d moved", k, v, tt.sum)
				}
			}
		})
	}
}

// The 80 % are told of once, near 80 %, however many sessions there are.
func TestBudgetWarnsOnce(t *testing.T) {
	t.Parallel()
	s, _, n, _ := braked()
	g := limited(t, "day_down: 10MiB", "")
	a, b := s.brakes(g).down, s.brakes(g).down
	take := func(most int64) {
		for sum := int64(0); sum < most; {
			for _, x := range []*Budget{a, b} {
				got, err := x.Take(context.Background(), 64<<10)
				if err != nil {
					t.Fatal(err)
				}
				sum += got
			}
		}
	}
	take(7 << 20)
	if len(n.All(audit.BudgetWarning)) != 0 {
		t.Errorf("warned at 70 %%: %+v", n.All())
	}
	take(2 << 20)
	if len(n.All(audit.BudgetWarning)) != 1 || !strings.Contains(n.All()[0].Detail, "10 MiB") {
		t.Errorf("at 90 %%: %+v", n.All())
	}
}

// However many sessions there are, they never move more than the day's limit;
// what they hold and don't move comes back.
func TestBudgetInParallel(t *testing.T) {
	t.Parallel()
	s, l, _, _ := braked()
	const limit = 8 << 20
	g := limited(t, "day_down: 8MiB", "100MiB")
	var mu sync.Mutex
	var sum int64
	var all sync.WaitGroup
	for range 8 {
		all.Add(1)
		go func() {
			defer all.Done()
			b := s.brakes(g)
			defer b.close()
			for i := 0; ; i++ {
				n, err := b.down.Take(context.Background(), 50_000)
				if err != nil {
					return
				}
				if i%3 == 0 {
					b.down.Return(n / 2)
					n -= n / 2
				}
				mu.Lock()
				sum += n
				mu.Unlock()
			}
		}()
	}
	all.Wait()
	if sum > limit || sum < limit/2 {
		t.Errorf("%d bytes under a limit of %d", sum, limit)
	}
	if used, lab := l.sum(day, "down alice home.tinker"), l.sum(day, "lab alice tinker"); used != sum || lab != sum {
		t.Errorf("on record %d and %d, moved %d", used, lab, sum)
	}
}

// The store isn't asked for each chunk, and what a crash leaves behind is a
// block.
func TestBudgetReservesInBlocks(t *testing.T) {
	t.Parallel()
	s, l, _, _ := braked()
	b := s.brakes(limited(t, "day_down: 64GiB", "")).down
	for range 1000 {
		if _, err := b.Take(context.Background(), 1<<20); err != nil {
			t.Fatal(err)
		}
	}
	if l.calls != 16 {
		t.Errorf("the store was asked %d times for 1000 MiB", l.calls)
	}
	if lost := l.sum(day, "down alice home.tinker") - 1000<<20; lost < 0 || lost > mostReserve {
		t.Errorf("%d bytes more than moved", lost)
	}
	b.Return(1 << 20)
	if used := l.sum(day, "down alice home.tinker"); used != 999<<20 {
		t.Errorf("%d bytes once nothing moves", used)
	}
}

func TestBudgetOfAnotherDay(t *testing.T) {
	t.Parallel()
	s, l, n, clock := braked()
	all := s.brakes(limited(t, "day_down: 1MiB", ""))
	b := all.down
	if sum, _ := drain(b, 10_000); sum != 1<<20 {
		t.Fatal(sum)
	}
	clock.Advance(2 * time.Hour)
	got, err := b.Take(context.Background(), 1000)
	if got != 1000 || err != nil {
		t.Fatalf("%d, %v", got, err)
	}
	b.Return(64 << 10) // most of it was taken yesterday
	if used := l.sum("2026-03-02", "down alice home.tinker"); used != 0 {
		t.Errorf("today: %d", used)
	}
	if sum, _ := drain(b, 10_000); sum != 1<<20 {
		t.Errorf("the next day: %d", sum)
	}
	if len(n.All(audit.BudgetSpent)) != 2 {
		t.Errorf("%+v", n.All())
	}
	all.close()
	if used := l.sum(day, "down alice home.tinker"); used != 1<<20 {
		t.Errorf("yesterday: %d", used)
	}
}

// A new policy's limits hold for what runs, in both directions of change.
func TestBudgetFollowsThePolicy(t *testing.T) {
	t.Parallel()
	s, l, _, _ := braked()
	b := s.brakes(limited(t, "", ""))
	if n, err := b.down.Take(context.Background(), 1<<20); n != 1<<20 || err != nil {
		t.Fatal(n, err)
	}
	b.adapt(limited(t, "session_down: 2MiB", ""))
	if sum, _ := drain(b.down, 10_000); sum != 1<<20 {
		t.Errorf("after 1 of 2 MiB: %d", sum)
	}
	b.adapt(limited(t, "day_down: 1MiB", "1MiB"))
	if sum, said := drain(b.down, 10_000); sum != 1<<20 || !strings.Contains(said, "your limit for today") {
		t.Errorf("%d, %q", sum, said)
	}
	b.adapt(limited(t, "day_down: 3MiB", ""))
	if sum, _ := drain(b.down, 10_000); sum != 2<<20 {
		t.Errorf("2 MiB more: %d", sum)
	}
	b.adapt(limited(t, "", ""))
	if n, err := b.down.Take(context.Background(), 1<<30); n != 1<<30 || err != nil {
		t.Error(n, err)
	}
	b.close()
	if used := l.sum(day, "down alice home.tinker"); used != 3<<20 {
		t.Errorf("on record: %d", used)
	}
}

// Without the store nothing is moved that would have to be counted.
func TestBudgetWithoutAStore(t *testing.T) {
	t.Parallel()
	s, l, _, _ := braked()
	l.down = errors.New("disk I/O error")
	if sum, said := drain(s.brakes(limited(t, "day_down: 1MiB", "")).down, 1000); sum != 0 || said != "entry can't count what is moved right now, so nothing more is" {
		t.Errorf("%d, %q", sum, said)
	}
	if sum, _ := drain(s.brakes(limited(t, "session_down: 1MiB", "")).down, 1000); sum != 1<<20 {
		t.Errorf("a session's own limit needs no store: %d", sum)
	}
}

// A chunk that doesn't fit takes what is left and gives it back, so that a
// smaller one still does.
func TestWhatDoesNotFitComesBack(t *testing.T) {
	t.Parallel()
	s, l, _, _ := braked()
	b := s.brakes(limited(t, "day_up: 1000", ""))
	take := func(want, fits int64) {
		t.Helper()
		if got, err := b.up.Take(context.Background(), want); err != nil || got != fits {
			t.Fatalf("%d of %d, %v", got, want, err)
		}
	}
	take(900, 900)
	take(200, 100)
	var end *refusal.Error
	if _, err := b.up.Take(context.Background(), 100); !errors.As(err, &end) {
		t.Errorf("%v", err)
	}
	b.up.Return(100)
	take(100, 100)
	b.close()
	if used := l.sum(day, "up alice home.tinker"); used != 1000 {
		t.Errorf("%d bytes", used)
	}
}
