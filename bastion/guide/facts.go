package guide

import (
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"entry/audit/refusal"
)

// Facts are what files and guides are made of. Nothing in them is a secret.
type Facts struct {
	// Name is what prompts and the host certificate call the jump host: "entry".
	Name string
	// server is the address that users dial, serverPort its port (0 means 22): At
	// sets them.
	server     string
	serverPort int
	// Unreachable says that nobody outside can dial that address, so that the guide has
	// to wait for the operator, whom it tells what to set.
	Unreachable bool
	// User is the account's name at the jump host.
	User string
	// HostCA is the public key that vouches for the jump host and its targets,
	// in authorized_keys form; a comment after it is ignored.
	HostCA string
	// NextHostCA is the one that is to follow on it, likewise; "" for none. Until it has,
	// clients are to know both.
	NextHostCA string
	// Targets are the user's, in the order in which they are listed.
	Targets []Target
	// LoginTime is how long the dialogue may take; a client's own timeout must
	// not be shorter. Zero means 120 s.
	LoginTime time.Duration
	// Remembered is how long key + code from one network need no further code;
	// zero where that is off.
	Remembered time.Duration
	// Invited is how long the temporary passphrase is good; zero leaves it out.
	Invited time.Duration
	// Contact says whom to ask, as a phrase: "the service desk, desk@example.org".
	// Empty means the lab's administrator.
	Contact string
	// Multiplex adds connection sharing to the OpenSSH file. Only OpenSSH for
	// Windows hasn't got it.
	Multiplex bool
	// Proxy is the HTTP proxy, "host:port", that the OpenSSH file leads through;
	// "" for none.
	Proxy string
}

// At says where the server is: address is "host", "host:port", or "" where it is
// reached by its name.
func (f *Facts) At(address string) error {
	f.server, f.serverPort = f.Name, 0
	if address == "" {
		return nil
	}
	f.server = address
	if host, port, err := net.SplitHostPort(address); err == nil {
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil {
			return fmt.Errorf("address %q: %w", address, err)
		}
		f.server, f.serverPort = host, int(n)
	}
	return nil
}

// Target is one machine or service that the user may reach.
type Target struct {
	// Name is the shortest that means this target to this user, Full the one
	// that is unique: "home", "home.tinker".
	Name, Full string
	Kind       Kind
	// Ports are what a client may name; for SSH besides 22.
	Ports []int
	// Login is the account on an SSH target.
	Login string
	// Recorded says what is kept of a session, as a sentence. Empty where
	// nothing is known.
	Recorded string
	// Approval is whose approval connecting asks for, and waits for, as in "1 of
	// bob, carol"; empty where it needs none now.
	Approval string
	// Denied says why the user can't go there now. Such a target gets no
	// configuration, but the guide lists it.
	Denied string
}

// Forward is the command that brings a TCP target's first port to the user's own
// machine, through the jump host of that name.
func (t Target) Forward(through string) string {
	if len(t.Ports) == 0 {
		return "ssh -N -D " + fmt.Sprint(socksPort) + " " + through
	}
	return fmt.Sprintf("ssh -N -L %d:%s:%d %s", localPort(t.Ports[0]), t.Name, t.Ports[0], through)
}

// Kind is what a target speaks.
type Kind uint8

// The kinds of target.
const (
	SSH Kind = iota // reached with a jump, port 22
	TCP             // reached by name over -L and -D
)

// sshPort is where the jump host answers for every SSH target.
const sshPort = 22

// defaultLoginTime is sshd's LoginGraceTime.
const defaultLoginTime = 120 * time.Second

