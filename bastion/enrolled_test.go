package bastion_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base32"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/pquerna/otp/totp"
	"golang.org/x/crypto/ssh"

	"entry/audit"
	"entry/bastion/identity"
	"entry/bastion/store"
	"entry/configs"
	"entry/e2e/testkit"
)

const siteSecret = "0123456789abcdef0123456789abcdef"

// enrolled is a database with accounts that have a passphrase and an
// authenticator, made once: hashing is meant to be slow.
var enrolled struct {
	once  sync.Once
	db    []byte
	seeds map[string]string // user → seed in base32
	keys  map[string]ssh.Signer
	at    time.Time
	err   error
}

const passphrase = "three quiet otters paddle north"

var users = []string{"alice", "bob"}

func newKey() ssh.Signer {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		panic(err)
	}
	s, err := ssh.NewSignerFromKey(private)
	if err != nil {
		panic(err)
	}
	return s
}

var secretLine = regexp.MustCompile(`(?m)^  ((?:[A-Z2-7]{4} ){3}[A-Z2-7]{4}\n  (?:[A-Z2-7]{4} ){3}[A-Z2-7]{4})$`)

// enrol takes a fresh account through its first login.
type enrol struct {
	temporary string
	clock     *testkit.Clock
	seed      string
}

func (e *enrol) Ask(_ context.Context, prompt string, _ bool) (string, error) {
	switch m := secretLine.FindStringSubmatch(prompt); {
	case m != nil:
		e.seed = strings.NewReplacer(" ", "", "\n", "").Replace(m[1])
		return totp.GenerateCode(e.seed, e.clock.Now())
	case strings.HasSuffix(prompt, "ew entry passphrase: "):
		return passphrase, nil
	case strings.HasSuffix(prompt, "entry passphrase: "):
		return e.temporary, nil
	}
	return "", nil // Enter
}

func enrolAll(dir string) error {
	clock := testkit.NewClock(testkit.Noon.Add(10 * time.Second))
	st, err := store.OpenSQLite(filepath.Join(dir, "entry.db"), clock.Now)
	if err != nil {
		return err
	}
	auth, err := identity.New(identity.Options{Config: configs.Default(), Store: st, Secret: []byte(siteSecret), Now: clock.Now,
		Events: func(context.Context, ...audit.Event) error { return nil }})
	if err != nil {
		return errors.Join(err, st.Close())
	}
	enrolled.seeds, enrolled.keys = map[string]string{}, map[string]ssh.Signer{}
	for i, u := range users {
		e := &enrol{clock: clock}
		if e.temporary, err = auth.AddUser(context.Background(), u); err != nil {
			return err
		}
		if _, err = auth.Login(context.Background(), identity.Attempt{Name: u, Conn: fmt.Sprint(i)}, identity.NewConnState(), e); err != nil {
			return err
		}
		if _, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(e.seed); err != nil {
			return err
		}
		enrolled.seeds[u], enrolled.keys[u] = e.seed, newKey()
		if _, err := auth.AddKey(context.Background(), u, string(ssh.MarshalAuthorizedKey(enrolled.keys[u].PublicKey()))); err != nil {
			return err
		}
	}
	enrolled.at = clock.Now()
	if err := st.Close(); err != nil {
		return err
	}
	enrolled.db, err = os.ReadFile(filepath.Join(dir, "entry.db"))
	return err
}
