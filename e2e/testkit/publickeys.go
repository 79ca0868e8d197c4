package testkit

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
)

// PublicKey is a line that is a public key, or nearly one.
type PublicKey struct {
	Name, Line string
	// Host and User say whether it may vouch for a machine, and be a user's
	// first factor.
	Host, User bool
}

// PublicKeys are lines of every kind there is, and of every mistake. Their RSA
// moduli have the right length and no primes.
func PublicKeys(t testing.TB) []PublicKey {
	t.Helper()
	ed := NewSigner(t)
	edLine := Authorized(ed.PublicKey())
	cert := &ssh.Certificate{Key: ed.PublicKey(), CertType: ssh.HostCert, ValidPrincipals: []string{"home"}, ValidBefore: ssh.CertTimeInfinity}
	Check(t, cert.SignCert(rand.Reader, ed))
	var out []PublicKey
	add := func(name, line string, host, user bool) { out = append(out, PublicKey{name, line, host, user}) }
	bad := func(name, line string) { add(name, line, false, false) }

	add("ed25519", edLine, true, true)
	add("ed25519 with a comment", edLine+" root@home \"of\" the lab", true, true)
	var point []byte // on P-256
	for _, curve := range []elliptic.Curve{elliptic.P521(), elliptic.P384(), elliptic.P256()} {
		key := Must(ssh.NewPublicKey(Must(ecdsa.GenerateKey(curve, rand.Reader))(t).Public()))(t)
		add(key.Type(), Authorized(key), true, true)
		size := (curve.Params().BitSize + 7) / 8 // of a coordinate, in bytes
		point = key.Marshal()[len(key.Marshal())-1-2*size:]
		off := slices.Clone(point)
		off[2*size] ^= 1
		name := strings.TrimPrefix(key.Type(), "ecdsa-sha2-")
		bad(key.Type()+" off its curve", keyLine(key.Type(), name, off))
		bad(key.Type()+" with a compressed point", keyLine(key.Type(), name, append([]byte{2 + off[2*size]&1}, point[1:1+size]...)))
		bad(key.Type()+" by another curve's name", keyLine(key.Type(), "nistp255", point))
		bad(key.Type()+" with bits to spare", spare(Authorized(key)))
	}
	for bits, ok := range map[int]bool{512: false, 1024: false, 2047: false, 2048: true, 3072: true, 4096: true, 4097: false, 6144: false, 8192: false, 16384: false, 16385: false} {
		add(fmt.Sprintf("rsa %d", bits), rsaLine(big.NewInt(65537), number(bits)), ok, ok)
	}
	n := number(2048)
	add("rsa with exponent 3", rsaLine(big.NewInt(3), n), true, true)
	for name, e := range map[string]*big.Int{"1": big.NewInt(1), "2": big.NewInt(2), "65536": big.NewInt(65536), "0": new(big.Int), "-3": big.NewInt(-3),
		"of 25 bits": big.NewInt(1<<24 + 1), "of 64 bits": new(big.Int).SetUint64(1<<63 + 1), "of 2048 bits": n} {
		bad("rsa with exponent "+name, rsaLine(e, n))
	}
	bad("rsa with a negative modulus", rsaLine(big.NewInt(65537), new(big.Int).Neg(n)))
	bad("rsa with modulus 0", rsaLine(big.NewInt(65537), new(big.Int)))
	bad("rsa with an even modulus", rsaLine(big.NewInt(65537), new(big.Int).Sub(n, big.NewInt(1))))
	bad("rsa with needless zeros in its exponent", keyLine("ssh-rsa", []byte{0, 0, 1, 0, 1}, append([]byte{0}, n.Bytes()...)))
	bad("rsa with needless zeros in its modulus", keyLine("ssh-rsa", []byte{1, 0, 1}, append([]byte{0, 0}, n.Bytes()...)))
	bad("rsa whose modulus lacks its zero", keyLine("ssh-rsa", []byte{1, 0, 1}, n.Bytes()))
	bad("rsa by the name of a signature", strings.Replace(rsaLine(big.NewInt(65537), n), "ssh-rsa", "rsa-sha2-512", 1))
	bad("rsa that says so inside too", keyLine("rsa-sha2-512", big.NewInt(65537), n))
	bad("dss", keyLine("ssh-dss", number(1024), number(160), number(1000), number(1000)))
	bad("dss cut short", "ssh-dss AAAAB3NzaC1kc3MAAACB")
	edBytes := ed.PublicKey().Marshal()[len(ed.PublicKey().Marshal())-ed25519.PublicKeySize:]
	add("sk-ed25519", keyLine(ssh.KeyAlgoSKED25519, edBytes, "ssh:"), false, true)
	add("sk-ecdsa", keyLine(ssh.KeyAlgoSKECDSA256, "nistp256", point, "ssh:"), false, true)
	for name, first := range map[string]byte{"the identity": 1, "order 4": 0} {
		small := make([]byte, ed25519.PublicKeySize)
		small[0] = first
		bad("ed25519 of small order: "+name, keyLine("ssh-ed25519", small))
		bad("sk-ed25519 of small order: "+name, keyLine(ssh.KeyAlgoSKED25519, small, "ssh:"))
	}
	bad("sk-ed25519 without its application", keyLine(ssh.KeyAlgoSKED25519, edBytes))
	bad("another type", keyLine("ssh-mldsa-44", edBytes))
	bad("certificate", Authorized(cert))
	bad("certificate's content as a key", strings.Replace(Authorized(cert), ssh.CertAlgoED25519v01, ssh.KeyAlgoED25519, 1))
	bad("another type's name", strings.Replace(edLine, "ssh-ed25519", "ssh-rsa", 1))
	bad("ed25519 of 31 bytes", keyLine("ssh-ed25519", edBytes[1:]))
	bad("ed25519 of 33 bytes", keyLine("ssh-ed25519", append([]byte{0}, edBytes...)))
	bad("something behind it", keyLine("ssh-ed25519", edBytes, ""))
	bad("cut short", edLine[:len(edLine)-8])
	bad("a length that reaches out of it", "ssh-ed25519 "+base64.StdEncoding.EncodeToString([]byte("\xff\xff\xff\xffssh-ed25519")))
	bad("no base64", "ssh-ed25519 !!!")
	bad("no key behind its type", "ssh-ed25519")
	bad("known_hosts", "10.0.0.1 "+edLine)
	bad("an option", "restrict "+edLine)
	bad("options", `from="10.0.0.0/8",command="echo a b" `+edLine)
	bad("other words", "sha256:abc def ghi")
	bad("nothing", "")
	return out
}

func rsaLine(e, n *big.Int) string { return keyLine("ssh-rsa", e, n) }

// keyLine is a key of these fields, each in the form of RFC 4251 §5.
func keyLine(kind string, fields ...any) string {
	blob := ssh.Marshal(struct{ S string }{kind})
	for _, f := range fields {
		switch f := f.(type) {
		case string:
			blob = append(blob, ssh.Marshal(struct{ S string }{f})...)
		case []byte:
			blob = append(blob, ssh.Marshal(struct{ B []byte }{f})...)
		case *big.Int:
			blob = append(blob, ssh.Marshal(struct{ N *big.Int }{f})...)
		}
	}
	return kind + " " + base64.StdEncoding.EncodeToString(blob)
}

// spare is line with a bit set in its base64 that stands for nothing, or, where
// there is none, with a character too many.
func spare(line string) string {
	bare := strings.TrimRight(line, "=")
	if bare == line {
		return line + "A"
	}
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	last := strings.IndexByte(alphabet, bare[len(bare)-1])
	return bare[:len(bare)-1] + string(alphabet[last|1]) + line[len(bare):]
}

// number is an odd one of that many bits.
func number(bits int) *big.Int { return new(big.Int).SetBit(big.NewInt(5), bits-1, 1) }