// word is all that a name may hold: what every format takes without escaping,
// and none of what any takes for a wildcard or an option.
var word = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._@-]{0,254}$`)

// address also admits IPv6.
var address = regexp.MustCompile(`^[A-Za-z0-9:][A-Za-z0-9.:-]{0,254}$`)

// check names the first thing in f that no file may hold.
func (f Facts) check() error {
	words := [][2]string{{"name", f.Name}, {"user", f.User}}
	for _, t := range f.Targets {
		words = append(words, [2]string{"target", t.Name}, [2]string{"target", t.Full})
		if t.Kind == SSH && t.Denied == "" {
			words = append(words, [2]string{"login on " + t.Full, t.Login})
		}
		for _, p := range t.Ports {
			if p < 1 || p > 65535 {
				return fmt.Errorf("guide: port %d of %s", p, t.Full)
			}
		}
		if err := checkText("what is said of "+t.Full, t.Recorded, t.Approval, t.Denied); err != nil {
			return err
		}
	}
	for _, w := range words {
		if !word.MatchString(w[1]) {
			return fmt.Errorf("guide: %s %+q can't stand in a configuration file", w[0], w[1])
		}
	}
	if !address.MatchString(f.server) {
		return fmt.Errorf("guide: server %+q is no host name or address", f.server)
	}
	if _, err := ParseProxy(f.Proxy); f.Proxy != "" && f.Proxy != anyProxy && err != nil {
		return err
	}
	if f.serverPort < 0 || f.serverPort > 65535 {
		return fmt.Errorf("guide: port %d", f.serverPort)
	}
	for _, key := range f.hostCAs() {
		if _, _, err := splitKey(key); err != nil {
			return err
		}
	}
	return checkText("contact", f.Contact)
}

// checkText refuses what could act on a terminal or turn text around.
func checkText(what string, texts ...string) error {
	for _, s := range texts {
		if !utf8.ValidString(s) || len(s) > 1024 || strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
			return fmt.Errorf("guide: %s holds something that can't be shown", what)
		}
	}
	return nil
}

// hostCAs are the public keys that clients are to know.
func (f Facts) hostCAs() []string {
	if f.NextHostCA == "" {
		return []string{f.HostCA}
	}
	return []string{f.HostCA, f.NextHostCA}
}

// splitKey splits a key into its algorithm and its base64 blob.
func splitKey(key string) (algorithm, blob string, err error) {
	fields := strings.Fields(key)
	if len(fields) < 2 || !word.MatchString(fields[0]) {
		return "", "", errors.New("guide: the host CA is no public key")
	}
	// The blob repeats the algorithm as its first string (RFC 4253 §6.6).
	raw, err := base64.StdEncoding.Strict().DecodeString(fields[1])
	if n := len(fields[0]); err != nil || len(raw) < 4+n || binary.BigEndian.Uint32(raw) != uint32(n) || string(raw[4:4+n]) != fields[0] {
		return "", "", errors.New("guide: the host CA is no public key")
	}
	return fields[0], fields[1], nil
}

// fingerprints are the host CAs', as every client shows one: SHA256:….
func (f Facts) fingerprints() (all []string, err error) {
	for _, key := range f.hostCAs() {
		_, blob, err := splitKey(key)
		if err != nil {
			return nil, err
		}
		raw, err := base64.StdEncoding.DecodeString(blob)
		if err != nil {
			return nil, fmt.Errorf("guide: host CA: %w", err)
		}
		sum := sha256.Sum256(raw)
		all = append(all, "SHA256:"+base64.RawStdEncoding.EncodeToString(sum[:]))
	}
	return all, nil
}

// patterns are the names that the host CA speaks for, to this user.
func (f Facts) patterns() []string {
	out := []string{f.Name}
	seen := map[string]bool{f.Name: true}
	add := func(s string) {
		if !seen[s] {
			seen[s] = true
			out = append(out, s)
		}
	}
	for _, t := range f.Targets {
		if t.Kind != SSH {
			continue
		}
		add(t.Name)
		if _, lab, ok := strings.Cut(t.Full, "."); ok {
			add("*." + lab)
		}
	}
	return out
}

// knownHosts is the line that spares every host-key question, or the two of them while the
// host CA is changed.
func (f Facts) knownHosts() []string {
	var all []string
	for _, key := range f.hostCAs() {
		algorithm, blob, err := splitKey(key)
		if err != nil {
			return nil
		}
		all = append(all, "@cert-authority "+strings.Join(f.patterns(), ",")+" "+algorithm+" "+blob+" "+f.Name+" host CA")
	}
	return all
}

func (f Facts) port() int {
	if f.serverPort == 0 {
		return sshPort
	}
	return f.serverPort
}

func (f Facts) loginSeconds() int {
	if f.LoginTime == 0 {
		return int(defaultLoginTime / time.Second)
	}
	return int(f.LoginTime / time.Second)
}

// reachable are the targets of a kind that the user may use now, those last that
// somebody has to approve.
func (f Facts) reachable(k Kind) []Target {
	var out []Target
	for _, approved := range []bool{false, true} {
		for _, t := range f.Targets {
			if t.Kind == k && t.Denied == "" && (t.Approval != "") == approved {
				out = append(out, t)
			}
		}
	}
	return out
}

// command is the user's one command: to the first machine, or to the portal.
func (f Facts) command() string {
	if m := f.reachable(SSH); len(m) > 0 {
		return "ssh -J " + f.Name + " " + m[0].Name
	}
	return "ssh " + f.Name
}

// contact is whom to ask.
func (f Facts) contact() string {
	return cmp.Or(f.Contact, refusal.Someone)
}

// localPort is where a forward to port p listens on the user's own machine:
// ordinary accounts can't listen below 1024.
func localPort(p int) int {
	if p < 1024 {
		return p + 8000
	}
	return p
}
