// Package auditors reads the keys that open recordings: the public ones that the jump host
// has, and the secret ones that it never sees.
//
// A recording is sealed to all auditors of its lab when it starts. Whose key is added later
// can open what starts from then on, and what an earlier one seals to them (package rewrap).
//
// Sources: https://c2sp.org/age (recipients, native, tagged and hybrid), filippo.io/age/agessh
// (ssh-ed25519). No plugin runs here: a key in hardware is known by age's own tag recipients,
// and opened where the hardware is.
package auditors

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"filippo.io/age"
	"filippo.io/age/agessh"
	"filippo.io/age/tag"

	"entry/session/recording"
)

// Auditor is somebody who may open recordings, by their public key.
type Auditor struct {
	Text string // the key, without what follows it on its line
	Line int    // in its file, from 1
	// Hybrid tells that the key withstands quantum computers, too (ML-KEM-768 with X25519
	// or P-256). A recording that is sealed to one that isn't hybrid is only as safe as that
	// one, so all of a lab's are of one sort.
	Hybrid bool
	age.Recipient
}

// BadAuditors says what is wrong with a file of auditors' public keys.
type BadAuditors struct {
	Line int // 0 for the file as a whole
	Why  error
}

func (b *BadAuditors) Error() string { return b.Why.Error() }
func (b *BadAuditors) Unwrap() error { return b.Why }

// errSecret says that a file has a key that isn't public.
var errSecret = errors.New("a SECRET key: it doesn't belong on the jump host; take it away, and its public half here (age-keygen -y)")

const maxFile = 1 << 20 // bytes; a hybrid key takes 2 kB

// Parse reads auditors' public keys, one a line: age's own (age1…), hybrid ones
// (age1pq1…), those of keys in hardware (age1tag1…, age1tagpq1…), and ssh-ed25519 keys.
// Empty lines and those that start with # are skipped. All are hybrid, or none is. The
// error is a *BadAuditors.
func Parse(r io.Reader) ([]Auditor, error) {
	var all []Auditor
	lines := bufio.NewScanner(io.LimitReader(r, maxFile+1))
	read := 0
	for n := 1; lines.Scan(); n++ {
		read += len(lines.Bytes()) + 1
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		a, err := parseAuditor(line)
		if err != nil {
			return nil, &BadAuditors{n, err}
		}
		a.Line = n
		for _, other := range all {
			switch {
			case other.Text == a.Text:
				return nil, &BadAuditors{n, fmt.Errorf("the key of line %d again", other.Line)}
			case other.Hybrid != a.Hybrid:
				return nil, &BadAuditors{n, fmt.Errorf("%s, and line %d has %s: a recording is only as safe as the weakest key that opens it, so have all of one sort", sort(a), other.Line, sort(other))}
			}
		}
		if all = append(all, a); len(all) > recording.MaxAuditors {
			return nil, &BadAuditors{n, fmt.Errorf("more than %d keys", recording.MaxAuditors)}
		}
	}
	switch {
	case errors.Is(lines.Err(), bufio.ErrTooLong), read > maxFile:
		return nil, &BadAuditors{Why: errors.New("it is too long for a file of auditors' public keys")}
	case lines.Err() != nil:
		return nil, lines.Err()
	case len(all) == 0:
		return nil, &BadAuditors{Why: errors.New("it has no auditor's public key, so nobody could open what is recorded")}
	}
	return all, nil
}

