package fastconn

import (
	"crypto/rand"
	"errors"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/ssh"

	"entry/e2e/testkit"
)

// paced is how long the next Read takes on a connection on which a peer has sent a
// byte, and did what f does.
func paced(t *testing.T, f func(*Intake)) (took time.Duration, err error) {
	t.Helper()
	near, far := net.Pipe()
	in := NewIntake(near)
	go func() { _, _ = far.Write([]byte{'x'}) }()
	f(in)
	began := time.Now()
	_, err = in.Read(make([]byte, 1))
	took = time.Since(began)
	_, _ = in.Close(), far.Close()
	return took, err
}

// Who asks faster than is allowed isn't read from for as long as it was too fast,
// and who doesn't is read from at once.
func TestPace(t *testing.T) {
	asked := func(n int) func(*Intake) {
		return func(i *Intake) {
			for range n {
				i.Asked()
			}
		}
	}
	key := testkit.NewSigner(t)
	exchanged := func(n int) func(*Intake) {
		return func(i *Intake) {
			k := i.HostKey(key).(ssh.AlgorithmSigner)
			for n := range n {
				var err error
				if n%2 == 0 {
					_, err = k.SignWithAlgorithm(rand.Reader, nil, ssh.KeyAlgoED25519)
				} else {
					_, err = k.Sign(rand.Reader, nil)
				}
				testkit.Check(t, err)
			}
		}
	}
	for _, tt := range []struct {
		name string
		does func(*Intake)
		want time.Duration
	}{
		{"nothing", asked(0), 0},
		{"all at once", asked(paceBurst), 0},
		{"more", asked(paceBurst + 3*paceRate), 3 * time.Second},
		{"key exchanges", exchanged(paceBurst / exchangeCost), 0},
		{"more key exchanges", exchanged((paceBurst + 2*paceRate) / exchangeCost), 2 * time.Second},
		{"long ago", func(i *Intake) {
			asked(paceBurst)(i)
			time.Sleep(time.Second)
			asked(paceRate)(i)
		}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				took, err := paced(t, tt.does)
				testkit.Check(t, err)
				if took.Round(time.Millisecond) != tt.want {
					t.Errorf("read after %s, want %s", took, tt.want)
				}
			})
		})
	}
}

// Nobody waits on a connection that was closed.
func TestPaceEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		took, err := paced(t, func(i *Intake) {
			for range paceBurst + 100*paceRate {
				i.Asked()
			}
			time.AfterFunc(time.Second, func() { _ = i.Close() })
		})
		if took != time.Second || !errors.Is(err, net.ErrClosed) {
			t.Errorf("read after %s: %v", took, err)
		}
	})
}
