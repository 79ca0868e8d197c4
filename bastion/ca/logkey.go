package ca

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/mod/sumdb/note"
)

// LogSigner signs an audit log's checkpoints with a key that an ssh-agent holds, which
// may run under another account. It keeps no connection; it is safe for concurrent use.
type LogSigner struct {
	agent    *agentSigner
	verifier note.Verifier
	public   string
}

// OpenLogSigner uses the key, held by the agent at socket, whose public half is
// verifier, in the text form of signed notes. The agent is asked once now, so that a
// wrong socket shows at start.
func OpenLogSigner(socket, verifier string) (*LogSigner, error) {
	key, err := NoteKey(verifier)
	if err != nil {
		return nil, err
	}
	v, err := note.NewVerifier(strings.TrimSpace(verifier))
	if err != nil {
		return nil, errors.New("malformed public key")
	}
	s := &LogSigner{agent: &agentSigner{socket: socket, key: key, limit: agentDeadline}, verifier: v, public: verifier}
	return s, s.agent.holds()
}

// Name is the log's.
func (s *LogSigner) Name() string { return s.verifier.Name() }

// KeyHash is as in signed notes.
func (s *LogSigner) KeyHash() uint32 { return s.verifier.KeyHash() }

// PublicKey is the text that the signer was opened with.
func (s *LogSigner) PublicKey() string { return s.public }

// How often an agent is asked before a log ends for it, so that it may be restarted.
const (
	signTries = 20
	signPause = 100 * time.Millisecond
)

// Sign asks the agent for an Ed25519 signature. It takes two seconds before it gives up
// an agent that can't be reached, and five for each try of one that doesn't answer.
func (s *LogSigner) Sign(msg []byte) ([]byte, error) {
	began := time.Now()
	for try := 1; ; try++ {
		sig, err := s.agent.Sign(nil, msg)
		switch {
		case err == nil && sig.Format == ssh.KeyAlgoED25519:
			return sig.Blob, nil
		case err == nil:
			return nil, fmt.Errorf("sign with agent %s: the signature is of another kind", s.agent.socket)
		case try == signTries || time.Since(began) > agentDeadline:
			return nil, err
		}
		time.Sleep(signPause)
	}
}

// AgentForm is an audit log's signing key in the form that ssh-add takes.
func AgentForm(signer string) ([]byte, error) {
	// PRIVATE+KEY+name+hash+base64(algorithm, seed)
	f := strings.SplitN(strings.TrimSpace(signer), "+", 5)
	bad := errors.New("not a log's signing key") // no error quotes it
	if len(f) != 5 || f[0] != "PRIVATE" || f[1] != "KEY" {
		return nil, bad
	}
	raw, err := base64.StdEncoding.DecodeString(f[4])
	if err != nil || len(raw) != 1+ed25519.SeedSize || raw[0] != noteEd25519 {
		return nil, bad
	}
	block, err := ssh.MarshalPrivateKey(ed25519.NewKeyFromSeed(raw[1:]), "audit log "+f[2])
	if err != nil {
		return nil, bad
	}
	return pem.EncodeToMemory(block), nil
}
