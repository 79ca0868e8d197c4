package bastion

import (
	"context"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"entry/audit"
	"entry/bastion/identity"
	"entry/configs"

	"entry/session/group"
)

// nobody is a store without accounts.
type nobody struct{ identity.Store }

func (nobody) Account(context.Context, string) (identity.Account, error) {
	return identity.Account{}, identity.ErrNoAccount
}

func (nobody) Tallies(_ context.Context, keys ...identity.TallyKey) ([]identity.Tally, error) {
	return make([]identity.Tally, len(keys)), nil
}

func (nobody) Count(_ context.Context, _ time.Time, edit func([]identity.Tally) bool, keys ...identity.TallyKey) error {
	edit(make([]identity.Tally, len(keys)))
	return nil
}

type noTexter struct{}

func (noTexter) Send(context.Context, string, string) error { return nil }

// waits answers the passphrase after a while and then waits for an SMS.
type waits struct{ rounds int }

func (w *waits) Ask(ctx context.Context, _ string, _ bool) (string, error) {
	if w.rounds++; w.rounds == 1 {
		time.Sleep(100 * time.Second) // in the bubble's time
		return "a passphrase", nil
	}
	<-ctx.Done()
	return "", context.Cause(ctx)
}

// Where a code may have to arrive by SMS, its wait counts from the passphrase,
// for a name that nobody has as for any other. Without a gateway it doesn't.
func TestGraceForCodesBySMS(t *testing.T) {
	for name, c := range map[string]struct {
		texter identity.Texter
		want   time.Duration
	}{
		"a gateway":  {noTexter{}, 100*time.Second + smsGrace},
		"no gateway": {nil, 120 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				auth, err := identity.New(identity.Options{
					Config: configs.Default(), Store: nobody{}, Secret: make([]byte, 32), Texter: c.texter,
					Events: func(context.Context, ...audit.Event) error { return nil },
				})
				if err != nil {
					t.Fatal(err)
				}
				near, far := net.Pipe()
				defer far.Close()
				ctx, cancel := context.WithCancel(context.Background())
				s := &Server{cfg: &configs.Config{Login: configs.Login{Grace: 120 * time.Second, EnrolmentGrace: 10 * time.Minute}}}
				l := &login{s: s, ctx: ctx, group: group.New(context.Background(), nil), conn: near, state: identity.NewConnState(), ticket: &ticket{a: newAdmission(configs.Default().Limits.Startups, 8, time.Now)}}
				began := time.Now()
				l.begin("alice")
				stop := l.extendForEnrolment("alice")
				var dialogue sync.WaitGroup
				dialogue.Go(func() {
					if id, err := auth.Login(ctx, identity.Attempt{Name: "alice"}, l.state, &waits{}); err == nil {
						t.Errorf("%v got in", id)
					}
				})
				_, _ = far.Read(make([]byte, 1)) // it is the end that counts
				if took := time.Since(began); took != c.want {
					t.Errorf("closed after %s, not %s", took, c.want)
				}
				cancel()
				dialogue.Wait()
				stop()
				l.endGrace()
			})
		})
	}
}
