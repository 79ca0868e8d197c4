package ca

import (
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
	"golang.org/x/mod/sumdb/note"

	"entry/audit"
	"entry/e2e/testkit"
)

// TestLogSigner: what an agent signs is what the log's own key would, an agent that is
// started again meanwhile is waited for, and one without the key is refused.
func TestLogSigner(t *testing.T) {
	signer, public, err := audit.GenerateKey("a.example/log")
	testkit.Check(t, err)
	key := testkit.Must(ssh.ParseRawPrivateKey(testkit.Must(AgentForm(signer))(t)))(t)
	socket := filepath.Join(testkit.ShortDir(t), "a")
	keys := agent.NewKeyring()
	stop := agentAt(t, socket, keys)
	if _, err := OpenLogSigner(socket, public); err == nil || !strings.Contains(err.Error(), "add ") {
		t.Errorf("an agent without the key: %v", err)
	}
	testkit.Check(t, keys.Add(agent.AddedKey{PrivateKey: key}))
	s := testkit.Must(OpenLogSigner(socket, public))(t)
	verifier := testkit.Must(note.NewVerifier(public))(t)
	sign := func() {
		t.Helper()
		signed := testkit.Must(note.Sign(&note.Note{Text: "a.example/log\n0\n"}, s))(t)
		if _, err := note.Open(signed, note.VerifierList(verifier)); err != nil {
			t.Errorf("%q: %v", signed, err)
		}
	}
	sign()
	stop()
	done := make(chan struct{})
	go func() { sign(); close(done) }()
	agentAt(t, socket, keys)
	testkit.Finishes(t, "the signature of an agent that is back", func() { <-done })
	for _, bad := range []string{"", "hello", public, "PRIVATE+KEY+a+00000000+AAAA", strings.Replace(signer, "+AX", "+BX", 1)[:40]} {
		if out, err := AgentForm(bad); err == nil || strings.Contains(err.Error(), bad) && bad != "" {
			t.Errorf("%q gives %q, %v", bad, out, err)
		}
	}
}
