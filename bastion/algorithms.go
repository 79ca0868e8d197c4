package bastion

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"

	"golang.org/x/crypto/ssh"
	"golang.org/x/sys/cpu"
)

// version is the identification string of every leg that carries sessions.
// It starts with OpenSSH_ because OpenSSH sends eow@openssh.com only to such
// peers, and without it `ssh -J entry home yes | head -1` never ends.
const version = "SSH-2.0-OpenSSH_10.0 entry"

// rekeyThreshold is in bytes; x/crypto's own default for AES is 64 GiB.
const rekeyThreshold = 1 << 30

// maxRSABits stops keys whose verification burns CPU before login.
const maxRSABits = 4096

var (
	gcm = []string{ssh.CipherAES128GCM, ssh.CipherAES256GCM}
	ctr = []string{ssh.CipherAES128CTR, ssh.CipherAES192CTR, ssh.CipherAES256CTR}
)

// hasAES tells whether this CPU encrypts AES in hardware. x/crypto's
// chacha20-poly1305 costs three times as much as AES-GCM then.
var hasAES = cpu.X86.HasAES && cpu.X86.HasPCLMULQDQ || cpu.ARM64.HasAES && cpu.ARM64.HasPMULL || cpu.S390X.HasAES && cpu.S390X.HasAESGCM

// algorithms is the whole list for one leg. x/crypto's defaults still hold
// SHA-1, so nothing is left to them.
//
// The client's order decides, and OpenSSH puts CTR before GCM: a peer that is
// known to speak GCM isn't offered CTR. Everyone else (dropbear and paramiko
// have no GCM) gets both.
func algorithms(peer []byte) ssh.Config {
	c := ssh.Config{
		RekeyThreshold: rekeyThreshold,
		KeyExchanges: []string{
			ssh.KeyExchangeMLKEM768X25519, ssh.KeyExchangeCurve25519,
			ssh.KeyExchangeECDHP256, ssh.KeyExchangeECDHP384, ssh.KeyExchangeECDHP521,
			ssh.KeyExchangeDH16SHA512, ssh.KeyExchangeDH14SHA256,
		},
		// dropbear and paramiko know no encrypt-then-MAC with SHA-2.
		MACs: []string{ssh.HMACSHA256ETM, ssh.HMACSHA512ETM, ssh.HMACSHA256, ssh.HMACSHA512},
	}
	c.Ciphers = append(c.Ciphers, gcm...)
	if !bytes.HasPrefix(peer, []byte("SSH-2.0-OpenSSH_")) {
		c.Ciphers = append(c.Ciphers, ctr...)
	}
	if !hasAES {
		c.Ciphers = append(c.Ciphers, ssh.CipherChaCha20Poly1305)
	}
	return c
}

// publicKeyAlgorithms are the signatures accepted from users' keys.
var publicKeyAlgorithms = []string{
	ssh.KeyAlgoED25519, ssh.KeyAlgoSKED25519, ssh.KeyAlgoSKECDSA256,
	ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521,
	ssh.KeyAlgoRSASHA256, ssh.KeyAlgoRSASHA512,
}

// maxPreamble bounds what a peer may send before and in its identification
// string. RFC 4253 §4.2: the string is at most 255 bytes, CR LF included; a
// client sends nothing before it.
const maxPreamble = 255

// versionConn exchanges the identification strings before x/crypto does, so
// that the algorithms offered can depend on the peer. x/crypto then reads the
// peer's line again from pending, and its own line is swallowed.
type versionConn struct {
	net.Conn
	pending []byte // peer's line, not yet read again
	swallow int    // bytes of x/crypto's own line not yet swallowed
}

// exchangeVersion sends entry's identification string, reads the peer's and
// returns it without its line ending. The caller has set a deadline.
func exchangeVersion(c net.Conn) (*versionConn, []byte, error) {
	if _, err := io.WriteString(c, version+"\r\n"); err != nil {
		return nil, nil, fmt.Errorf("send version: %w", err)
	}
	line := make([]byte, 0, 64)
	var one [1]byte
	for {
		if _, err := io.ReadFull(c, one[:]); err != nil {
			return nil, nil, fmt.Errorf("read version: %w", err)
		}
		line = append(line, one[0])
		if one[0] == '\n' {
			break
		}
		if len(line) == maxPreamble {
			return nil, nil, errors.New("read version: line too long")
		}
	}
	if !bytes.HasPrefix(line, []byte("SSH-2.0-")) {
		return nil, nil, errors.New("read version: not SSH 2.0")
	}
	return &versionConn{Conn: c, pending: line, swallow: len(version) + 2}, bytes.TrimRight(line, "\r\n"), nil
}

func (c *versionConn) Read(p []byte) (int, error) {
	if len(c.pending) > 0 {
		n := copy(p, c.pending)
		c.pending = c.pending[n:]
		return n, nil
	}
	return c.Conn.Read(p)
}

func (c *versionConn) Write(p []byte) (int, error) {
	if c.swallow == 0 {
		return c.Conn.Write(p)
	}
	n := min(c.swallow, len(p))
	c.swallow -= n
	if n == len(p) {
		return n, nil
	}
	m, err := c.Conn.Write(p[n:])
	return n + m, err
}
