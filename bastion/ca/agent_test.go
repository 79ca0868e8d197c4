package ca

import (
	"crypto/ed25519"
	"crypto/rand"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"entry/e2e/testkit"
)

// agentAt serves keys on socket until the returned function is called.
func agentAt(t *testing.T, socket string, keys agent.Agent) (stop func()) {
	t.Helper()
	l, err := net.Listen("unix", socket)
	testkit.Check(t, err)
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { defer nc.Close(); _ = agent.ServeAgent(keys, nc) })
		}
	})
	var once sync.Once
	stop = func() { once.Do(func() { l.Close(); serving.Wait() }) }
	t.Cleanup(stop)
	return stop
}

func publicFile(t *testing.T, private any) string {
	t.Helper()
	signer, err := ssh.NewSignerFromKey(private)
	testkit.Check(t, err)
	path := filepath.Join(t.TempDir(), "ca.pub")
	testkit.Check(t, os.WriteFile(path, ssh.MarshalAuthorizedKey(signer.PublicKey()), 0o644))
	return path
}

func TestAgent(t *testing.T) {
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	testkit.Check(t, err)
	for name, private := range map[string]any{"ed25519": &ed, "rsa": rsaKey(t, 2048)} {
		t.Run(name, func(t *testing.T) {
			socket := filepath.Join(testkit.ShortDir(t), "a")
			keys := agent.NewKeyring()
			testkit.Check(t, keys.Add(agent.AddedKey{PrivateKey: private}))
			stop := agentAt(t, socket, keys)
			a, err := fromAgent(socket, publicFile(t, private))
			testkit.Check(t, err)
			u, err := NewUserCA(a)
			testkit.Check(t, err)
			issue := func() error {
				signer, err := issueOne(u, UserRequest{Principal: "alice", Now: testkit.Noon})
				if err == nil {
					_, err = UserCheck{CA: u.PublicKey(), Login: "alice", Now: testkit.Noon}.Verify(signer.PublicKey())
				}
				return err
			}
			testkit.Check(t, issue())
			stop()
			refused(t, issue(), "sign with agent "+socket)
			agentAt(t, socket, keys)
			testkit.Check(t, issue()) // connected anew
			testkit.Check(t, keys.RemoveAll())
			refused(t, issue(), Fingerprint(a.PublicKey()))
		})
	}
}

func TestAgentWithoutTheKey(t *testing.T) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	testkit.Check(t, err)
	public := publicFile(t, &private)
	socket := filepath.Join(testkit.ShortDir(t), "a")
	_, err = fromAgent(socket, public)
	refused(t, err, "no such file")
	keys := agent.NewKeyring()
	agentAt(t, socket, keys)
	_, err = fromAgent(socket, public)
	refused(t, err, "holds no keys (or is locked)")
	testkit.Check(t, keys.Add(agent.AddedKey{PrivateKey: rsaKey(t, 2048)}))
	_, err = fromAgent(socket, public)
	refused(t, err, "add it with ssh-add")
	_, err = fromAgent(socket, filepath.Join(t.TempDir(), "absent.pub"))
	refused(t, err, "load public key")
}

// liar answers with a signature by another key.
type liar struct {
	agent.Agent
	key, other ssh.Signer
}

func (l liar) List() ([]*agent.Key, error) {
	k := l.key.PublicKey()
	return []*agent.Key{{Format: k.Type(), Blob: k.Marshal()}}, nil
}

func (l liar) Sign(_ ssh.PublicKey, data []byte) (*ssh.Signature, error) {
	return l.other.Sign(rand.Reader, data)
}

func TestAgentThatLies(t *testing.T) {
	socket := filepath.Join(testkit.ShortDir(t), "a")
	key := testkit.NewSigner(t)
	agentAt(t, socket, liar{key: key, other: testkit.NewSigner(t)})
	path := filepath.Join(t.TempDir(), "ca.pub")
	testkit.Check(t, os.WriteFile(path, ssh.MarshalAuthorizedKey(key.PublicKey()), 0o644))
	a, err := fromAgent(socket, path)
	testkit.Check(t, err)
	u, err := NewUserCA(a)
	testkit.Check(t, err)
	_, err = issueOne(u, UserRequest{Principal: "alice", Now: testkit.Noon})
	refused(t, err, "signature isn't by key")
}

func TestAgentThatHangs(t *testing.T) {
	socket := filepath.Join(testkit.ShortDir(t), "a")
	l, err := net.Listen("unix", socket)
	testkit.Check(t, err)
	defer l.Close() // never accepts; the kernel lets clients connect
	s := &agentSigner{socket: socket, key: testkit.NewSigner(t).PublicKey(), limit: 50 * time.Millisecond}
	_, err = s.Sign(rand.Reader, []byte("data"))
	refused(t, err, "no answer within 50ms")
}