// ReadFile is Parse of a file. The error has its name, and the line.
func ReadFile(path string) ([]Auditor, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	all, err := Parse(f)
	var bad *BadAuditors
	switch {
	case errors.As(err, &bad) && bad.Line > 0:
		return nil, fmt.Errorf("%s:%d: %w", path, bad.Line, err)
	case err != nil:
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return all, nil
}

// Named are the keys that an operator names: a public key, or a file of some. What is a key
// is one, whatever files there are: a copy from elsewhere could bring one that is called so.
func Named(value string) ([]Auditor, error) {
	all, err := Parse(strings.NewReader(value))
	if err == nil {
		return all, nil
	}
	if _, serr := os.Stat(value); serr != nil {
		return nil, fmt.Errorf("%w, nor a file", err)
	}
	if all, err = ReadFile(value); errors.Is(err, errSecret) { // which belongs where it is named
		return nil, fmt.Errorf("%s has a SECRET key: name its public half (age-keygen -y, or the .pub file beside it)", value)
	}
	return all, err
}

func sort(a Auditor) string {
	if a.Hybrid {
		return "a post-quantum key"
	}
	return "a classic key"
}

// parseAuditor reads one. Errors quote nothing: it may be a secret key that landed in the
// wrong file.
func parseAuditor(line string) (a Auditor, err error) {
	a.Text, _, _ = strings.Cut(line, " ")
	switch {
	case strings.HasPrefix(line, "AGE-SECRET-KEY-"), strings.HasPrefix(line, "AGE-PLUGIN-"), strings.HasPrefix(line, "-----BEGIN"):
		return a, errSecret
	case strings.HasPrefix(line, "age1tag1"), strings.HasPrefix(line, "age1tagpq1"):
		var r *tag.Recipient
		if r, err = tag.ParseRecipient(a.Text); err == nil {
			a.Recipient, a.Hybrid = r, r.Hybrid()
		}
	case strings.HasPrefix(line, "age1pq1"):
		a.Hybrid = true
		a.Recipient, err = age.ParseHybridRecipient(a.Text)
	case strings.HasPrefix(line, "age1") && strings.Count(a.Text, "1") > 1 && isPlugin(a.Text):
		return a, errors.New("a key of an age plugin, which would have to run here: only age1…, age1pq1…, age1tag1…, age1tagpq1… and ssh-ed25519 keys can be used")
	case strings.HasPrefix(line, "age1"):
		a.Recipient, err = age.ParseX25519Recipient(a.Text)
	case strings.HasPrefix(line, "ssh-ed25519 "):
		if fields := strings.Fields(line); len(fields) > 1 {
			a.Text = fields[0] + " " + fields[1]
		}
		a.Recipient, err = agessh.ParseRecipient(a.Text)
	case strings.HasPrefix(line, "ssh-"), strings.HasPrefix(line, "ecdsa-"), strings.HasPrefix(line, "sk-"):
		return a, errors.New("of SSH keys only ssh-ed25519 ones can be an auditor's")
	default:
		return a, errors.New("not an auditor's public key: age1…, age1pq1…, age1tag1…, age1tagpq1… or ssh-ed25519 …")
	}
	if err != nil {
		return a, errors.New("a damaged key: copy it anew")
	}
	return a, nil
}

// isPlugin tells a plugin's key, "age1NAME1…", from age's own, in which no 1 follows the
// first: Bech32 has none in its data.
func isPlugin(text string) bool { return strings.LastIndexByte(text, '1') > len("age") }

// Recipients are the auditors' keys as age takes them.
func Recipients(all []Auditor) (out []age.Recipient) {
	for _, a := range all {
		out = append(out, a.Recipient)
	}
	return out
}

// Fingerprint is what recordings and the log have of a key: the first 16 bytes of its text's
// SHA-256, in hex.
func (a Auditor) Fingerprint() string {
	sum := sha256.Sum256([]byte(a.Text))
	return hex.EncodeToString(sum[:16])
}

// Short is enough of a key for a person to know it by: all of it, but of a hybrid one,
// which has some 2,000 characters; of such a one its fingerprint, too, since keys that
// begin alike can be made.
func (a Auditor) Short() string {
	if len(a.Text) > 80 {
		return a.Text[:40] + "... (fingerprint " + a.Fingerprint() + ")"
	}
	return a.Text
}

// Fingerprints are those of all the keys.
func Fingerprints(all []Auditor) (out []string) {
	for _, a := range all {
		out = append(out, a.Fingerprint())
	}
	return out
}

// With is the list with some keys more and without some, by their fingerprints. As in a
// file, all are hybrid or none is, and one has to be left.
func With(list, add []Auditor, without []string) (out []Auditor, err error) {
	for _, a := range slices.Concat(list, add) {
		f := a.Fingerprint()
		if slices.Contains(without, f) || slices.ContainsFunc(out, func(b Auditor) bool { return b.Text == a.Text }) {
			continue
		}
		if len(out) > 0 && out[0].Hybrid != a.Hybrid {
			return nil, fmt.Errorf("%s is %s, and %s is %s: a recording is only as safe as the weakest key that opens it, so have all of one sort", a.Short(), sort(a), out[0].Short(), sort(out[0]))
		}
		out = append(out, a)
	}
	switch {
	case len(out) == 0:
		return nil, errors.New("nobody would be left who can open the recordings")
	case len(out) > recording.MaxAuditors:
		return nil, fmt.Errorf("more than %d keys", recording.MaxAuditors)
	}
	return out, nil
}

// Changed says who was added and removed between two lists.
func Changed(before, now []Auditor) (added, removed []Auditor) {
	has := func(list []Auditor, a Auditor) bool {
		return slices.ContainsFunc(list, func(b Auditor) bool { return b.Text == a.Text })
	}
	for _, a := range now {
		if !has(before, a) {
			added = append(added, a)
		}
	}
	for _, a := range before {
		if !has(now, a) {
			removed = append(removed, a)
		}
	}
	return added, removed
}
