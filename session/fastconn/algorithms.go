package fastconn

import (
	"bytes"
	"slices"

	"golang.org/x/crypto/ssh"
	"golang.org/x/sys/cpu"
)

// rekeyThreshold is in bytes; x/crypto's own default for AES is 64 GiB.
const rekeyThreshold = 1 << 30

var (
	gcm = []string{ssh.CipherAES128GCM, ssh.CipherAES256GCM}
	ctr = []string{ssh.CipherAES128CTR, ssh.CipherAES192CTR, ssh.CipherAES256CTR}
)

// hasAES tells whether this CPU encrypts AES in hardware. x/crypto's
// chacha20-poly1305 costs three times as much as AES-GCM then.
var hasAES = cpu.X86.HasAES && cpu.X86.HasPCLMULQDQ || cpu.ARM64.HasAES && cpu.ARM64.HasPMULL || cpu.S390X.HasAES && cpu.S390X.HasAESGCM

// ServerConfig is what a server offers to the client that calls itself peer.
//
// The client's order decides, and OpenSSH puts CTR before GCM: a peer that is
// known to speak GCM isn't offered CTR. Everyone else (dropbear and paramiko
// have no GCM) gets both.
func ServerConfig(peer []byte) ssh.Config {
	c := config()
	if !bytes.HasPrefix(peer, []byte("SSH-2.0-OpenSSH_")) {
		c.Ciphers = append(c.Ciphers, ctr...)
	}
	return withChaCha(c)
}

// ClientConfig is what a client asks for: GCM before CTR, because older
// servers may lack GCM.
func ClientConfig() ssh.Config {
	c := withChaCha(config())
	c.Ciphers = append(c.Ciphers, ctr...)
	return c
}

// config is what both have in common. x/crypto's defaults still hold SHA-1, so
// nothing is left to them.
func config() ssh.Config {
	return ssh.Config{
		RekeyThreshold: rekeyThreshold,
		KeyExchanges: []string{
			ssh.KeyExchangeMLKEM768X25519, ssh.KeyExchangeCurve25519,
			ssh.KeyExchangeECDHP256, ssh.KeyExchangeECDHP384, ssh.KeyExchangeECDHP521,
			ssh.KeyExchangeDH16SHA512, ssh.KeyExchangeDH14SHA256,
		},
		// dropbear and paramiko know no encrypt-then-MAC with SHA-2.
		MACs:    []string{ssh.HMACSHA256ETM, ssh.HMACSHA512ETM, ssh.HMACSHA256, ssh.HMACSHA512},
		Ciphers: slices.Clone(gcm),
	}
}

func withChaCha(c ssh.Config) ssh.Config {
	if !hasAES {
		c.Ciphers = append(c.Ciphers, ssh.CipherChaCha20Poly1305)
	}
	return c
}

// PublicKeyAlgorithms are the signatures accepted from users' keys.
var PublicKeyAlgorithms = []string{
	ssh.KeyAlgoED25519, ssh.KeyAlgoSKED25519, ssh.KeyAlgoSKECDSA256,
	ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521,
	ssh.KeyAlgoRSASHA256, ssh.KeyAlgoRSASHA512,
}
