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
	mac = []string{ssh.HMACSHA256, ssh.HMACSHA512} // encrypt-and-MAC
)

// hasAES tells whether this CPU encrypts AES in hardware. x/crypto's
// chacha20-poly1305 costs three times as much as AES-GCM then.
var hasAES = cpu.X86.HasAES && cpu.X86.HasPCLMULQDQ || cpu.ARM64.HasAES && cpu.ARM64.HasPMULL || cpu.S390X.HasAES && cpu.S390X.HasAESGCM

// ServerConfig is what a server offers to the client that calls itself peer.
//
// The client's order decides, and OpenSSH puts CTR before GCM: a peer that is
// known to speak GCM isn't offered CTR, nor a MAC that isn't encrypt-then-MAC,
// which it has had as long. Everyone else gets both: dropbear and paramiko have no
// GCM, and dropbear no such MAC.
func ServerConfig(peer []byte) ssh.Config {
	c := config()
	if !bytes.HasPrefix(peer, []byte("SSH-2.0-OpenSSH_")) {
		c.Ciphers = append(c.Ciphers, ctr...)
		c.MACs = append(c.MACs, mac...)
	}
	return withChaCha(c)
}

// ClientConfig is what a client asks for: GCM before CTR, and encrypt-then-MAC
// before MACs that aren't, because servers may lack either. The client's order
// decides, so that only those get the latter.
func ClientConfig() ssh.Config {
	c := withChaCha(config())
	c.Ciphers = append(c.Ciphers, ctr...)
	c.MACs = append(c.MACs, mac...)
	return c
}

// config is what both have in common: what ssh-audit has nothing against
// (configs/ssh-audit.policy lists it). x/crypto's defaults still hold SHA-1, so
// nothing is left to them, and nothing is configurable. Who has no curve25519 (in
// FIPS mode) has the groups of MODP.
func config() ssh.Config {
	return ssh.Config{
		RekeyThreshold: rekeyThreshold,
		KeyExchanges: []string{
			ssh.KeyExchangeMLKEM768X25519, ssh.KeyExchangeCurve25519,
			ssh.KeyExchangeDH16SHA512, ssh.KeyExchangeDH14SHA256,
		},
		MACs:    []string{ssh.HMACSHA256ETM, ssh.HMACSHA512ETM},
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
