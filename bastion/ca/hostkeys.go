package ca

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
)

// defaultHostValidity is the life of a host certificate signed here. It is
// renewed in memory at half of it, so a running server never shows an old one.
const defaultHostValidity = 7 * 24 * time.Hour

// maxName bounds a host key's name in bytes (RFC 1035 §2.3.4), less the room
// for the suffixes of its files.
const maxName = 200

// HostKeysOptions configure OpenHostKeys.
type HostKeysOptions struct {
	Dir string  // existing folder, private to the server's account
	CA  *HostCA // signs, or recognises NAME-cert.pub beside the key
	// Validity is how long a certificate signed here lives. Zero means 7 days.
	Validity time.Duration
	Now      func() time.Time // nil means time.Now
}

// HostKeys is a folder with one stable ed25519 key for each name that entry
// answers to: NAME (0600), NAME.pub, and NAME-cert.pub if the CA is offline.
// Several processes may share it.
type HostKeys struct {
	root     *os.Root
	dir      string
	ca       *HostCA
	validity time.Duration
	now      func() time.Time

	// mu guards names. It is held while a key is first made (two fsyncs), not
	// while a certificate is signed.
	mu    sync.Mutex
	names map[string]*hostKey
}

// hostKey is one name's key and its current certificate.
type hostKey struct {
	plain ssh.Signer

	// mu guards certs and serialises signing for one name, so that a slow agent
	// is asked once. Never taken while HostKeys.mu is held.
	mu    sync.Mutex
	certs map[string]*hostCert // by principals
}

type hostCert struct {
	signer ssh.Signer
	cert   *ssh.Certificate
	renew  time.Time
	file   fs.FileInfo // of NAME-cert.pub; nil if signed here
}

// OpenHostKeys opens the folder; keys are made when first asked for.
func OpenHostKeys(o HostKeysOptions) (*HostKeys, error) {
	if o.CA == nil {
		return nil, errors.New("open host keys: no host CA")
	}
	if o.Validity < 0 {
		return nil, errors.New("open host keys: negative validity")
	}
	if o.Validity == 0 {
		o.Validity = defaultHostValidity
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	root, err := os.OpenRoot(o.Dir)
	if err != nil {
		return nil, fmt.Errorf("open host keys: %w", err)
	}
	return &HostKeys{root: root, dir: o.Dir, ca: o.CA, validity: o.Validity, now: o.Now, names: map[string]*hostKey{}}, nil
}

// CAs are the public keys of the host CA and of the one that is to follow on it, which is nil
// where there is none.
func (h *HostKeys) CAs() (now, next ssh.PublicKey) { return h.ca.PublicKey(), h.ca.Next() }

// NotBy lists the certificates of the folder dir, NAME-cert.pub, that another CA than key
// signed.
func NotBy(dir string, key ssh.PublicKey) (files []string, err error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	entries, err := fs.ReadDir(root.FS(), ".")
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), "-cert.pub") {
			continue
		}
		f, err := root.Open(e.Name())
		if err != nil {
			return nil, err
		}
		data, err := readBounded(f)
		_ = f.Close() // only read
		if err != nil {
			return nil, err
		}
		if cert, err := parseHostCert(data); err != nil || !sameKey(cert.SignatureKey, key) {
			files = append(files, e.Name())
		}
	}
	return files, nil
}

// Close releases the folder. Signers already handed out stay usable.
func (h *HostKeys) Close() error { return h.root.Close() }

// Signers returns two signers over name's one key: first the one that shows a
// host certificate for name and aliases, then the plain one, for clients that
// pin keys (PuTTY, ThinLinc). The key is made if name has none, and is durable
// before it is returned. With an offline CA the error says what to sign; with
// an online one it may block for as long as the authority does (an agent: 5 s).
func (h *HostKeys) Signers(name string, aliases ...string) ([]ssh.Signer, error) {
	principals := []string{name}
	for _, a := range aliases {
		if !slices.Contains(principals, a) {
			principals = append(principals, a)
		}
	}
	for _, p := range principals {
		if err := checkName(p); err != nil {
			return nil, fmt.Errorf("host key: %w", err)
		}
	}
	k, err := h.key(name)
	if err != nil {
		return nil, err
	}
	cert, err := h.certificate(k, name, principals)
	if err != nil {
		return nil, err
	}
	return []ssh.Signer{cert, k.plain}, nil
}

// PublicKey returns name's plain public key, made if name has none: what a
// user compares a PuTTY prompt with and what an offline CA signs.
func (h *HostKeys) PublicKey(name string) (ssh.PublicKey, error) {
	if err := checkName(name); err != nil {
		return nil, fmt.Errorf("host key: %w", err)
	}
	k, err := h.key(name)
	if err != nil {
		return nil, err
	}
	return k.plain.PublicKey(), nil
}

