package audit

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// maxCheckpoint bounds a signed checkpoint, in bytes: an origin, 20 digits, a
// hash and one Ed25519 signature fit many times.
const maxCheckpoint = 4 << 10

// checkpoint is a tree head: the first size lines have this root.
type checkpoint struct {
	size uint64
	root tlog.Hash
}

// text is the body of the signed note: C2SP tlog-checkpoint's three lines.
// tlog.FormatTree can't be used, its first line is fixed to the Go checksum
// database's.
func (c checkpoint) text(origin string) string {
	return origin + "\n" + strconv.FormatUint(c.size, 10) + "\n" + base64.StdEncoding.EncodeToString(c.root[:]) + "\n"
}

func (c checkpoint) sign(s note.Signer) ([]byte, error) {
	return note.Sign(&note.Note{Text: c.text(s.Name())}, s)
}

// ErrOtherLog says that the witness directory holds the checkpoints of another log.
var ErrOtherLog = errors.New("the witness directory is another log's")

type otherLog struct{ has, want string }

func (o *otherLog) Error() string {
	return fmt.Sprintf("is of the log %.80q, not of %q", o.has, o.want)
}

// Is tells that it is an ErrOtherLog.
func (o *otherLog) Is(target error) bool { return target == ErrOtherLog }

// parseCheckpoint reads the three lines of text. It accepts exactly what text
// writes.
func parseCheckpoint(text, origin string) (checkpoint, error) {
	var c checkpoint
	lines := strings.Split(text, "\n")
	if len(lines) != 4 || lines[3] != "" {
		return c, errors.New("is not three lines")
	}
	if lines[0] != origin {
		return c, &otherLog{lines[0], origin}
	}
	size, err := strconv.ParseUint(lines[1], 10, 63)
	if err != nil {
		return c, errors.New("has no valid size")
	}
	root, err := base64.StdEncoding.DecodeString(lines[2])
	if err != nil || len(root) != tlog.HashSize {
		return c, errors.New("has no valid root hash")
	}
	c = checkpoint{size: size, root: tlog.Hash(root)}
	if c.text(origin) != text {
		return c, errors.New("is not in the form that the log writes")
	}
	if c.size == 0 && c.root != new(tree).root() {
		return c, errors.New("states a root for no records that is not the empty tree's")
	}
	return c, nil
}

// openCheckpoint verifies and parses a signed checkpoint. It accepts exactly
// one signature, of the one key that signs so many records: cosignatures belong elsewhere.
func openCheckpoint(msg []byte, k *Keys) (checkpoint, error) {
	if len(msg) > maxCheckpoint {
		return checkpoint{}, errors.New("is too long")
	}
	v := k.Signs(statedSize(msg))
	n, err := note.Open(msg, note.VerifierList(v))
	var unknown *note.UnverifiedNoteError
	var invalid *note.InvalidSignatureError
	switch {
	case errors.As(err, &unknown):
		return checkpoint{}, k.notBy(v, msg)
	case errors.As(err, &invalid):
		return checkpoint{}, fmt.Errorf("does not carry a valid signature of the key %s+%08x", v.Name(), v.KeyHash())
	case err != nil:
		return checkpoint{}, errors.New("is not a signed note")
	}
	// note.Open is lenient about further signatures and base64's spare bits;
	// a file that may be spelt in two ways could be changed without notice.
	sig := n.Sigs[0]
	if _, err := base64.StdEncoding.Strict().DecodeString(sig.Base64); err != nil ||
		string(msg) != n.Text+"\n— "+sig.Name+" "+sig.Base64+"\n" {
		return checkpoint{}, errors.New("is not in the form that the log writes")
	}
	return parseCheckpoint(n.Text, v.Name())
}

// statedSize is the size that a checkpoint states, before anything of it is proven; 0 where
// it states none.
func statedSize(msg []byte) uint64 {
	_, rest, _ := strings.Cut(string(msg[:min(len(msg), maxCheckpoint)]), "\n")
	digits, _, _ := strings.Cut(rest, "\n")
	size, err := strconv.ParseUint(digits, 10, 63)
	if err != nil {
		return 0
	}
	return size
}

// GenerateKey makes a key pair for a log called name, in the text form of C2SP
// signed notes: the signer is secret, the verifier is what auditors keep. The
// name is the log's origin, first line of every checkpoint; it holds no space
// and no plus sign.
func GenerateKey(name string) (signer, verifier string, err error) {
	if name == "" || strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r == '+' || r >= 0x7f }) {
		return "", "", fmt.Errorf("the name %q: want printable ASCII without space and plus", name)
	}
	signer, verifier, err = note.GenerateKey(rand.Reader, name)
	if err != nil {
		return "", "", fmt.Errorf("generate audit key: %w", err)
	}
	return signer, verifier, nil
}

// maxKeyFile bounds a file with a key, in bytes.
const maxKeyFile = 64 << 10

// ReadKey reads a key in its text form, of either kind, from a file.
func ReadKey(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxKeyFile+1))
	if err == nil && len(b) > maxKeyFile {
		err = fmt.Errorf("%s: too large for a key", path)
	}
	return strings.TrimSpace(string(b)), err
}

// PublicOf is the verifier key of a signing key, both in their text form. Errors don't
// quote it.
func PublicOf(signer string) (string, error) {
	// PRIVATE+KEY+name+hash+base64(algorithm, seed)
	f := strings.Split(signer, "+")
	if len(f) < 5 {
		return "", errors.New("malformed signing key")
	}
	raw, err := base64.StdEncoding.DecodeString(strings.Join(f[4:], "+"))
	if err != nil || len(raw) != 1+ed25519.SeedSize {
		return "", errors.New("malformed signing key")
	}
	public := ed25519.NewKeyFromSeed(raw[1:]).Public().(ed25519.PublicKey)
	text, err := note.NewEd25519VerifierKey(f[2], public)
	if err != nil {
		return "", errors.New("malformed signing key")
	}
	return text, nil
}

// LogName is what Log.Name says of the log that has this public key, and began with it.
func LogName(public string) (string, error) {
	v, err := note.NewVerifier(public)
	if err != nil {
		return "", errors.New("the log's public key is malformed")
	}
	return nameOf(v), nil
}
