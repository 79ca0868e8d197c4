package identity

import (
	"crypto/ed25519"
	"strings"
	"testing"

	"github.com/hiddeco/sshsig"
	"golang.org/x/crypto/ssh"
)

func FuzzSigned(f *testing.F) {
	signer, err := ssh.NewSignerFromKey(ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)))
	if err != nil {
		f.Fatal(err)
	}
	for _, namespace := range []string{"keys@entry", "file"} {
		sig, err := sshsig.Sign(strings.NewReader("challenge\n"), signer, sshsig.HashSHA512, namespace)
		if err != nil {
			f.Fatal(err)
		}
		text := string(sshsig.Armor(sig))
		if signed(text, "challenge", "keys@entry", signer.PublicKey()) != (namespace == "keys@entry") {
			f.Fatalf("a signature for %s", namespace)
		}
		f.Add(text)
		f.Add(text[:len(text)/2] + "\n" + signatureEnds)
	}
	f.Add(signatureBegins + "\n" + signatureEnds)
	f.Fuzz(func(t *testing.T, text string) {
		if signed(text, "another challenge", "keys@entry", signer.PublicKey()) {
			t.Errorf("%q is a signature over what was never signed", text)
		}
	})
}