// key loads or makes name's key.
func (h *HostKeys) key(name string) (*hostKey, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if k, ok := h.names[name]; ok {
		return k, nil
	}
	signer, err := h.load(name)
	if errors.Is(err, fs.ErrNotExist) {
		_, err = generateKey(h.root, name, name)
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, fmt.Errorf("make host key %s: %w", name, err)
		}
		// Read back, so that the winner of a race between two processes and
		// its loser use the same key.
		signer, err = h.load(name)
	}
	if err != nil {
		return nil, err
	}
	if _, err := h.root.Stat(name + ".pub"); errors.Is(err, fs.ErrNotExist) {
		if err := writePublic(h.root, name, signer.PublicKey(), name); err != nil {
			return nil, fmt.Errorf("host key: %w", err)
		}
	}
	k := &hostKey{plain: signer, certs: map[string]*hostCert{}}
	h.names[name] = k
	return k, nil
}

func (h *HostKeys) load(name string) (ssh.Signer, error) {
	f, err := h.root.Open(name)
	if err != nil {
		return nil, fmt.Errorf("load host key: %w", err)
	}
	signer, err := readPrivate(f, h.path(name))
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return nil, err
	}
	if signer.PublicKey().Type() != ssh.KeyAlgoED25519 {
		return nil, fmt.Errorf("load key %s: %s, but host keys here are ed25519", h.path(name), signer.PublicKey().Type())
	}
	return signer, nil
}

func (h *HostKeys) certificate(k *hostKey, name string, principals []string) (ssh.Signer, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := h.now()
	index := strings.Join(principals, ",")
	if !h.ca.Online() {
		return h.offline(k, name, index, principals, now)
	}
	if c := k.certs[index]; c != nil && now.Before(c.renew) && unix(now) >= c.cert.ValidAfter && sameKey(c.cert.SignatureKey, h.ca.PublicKey()) {
		return c.signer, nil
	}
	cert, err := h.ca.sign(k.plain.PublicKey(), name, principals, now, h.validity)
	if err == nil {
		var signer ssh.Signer
		if signer, err = ssh.NewCertSigner(cert, k.plain); err == nil {
			k.certs[index] = &hostCert{signer: signer, cert: cert, renew: now.Add(h.validity / 2)}
			return signer, nil
		}
	}
	// An agent that is away for a while costs nothing as long as the last
	// certificate is good.
	if c := k.certs[index]; c != nil && h.ca.verify(c.cert, k.plain.PublicKey(), principals, now) == nil {
		return c.signer, nil
	}
	return nil, fmt.Errorf("host certificate for %s: %w", name, err)
}

// offline reads NAME-cert.pub, anew when the file changed.
func (h *HostKeys) offline(k *hostKey, name, index string, principals []string, now time.Time) (ssh.Signer, error) {
	file := name + "-cert.pub"
	fail := func(err error) error {
		return fmt.Errorf("host certificate %s: %w; sign %s.pub where the host CA is: ssh-keygen -s HOST_CA -h -I %s -n %s -V -1h:+52w %s.pub, and put %s beside it",
			h.path(file), err, name, name, index, name, file)
	}
	f, err := h.root.Open(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fail(errors.New("there is none"))
	}
	if err != nil {
		return nil, fmt.Errorf("host certificate: %w", err)
	}
	defer func() { _ = f.Close() }() // only read: nothing to lose
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("host certificate %s: %w", h.path(file), err)
	}
	c := k.certs[index]
	if c == nil || !os.SameFile(c.file, info) || !c.file.ModTime().Equal(info.ModTime()) || c.file.Size() != info.Size() {
		data, err := readBounded(f)
		if err != nil {
			return nil, fmt.Errorf("host certificate %s: %w", h.path(file), err)
		}
		cert, err := parseHostCert(data)
		if err != nil {
			return nil, fail(err)
		}
		if err := h.ca.verify(cert, k.plain.PublicKey(), principals, now); err != nil {
			return nil, fail(err)
		}
		signer, err := ssh.NewCertSigner(cert, k.plain)
		if err != nil {
			return nil, fail(err)
		}
		c = &hostCert{signer: signer, cert: cert, file: info}
		k.certs[index] = c
	}
	if err := h.ca.verify(c.cert, k.plain.PublicKey(), principals, now); err != nil {
		return nil, fail(err)
	}
	return c.signer, nil
}

func (h *HostKeys) path(file string) string { return h.dir + string(os.PathSeparator) + file }

// checkName refuses what can't be both a host name and a safe file name. A
// name ending in ".pub" would collide with another name's public key.
func checkName(name string) error {
	if name == "" || len(name) > maxName {
		return fmt.Errorf("name of %d bytes (1 to %d allowed)", len(name), maxName)
	}
	for i := range len(name) {
		c := name[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '.' && c != '-' {
			return fmt.Errorf("name %q: only a-z, 0-9, '.' and '-' may stand in it", name)
		}
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || label[0] == '-' || label[len(label)-1] == '-' {
			return fmt.Errorf("name %q: its parts must start and end with a letter or digit", name)
		}
	}
	if strings.HasSuffix(name, ".pub") {
		return fmt.Errorf("name %q: .pub is kept for public key files", name)
	}
	return nil
}
