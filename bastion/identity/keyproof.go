package identity

import (
	"context"
	"errors"
	"io"
	"strings"

	"github.com/hiddeco/sshsig"
	"golang.org/x/crypto/ssh"

	"entry/bastion/identity/secret"
	"entry/policy/pubkey"
)

const (
	maxSignature      = 4 << 10 // bytes of armour; RSA of 4096 bits takes 1.6 KiB
	maxSignatureLines = 64
	signatureBegins   = "-----BEGIN SSH SIGNATURE-----"
	signatureEnds     = "-----END SSH SIGNATURE-----"
)

// askForSignature asks for a signature of the key over a challenge that was made for
// this command, in the namespace of entry's own (PROTOCOL.sshsig), and tells whether
// it came. An empty answer leaves the key a claim. *Refusal after three wrong ones.
func (d *dialogue) askForSignature(ctx context.Context, key ssh.PublicKey) (bool, error) {
	challenge, namespace := d.a.issuer+"-"+d.user+"-"+secret.NewID(), "keys@"+d.a.issuer
	ask := "\nShow that the key is yours: where its private half is, type\n" +
		"  echo " + challenge + " | ssh-keygen -Y sign -n " + namespace + " -f ~/.ssh/id_ed25519\n" +
		"with your file's name at the end, and paste all that it prints.\n" +
		"Without (press Enter) it is yours from your first login with it, unless somebody\n" +
		"else shows it first.\nSignature: "
	say := ""
	for range dialoguesPerConn {
		text, err := d.readSignature(ctx, say+ask)
		switch {
		case err != nil:
			return false, err
		case text == "":
			return false, nil
		case signed(text, challenge, namespace, key):
			return true, nil
		}
		say = "That is no signature of this key over the line below."
	}
	return false, &Refusal{Text: "Not accepted. The key was not added."}
}

// readSignature reads the lines of an armoured signature; "" for none.
func (d *dialogue) readSignature(ctx context.Context, prompt string) (string, error) {
	var b strings.Builder
	for range maxSignatureLines {
		line, err := d.ask.Ask(ctx, prompt, true)
		prompt = ""
		line = strings.TrimSpace(line)
		switch {
		case errors.Is(err, io.EOF) && b.Len() == 0:
			return "", nil // no more input, from a program's pipe
		case err != nil:
			return "", errors.Join(ErrAbandoned, err)
		case b.Len() == 0 && line == "":
			return "", nil
		case b.Len() == 0 && line != signatureBegins, b.Len()+len(line) > maxSignature:
			return "none", nil
		}
		b.WriteString(line + "\n")
		if line == signatureEnds {
			return b.String(), nil
		}
	}
	return "none", nil
}

// signed tells whether text is an armoured signature of key over challenge, as the
// shells of Linux, macOS and Windows hand a line on.
func signed(text, challenge, namespace string, key ssh.PublicKey) bool {
	sig, err := sshsig.Unarmor([]byte(text))
	if err != nil || sig.Signature == nil || sig.PublicKey == nil || sig.Signature.Format == ssh.KeyAlgoRSA { // SHA-1
		return false
	}
	for _, end := range []string{"\n", "\r\n", " \r\n", " \n", ""} {
		if sshsig.Verify(strings.NewReader(challenge+end), sig, key, sig.HashAlgorithm, namespace) == nil {
			return true
		}
	}
	return false
}

// publicKey is a key that parseKey has accepted.
func publicKey(k Key) (ssh.PublicKey, error) {
	pub, _, err := pubkey.Parse(k.Line)
	return pub, err
}
