package pubkey

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/base64"
	"fmt"
	"math/big"
	"slices"
	"strings"

	"filippo.io/edwards25519"
	"golang.org/x/crypto/ssh"
)

// Bounds of RSA keys, in bits. Those below can be factored; verifying a larger
// one costs its owner nothing and entry much.
const (
	MinRSABits = 2048
	MaxRSABits = 4096
)

// dss is DSA's type, which the library has under a name of its own for whoever
// still wants it.
const dss = "ssh-dss"

// maxLine bounds one line, in bytes; an RSA key of 4096 bits takes 0.8 KiB.
const maxLine = 8 << 10

// Reason is why a key is refused.
type Reason uint8

// The reasons.
const (
	Malformed   Reason = iota + 1 // no public key, or not in its one spelling
	Prefixed                      // something before the key: options, or a name as in known_hosts
	TooLong                       // a line that no key needs
	MoreThanOne                   // something after the line
	Certificate                   // a certificate instead of a key
	Weak                          // a key that doesn't hold
	TooLarge                      // an RSA key that costs too much
	Unaccepted                    // another type of key
	Private                       // a private key
)

// Error says why a key is refused. Its text is a clause for whoever gave the key,
// and doesn't quote it.
type Error struct {
	Reason Reason
	Type   string // the key's, "" where the text has none
	Bits   int    // of an RSA key that is Weak for its size, or TooLarge
	text   string
}

func (e *Error) Error() string { return e.text }

func refuse(r Reason, kind, format string, args ...any) *Error {
	return &Error{Reason: r, Type: kind, text: fmt.Sprintf(format, args...)}
}

// points are the accepted types, with the length in bytes of the uncompressed
// point that a key is if it is nothing else (RFC 5656 §3.1), else 0.
var points = map[string]int{
	ssh.KeyAlgoED25519: 0, ssh.KeyAlgoRSA: 0, ssh.KeyAlgoECDSA256: 65, ssh.KeyAlgoECDSA384: 97, ssh.KeyAlgoECDSA521: 133,
	ssh.KeyAlgoSKED25519: 0, ssh.KeyAlgoSKECDSA256: 0,
}

func accepted(kind string) bool {
	_, ok := points[kind]
	return ok
}

// Line is key as it stands in a file, "ssh-ed25519 AAAA…", without a comment.
func Line(key ssh.PublicKey) string {
	return string(bytes.TrimSuffix(ssh.MarshalAuthorizedKey(key), []byte("\n")))
}

// Parse reads the one line of text that isn't empty or a comment: a key in
// authorized_keys form without options, and what is behind it, which may be
// anything; or one key in the form of RFC 4716. A byte order mark is left out, and UTF-16
// that has one is taken. The error is an *Error.
func Parse(text string) (key ssh.PublicKey, comment string, err error) {
	if len(text) > maxLine {
		return nil, "", refuse(TooLong, "", "the line is longer than %d bytes", maxLine)
	}
	text, no := oneLine(text)
	if no != nil {
		return nil, "", no
	}
	line, rest := "", text
	for line == "" && rest != "" {
		line, rest, _ = strings.Cut(rest, "\n")
		if line = strings.Trim(line, " \t\r"); strings.HasPrefix(line, "#") {
			line = ""
		}
	}
	kind, after := cut(line)
	body, comment := cut(after)
	key, e := parse(kind, body, comment)
	if e != nil {
		return nil, "", e
	}
	if strings.Trim(rest, " \t\r\n") != "" {
		return nil, "", refuse(MoreThanOne, "", "there is more than one public key")
	}
	return key, comment, nil
}

// ParseHost is Parse for the key of a machine, or of what vouches for machines:
// neither can be asked to touch a security key.
func ParseHost(text string) (ssh.PublicKey, error) {
	key, _, err := Parse(text)
	if err != nil {
		return nil, err
	}
	if kind := key.Type(); strings.HasPrefix(kind, "sk-") {
		return nil, unaccepted(kind)
	}
	return key, nil
}

// cut cuts the first word off s.
func cut(s string) (word, rest string) {
	if i := strings.IndexAny(s, " \t"); i >= 0 {
		return s[:i], strings.TrimLeft(s[i:], " \t")
	}
	return s, ""
}

func parse(kind, body, comment string) (ssh.PublicKey, *Error) {
	switch {
	case body == "":
		return nil, refuse(Malformed, "", `want "ssh-ed25519 AAAA…"`)
	case kind == dss:
		return nil, refuse(Weak, kind, "ssh-dss is too weak; use ssh-ed25519")
	case strings.Contains(kind, "-cert-v"):
		return nil, refuse(Certificate, kind, "this is a certificate")
	}
	raw, err := base64.StdEncoding.Strict().DecodeString(body)
	if !accepted(kind) {
		if e := prefixed(kind, body, comment); e != nil {
			return nil, e
		}
		e := unaccepted(kind)
		if other, perr := ssh.ParsePublicKey(raw); err != nil || perr != nil || other.Type() != kind {
			e.Reason = Malformed
		}
		return nil, e
	}
	if err != nil || strings.Contains(body, "\r") { // which the library skips
		return nil, refuse(Malformed, "", "the key is not base64")
	}
	var blob struct {
		Type string
		Rest []byte `ssh:"rest"`
	}
	switch err := ssh.Unmarshal(raw, &blob); {
	case err != nil:
		return nil, cutShort()
	case blob.Type != kind:
		return nil, refuse(Malformed, "", "the line says %s, the key itself something else", kind)
	}
	if kind == ssh.KeyAlgoRSA {
		if e := checkRSA(blob.Rest); e != nil {
			return nil, e
		}
	}
	key, err := ssh.ParsePublicKey(raw)
	if err != nil {
		return nil, noKey(kind, blob.Rest)
	}
	if !bytes.Equal(key.Marshal(), raw) {
		return nil, refuse(Malformed, "", "the key isn't written as ssh-keygen does: a number in it has needless zeros")
	}
	if e := checkOrder(key); e != nil {
		return nil, e
	}
	return key, nil
}

