package ca

import (
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
)

// agentDeadline bounds one exchange with an agent, connecting included: a
// hanging agent must not hold up a user's connection for longer than a dial.
const agentDeadline = 5 * time.Second

// fromAgent uses a key held by the ssh-agent that listens on socket, which may
// run under another account as long as this one may connect. publicKey is the
// path of the .pub file that says which of the agent's keys is meant. The agent
// is asked once now, so that a wrong socket shows at start, and connected to
// anew for every signature (5 s each), so that it may be restarted.
func fromAgent(socket, publicKey string) (*Authority, error) {
	key, err := LoadPublic(publicKey)
	if err != nil {
		return nil, err
	}
	s := &agentSigner{socket: socket, key: key, limit: agentDeadline}
	if err := s.holds(); err != nil {
		return nil, err
	}
	return &Authority{signer: s, origin: "agent " + socket}, nil
}

// agentSigner is an ssh.Signer over one key of an agent. It keeps no
// connection.
type agentSigner struct {
	socket string
	key    ssh.PublicKey
	limit  time.Duration // of one exchange
}

func (s *agentSigner) PublicKey() ssh.PublicKey { return s.key }

func (s *agentSigner) Sign(rand io.Reader, data []byte) (*ssh.Signature, error) {
	return s.SignWithAlgorithm(rand, data, "")
}

// SignWithAlgorithm asks the agent for one signature and checks it, so that an
// agent that answers with another key's signature is an error here and not a
// riddle at the target.
func (s *agentSigner) SignWithAlgorithm(_ io.Reader, data []byte, algorithm string) (*ssh.Signature, error) {
	var flags agent.SignatureFlags
	if s.key.Type() == ssh.KeyAlgoRSA {
		switch algorithm {
		case "", ssh.KeyAlgoRSASHA512:
			flags = agent.SignatureFlagRsaSha512
		case ssh.KeyAlgoRSASHA256:
			flags = agent.SignatureFlagRsaSha256
		default:
			return nil, fmt.Errorf("sign with agent %s: algorithm %s isn't used", s.socket, algorithm)
		}
	}
	var sig *ssh.Signature
	err := s.ask(func(c agent.ExtendedAgent) (err error) {
		sig, err = c.SignWithFlags(s.key, data, flags)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("sign with agent %s, key %s: %w", s.socket, Fingerprint(s.key), err)
	}
	if err := s.key.Verify(data, sig); err != nil {
		return nil, fmt.Errorf("sign with agent %s: signature isn't by key %s", s.socket, Fingerprint(s.key))
	}
	return sig, nil
}

// holds checks that the agent answers and has the key.
func (s *agentSigner) holds() error {
	var keys []*agent.Key
	err := s.ask(func(c agent.ExtendedAgent) (err error) {
		keys, err = c.List()
		return err
	})
	if err != nil {
		return fmt.Errorf("ask agent %s: %w", s.socket, err)
	}
	for _, k := range keys {
		if sameKey(k, s.key) {
			return nil
		}
	}
	if len(keys) == 0 {
		return fmt.Errorf("agent %s holds no keys (or is locked): add %s with ssh-add", s.socket, Fingerprint(s.key))
	}
	return fmt.Errorf("agent %s doesn't hold key %s (it has %d others): add it with ssh-add", s.socket, Fingerprint(s.key), len(keys))
}

func (s *agentSigner) ask(do func(agent.ExtendedAgent) error) error {
	deadline := time.Now().Add(s.limit)
	conn, err := net.DialTimeout("unix", s.socket, s.limit)
	if err != nil {
		var op *net.OpError
		if errors.As(err, &op) {
			err = op.Err // the socket is named once, by the caller
		}
		return fmt.Errorf("connect: %w", err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(deadline); err != nil {
		return err
	}
	err = do(agent.NewClient(conn))
	// The agent package keeps no chain of causes, so the clock tells a silent
	// agent from one that refused.
	if err != nil && !time.Now().Before(deadline) {
		return fmt.Errorf("no answer within %s", s.limit)
	}
	return err
}
