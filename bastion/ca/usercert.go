package ca

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
)

const (
	// userSkew is how far before and after now a user certificate is valid:
	// the clocks of targets differ, and a connection is dialled at once.
	userSkew = 5 * time.Minute
	// maxPrincipal bounds a login in bytes; Linux allows 32, directory names
	// with a domain more.
	maxPrincipal = 128
	// maxKeyID bounds a key ID in bytes; sshd writes it into every log line.
	maxKeyID = 200
	// maxSources bounds the source-address list.
	maxSources = 64
)

// Extensions is the closed set of permissions that a user certificate may
// carry. permit-user-rc isn't among them: a target's ~/.ssh/rc would run
// outside what the recording shows as the user's command.
type Extensions uint8

// The extensions of PROTOCOL.certkeys that entry grants.
const (
	PermitPTY Extensions = 1 << iota
	PermitPortForwarding
	PermitAgentForwarding
	PermitX11Forwarding

	allExtensions = PermitPTY | PermitPortForwarding | PermitAgentForwarding | PermitX11Forwarding
)

var extensionNames = []struct {
	bit  Extensions
	name string
}{
	{PermitPTY, "permit-pty"},
	{PermitPortForwarding, "permit-port-forwarding"},
	{PermitAgentForwarding, "permit-agent-forwarding"},
	{PermitX11Forwarding, "permit-X11-forwarding"},
}

// Has reports whether every extension of x is in e.
func (e Extensions) Has(x Extensions) bool { return e&x == x }