func unaccepted(kind string) *Error {
	return refuse(Unaccepted, kind, "%q is no key type that is accepted; want ssh-ed25519, ecdsa-sha2-nistp256, -384, -521 or ssh-rsa", kind)
}

func cutShort() *Error {
	return refuse(Malformed, "", "the key is cut short or has something after its end")
}

// prefixed says what stands before a key in a line of these words, nil if there
// is no key after the first of them.
func prefixed(first, second, rest string) *Error {
	words := append([]string{second}, strings.Fields(rest)...)
	switch at := slices.IndexFunc(words, accepted); {
	case at < 0 || at == len(words)-1:
		return nil
	case at == 0 && !strings.Contains(first, `="`):
		return refuse(Prefixed, "", "this is a line of known_hosts; leave the name before the key out")
	}
	return refuse(Prefixed, "", "there are options before the key; leave them out")
}

// checkRSA judges exponent and modulus before the library does, which takes
// either as a negative number and tells sizes from errors of form in words only.
func checkRSA(rest []byte) *Error {
	var w struct {
		E, N *big.Int
		Rest []byte `ssh:"rest"`
	}
	if ssh.Unmarshal(rest, &w) != nil || len(w.Rest) > 0 || w.N.Sign() <= 0 {
		return cutShort()
	}
	// The library's own bound for exponents is 24 bits.
	if w.E.Cmp(big.NewInt(3)) < 0 || w.E.Bit(0) == 0 || w.E.BitLen() > 24 {
		return refuse(Weak, ssh.KeyAlgoRSA, "an RSA key with this exponent is too weak")
	}
	return checkModulus(w.N)
}

func checkModulus(n *big.Int) *Error {
	if n.Sign() > 0 && n.Bit(0) == 0 {
		return refuse(Weak, ssh.KeyAlgoRSA, "an RSA key with an even modulus is no key")
	}
	return checkBits(max(0, n.Sign()) * n.BitLen())
}

// checkOrder refuses an Ed25519 key of small order (RFC 8032 §5.1.7 leaves that to
// whoever takes keys): signatures that anybody can make are right for it. Bytes
// that are no point are nobody's key; nothing verifies by them.
func checkOrder(key ssh.PublicKey) *Error {
	holder, ok := key.(ssh.CryptoPublicKey)
	if !ok {
		return nil
	}
	public, ok := holder.CryptoPublicKey().(ed25519.PublicKey)
	if !ok {
		return nil
	}
	p, err := new(edwards25519.Point).SetBytes(public)
	if err == nil && p.MultByCofactor(p).Equal(edwards25519.NewIdentityPoint()) == 1 {
		return refuse(Weak, key.Type(), "an Ed25519 key of small order is too weak: anybody can sign by it")
	}
	return nil
}

func checkBits(n int) *Error {
	var e *Error
	switch {
	case n < MinRSABits:
		e = refuse(Weak, ssh.KeyAlgoRSA, "an RSA key of %d bits is too weak; want %d or more", n, MinRSABits)
	case n > MaxRSABits:
		e = refuse(TooLarge, ssh.KeyAlgoRSA, "an RSA key of %d bits is larger than %d", n, MaxRSABits)
	default:
		return nil
	}
	e.Bits = n
	return e
}

// noKey says why the library doesn't take a key whose type is right.
func noKey(kind string, rest []byte) *Error {
	var w struct {
		Curve string
		Point []byte
		Rest  []byte `ssh:"rest"`
	}
	if n := points[kind]; n > 0 && ssh.Unmarshal(rest, &w) == nil && len(w.Point) == n && w.Point[0] == 4 && strings.HasSuffix(kind, "-"+w.Curve) && len(w.Rest) == 0 {
		return refuse(Malformed, "", "the key is no point on its curve")
	}
	return cutShort()
}

// Check judges a key that was parsed elsewhere. The error is an *Error.
func Check(key ssh.PublicKey) error {
	if _, ok := key.(*ssh.Certificate); ok {
		return refuse(Certificate, key.Type(), "this is a certificate")
	}
	switch kind := key.Type(); {
	case kind == dss:
		return refuse(Weak, kind, "ssh-dss is too weak; use ssh-ed25519")
	case !accepted(kind):
		return unaccepted(kind)
	}
	if n, ok := modulus(key); ok {
		if e := checkModulus(n); e != nil {
			return e
		}
	}
	if e := checkOrder(key); e != nil {
		return e
	}
	return nil
}

// CheckCost refuses certificates, which users have none of, and keys that cost
// too much to verify for somebody who has proved nothing. The error is an
// *Error.
func CheckCost(key ssh.PublicKey) error {
	if _, ok := key.(*ssh.Certificate); ok {
		return refuse(Certificate, key.Type(), "this is a certificate")
	}
	if n, ok := modulus(key); ok && n.BitLen() > MaxRSABits {
		return checkBits(n.BitLen())
	}
	return nil
}

// modulus is an RSA key's; the library lets one pass that isn't positive. ok is
// false for other keys.
func modulus(key ssh.PublicKey) (n *big.Int, ok bool) {
	holder, ok := key.(ssh.CryptoPublicKey)
	if !ok {
		return nil, false
	}
	public, ok := holder.CryptoPublicKey().(*rsa.PublicKey)
	if !ok {
		return nil, false
	}
	return public.N, true
}
