package policy

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"strings"
)

// RSA keys below 2048 bits can be factored (NIST SP 800-131A); above 8192 they
// only cost time.
const (
	minRSABits = 2048
	maxRSABits = 8192
)

var (
	errWeakKey  = errors.New("too weak to vouch for a machine")
	errShortKey = errors.New("the key is cut short or has something after its end")
)

// ecdsaPoints are the lengths of the uncompressed points (RFC 5656 §3.1).
var ecdsaPoints = map[string]int{"nistp256": 65, "nistp384": 97, "nistp521": 133}

// parseHostKey checks one public key in authorized_keys form and returns it as
// "type base64", without its comment. It checks shape and size only: that the
// numbers make a key is for the SSH library to find out when it is used.
func parseHostKey(text string) (string, error) {
	fields := strings.Fields(text)
	if len(fields) < 2 {
		return "", errors.New(`want "ssh-ed25519 AAAA…"`)
	}
	kind, body := fields[0], fields[1]
	switch {
	case kind == "ssh-dss":
		return "", fmt.Errorf("ssh-dss is %w; use ssh-ed25519", errWeakKey)
	case strings.Contains(kind, "-cert-v"):
		return "", errors.New("this is a certificate; name the authority that signed it under host_ca")
	case !knownKeyType(kind):
		if len(fields) > 2 && knownKeyType(body) {
			return "", errors.New("this is a line of known_hosts; leave the name before the key out")
		}
		return "", fmt.Errorf("%q is no key type that is accepted; want ssh-ed25519, ecdsa-sha2-nistp256, -384, -521 or ssh-rsa", kind)
	}
	raw, err := base64.StdEncoding.Strict().DecodeString(body)
	if err != nil {
		return "", errors.New("the key is not base64")
	}
	inner, rest, ok := sshString(raw)
	if !ok {
		return "", errShortKey
	}
	if string(inner) != kind {
		return "", fmt.Errorf("the line says %s, the key itself something else", kind)
	}
	if err := checkKeyBody(kind, rest); err != nil {
		return "", err
	}
	return kind + " " + body, nil
}

func knownKeyType(kind string) bool {
	curve, ecdsa := strings.CutPrefix(kind, "ecdsa-sha2-")
	return kind == "ssh-ed25519" || kind == "ssh-rsa" || ecdsa && ecdsaPoints[curve] != 0
}

func checkKeyBody(kind string, rest []byte) error {
	first, rest, ok := sshString(rest)
	if !ok {
		return errShortKey
	}
	switch {
	case kind == "ssh-ed25519": // RFC 8709 §4
		if len(first) != 32 || len(rest) != 0 {
			return errShortKey
		}
	case kind == "ssh-rsa": // RFC 4253 §6.6: exponent, modulus
		modulus, tail, ok := sshString(rest)
		if !ok || len(tail) != 0 {
			return errShortKey
		}
		exponent := bytes.TrimLeft(first, "\x00")
		if len(exponent) == 0 || len(exponent) > 4 || exponent[len(exponent)-1]&1 == 0 || len(exponent) == 1 && exponent[0] < 3 {
			return fmt.Errorf("an RSA key with this exponent is %w", errWeakKey)
		}
		switch n := bitLength(modulus); {
		case n < minRSABits:
			return fmt.Errorf("an RSA key of %d bits is %w; want %d or more", n, errWeakKey, minRSABits)
		case n > maxRSABits:
			return fmt.Errorf("an RSA key of %d bits is larger than %d", n, maxRSABits)
		}
	default:
		curve := strings.TrimPrefix(kind, "ecdsa-sha2-")
		point, tail, ok := sshString(rest)
		if !ok || len(tail) != 0 || string(first) != curve || len(point) != ecdsaPoints[curve] || point[0] != 4 {
			return errShortKey
		}
	}
	return nil
}

func bitLength(n []byte) int {
	n = bytes.TrimLeft(n, "\x00")
	if len(n) == 0 {
		return 0
	}
	return (len(n)-1)*8 + bits.Len8(n[0])
}

// sshString cuts a length-prefixed string (RFC 4251 §5) off b.
func sshString(b []byte) (s, rest []byte, ok bool) {
	if len(b) < 4 {
		return nil, nil, false
	}
	n := binary.BigEndian.Uint32(b)
	if uint64(n) > uint64(len(b)-4) {
		return nil, nil, false
	}
	return b[4 : 4+n], b[4+n:], true
}

// keyCode is the problem code that fits an error of parseHostKey.
func keyCode(err error) string {
	if errors.Is(err, errWeakKey) {
		return codeWeakKey
	}
	return codeKey
}