// String lists the extensions by their names in PROTOCOL.certkeys.
func (e Extensions) String() string {
	var names []string
	for _, x := range extensionNames {
		if e.Has(x.bit) {
			names = append(names, x.name)
		}
	}
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

// UserCA signs user certificates for upstream connections, and nothing else. While another
// one is to follow on it, it has both.
type UserCA struct {
	mu        sync.RWMutex // guards what follows
	authority *Authority
	next      *Authority // nil where none is to follow
}

// Follow says which CA is to follow, claimed for the same; nil for none.
func (u *UserCA) Follow(next *Authority) error {
	if next != nil {
		if err := next.claim("user CA"); err != nil {
			return err
		}
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.next = next
	return nil
}

// Turn puts the CA that is to follow into the place of the present one.
func (u *UserCA) Turn() {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.next != nil {
		u.authority, u.next = u.next, nil
	}
}

// both are the present CA and the one that is to follow, nil without one.
func (u *UserCA) both() (now, next *Authority) {
	u.mu.RLock()
	defer u.mu.RUnlock()
	return u.authority, u.next
}

// NewUserCA claims a for signing user certificates. It returns ErrClaimed if a
// is the host CA.
func NewUserCA(a *Authority) (*UserCA, error) {
	if err := a.claim("user CA"); err != nil {
		return nil, err
	}
	return &UserCA{authority: a}, nil
}

// PublicKey is what a target lists in TrustedUserCAKeys.
func (u *UserCA) PublicKey() ssh.PublicKey {
	now, _ := u.both()
	return now.PublicKey()
}

// Next is what targets are to list besides; nil where no other CA is to follow.
func (u *UserCA) Next() ssh.PublicKey {
	if _, next := u.both(); next != nil {
		return next.PublicKey()
	}
	return nil
}

// Origin says where the private key is.
func (u *UserCA) Origin() string {
	now, _ := u.both()
	return now.Origin()
}

// UserRequest describes one user certificate.
type UserRequest struct {
	// Principal is the login on the target, the certificate's only principal.
	Principal string
	// KeyID is what the target's log shows; see KeyID. It is escaped and cut.
	KeyID string
	// SourceAddress are the networks that the target may see entry come from,
	// without host bits. Empty leaves the critical option out.
	SourceAddress []netip.Prefix
	// Extensions are the permissions; zero permits exec without a pty only.
	Extensions Extensions
	// Now is the moment the certificate is made for; required.
	Now time.Time
}

// KeyID joins the user's name and the session's ID for UserRequest.KeyID, so
// that a line in the target's log leads back to the session at entry.
func KeyID(user, session string) string { return "entry user=" + user + " session=" + session }

// Issued is a signer with a certificate by By.
type Issued struct {
	ssh.Signer
	By ssh.PublicKey
}

// Issue returns a signer over a fresh ed25519 key with a certificate for r,
// valid from five minutes before r.Now to five minutes after. The key exists
// nowhere else. Where another CA is to follow on the present one there are two, the next
// one's first: a target that lists both takes it, and one that doesn't yet takes the
// other. Without the next one's, which an agent may not have, the other is there alone. It
// may block for as long as the authorities do (an agent: 5 s each).
func (u *UserCA) Issue(r UserRequest) ([]Issued, error) {
	now, next := u.both()
	var all []Issued
	if next != nil {
		if s, err := r.by(next); err == nil {
			all = append(all, Issued{s, next.PublicKey()})
		}
	}
	s, err := r.by(now)
	if err != nil && len(all) == 0 {
		return nil, err
	}
	if err == nil {
		all = append(all, Issued{s, now.PublicKey()})
	}
	return all, nil
}

// by makes one certificate.
func (r UserRequest) by(a *Authority) (ssh.Signer, error) {
	if err := checkPrincipal(r.Principal); err != nil {
		return nil, fmt.Errorf("issue user certificate: %w", err)
	}
	if r.Now.IsZero() {
		return nil, errors.New("issue user certificate: no time given")
	}
	if r.Extensions&^allExtensions != 0 {
		return nil, fmt.Errorf("issue user certificate: unknown extensions %#x", uint8(r.Extensions&^allExtensions))
	}
	sources, err := sourceAddress(r.SourceAddress)
	if err != nil {
		return nil, fmt.Errorf("issue user certificate: %w", err)
	}
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("issue user certificate: %w", err)
	}
	key, err := ssh.NewPublicKey(public)
	if err != nil {
		return nil, fmt.Errorf("issue user certificate: %w", err)
	}
	cert := &ssh.Certificate{
		Key:             key,
		Serial:          serial(),
		CertType:        ssh.UserCert,
		KeyId:           boundedKeyID(r.KeyID),
		ValidPrincipals: []string{r.Principal},
		ValidAfter:      unix(r.Now.Add(-userSkew)),
		ValidBefore:     unix(r.Now.Add(userSkew)),
		Permissions:     ssh.Permissions{Extensions: map[string]string{}},
	}
	for _, x := range extensionNames {
		if r.Extensions.Has(x.bit) {
			cert.Extensions[x.name] = ""
		}
	}
	if sources != "" {
		cert.CriticalOptions = map[string]string{"source-address": sources}
	}
	if err := cert.SignCert(rand.Reader, a.signer); err != nil {
		return nil, fmt.Errorf("issue user certificate: %w", err)
	}
	plainSigner, err := ssh.NewSignerFromKey(private)
	if err != nil {
		return nil, fmt.Errorf("issue user certificate: %w", err)
	}
	signer, err := ssh.NewCertSigner(cert, plainSigner)
	if err != nil {
		return nil, fmt.Errorf("issue user certificate: %w", err)
	}
	return signer, nil
}

// checkPrincipal refuses what a target could read as another login or as
// several: sshd splits principal lists at commas (CVE-2026-35414), and an empty
// list means everybody.
func checkPrincipal(p string) error {
	if p == "" {
		return errors.New("principal is empty")
	}
	if len(p) > maxPrincipal {
		return fmt.Errorf("principal longer than %d bytes", maxPrincipal)
	}
	if p[0] == '-' {
		return fmt.Errorf("principal %q starts with a hyphen", p)
	}
	for i := range len(p) {
		switch c := p[i]; {
		case c == ',', c == '*', c == '?', c == '!':
			return fmt.Errorf("principal %q holds %q", p, c)
		case c <= ' ' || c > '~':
			return fmt.Errorf("principal %q holds white space, a control byte or a non-ASCII one", p)
		}
	}
	return nil
}

// boundedKeyID keeps a key ID on one line of printable ASCII of bounded length.
func boundedKeyID(id string) string {
	quoted := strconv.QuoteToASCII(id[:min(len(id), maxKeyID)])
	quoted = quoted[1 : len(quoted)-1]
	return quoted[:min(len(quoted), maxKeyID)]
}

// sourceAddress renders the critical option: comma-separated CIDRs with host
// bits zero, as sshd's addr_match_cidr_list wants them.
func sourceAddress(list []netip.Prefix) (string, error) {
	if len(list) > maxSources {
		return "", fmt.Errorf("more than %d source addresses", maxSources)
	}
	out := make([]string, 0, len(list))
	for _, prefix := range list {
		if err := checkPrefix(prefix); err != nil {
			return "", err
		}
		out = append(out, prefix.String())
	}
	return strings.Join(out, ","), nil
}

// parsePrefix reads an address or a CIDR without host bits.
func parsePrefix(s string) (netip.Prefix, error) {
	if addr, err := netip.ParseAddr(s); err == nil && addr.Zone() == "" {
		addr = addr.Unmap()
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	prefix, err := netip.ParsePrefix(s)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("source address %q is neither an address nor a CIDR", s)
	}
	return prefix, checkPrefix(prefix)
}

// checkPrefix refuses what sshd would read as something else, or not at all.
func checkPrefix(p netip.Prefix) error {
	switch {
	case !p.IsValid():
		return errors.New("source address isn't a network")
	case p.Addr().Is4In6():
		return fmt.Errorf("source address %q: write the IPv4 network itself", p)
	case p != p.Masked():
		return fmt.Errorf("source address %q has host bits set (did you mean %s?)", p, p.Masked())
	}
	return nil
}

// serial returns a random certificate serial. Zero means "no serial" to
// ssh-keygen, so it isn't used.
func serial() uint64 {
	var b [8]byte
	for {
		// crypto/rand.Read never fails since Go 1.24: it ends the program.
		_, _ = rand.Read(b[:])
		if n := binary.BigEndian.Uint64(b[:]); n != 0 {
			return n
		}
	}
}

// unix returns t as the unsigned seconds of a certificate; before 1970 is 0.
func unix(t time.Time) uint64 { return uint64(max(t.Unix(), 0)) }
