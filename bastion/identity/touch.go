package identity

import "golang.org/x/crypto/ssh"

// touches tells whether a signature of key, once x/crypto/ssh has verified it,
// proves that somebody touched a security key: its verification refuses a
// signature without the user-presence flag (CTAP2 §6.1, PROTOCOL.u2f) unless the
// key was registered with no-touch-required, an option that AddKey refuses as it
// does every other.
//
// The same signature has a user-verification flag (PIN or finger on the key),
// but x/crypto/ssh doesn't show it to the server, and "verify-required" in the
// user's key file binds only an honest client. So a touch is never more than the
// code: the passphrase is asked beside it.
func touches(key ssh.PublicKey) bool {
	return key.Type() == ssh.KeyAlgoSKED25519 || key.Type() == ssh.KeyAlgoSKECDSA256
}
