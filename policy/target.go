package policy

import (
	"slices"
	"strings"

	"entry/policy/strict"
)

// Target is one machine or service of a lab. A Policy's targets are shared:
// treat every field as read-only.
type Target struct {
	Name, Lab string
	Kind      Kind
	// Addresses are "host:port", tried in order; at least one.
	Addresses []string
	// Ports are the ones a client may name: besides 22 for an SSH target, the
	// only ones for TCP.
	Ports []int
	// HostKeys and HostCAs are in authorized_keys form without comment,
	// "ssh-ed25519 AAAA…". An SSH target has at least one of either.
	HostKeys, HostCAs []string
	Auth              Auth
	// DefaultLogin is the account on the target; "{user}" in it stands for the
	// user's name at entry.
	DefaultLogin string
	// Logins lists, for some users, the accounts they may ask for; the first
	// is theirs when they ask for no other.
	Logins map[string][]string

	place strict.Place
	lab   *lab
}

// FullName is the name that is unique across labs: "home.tinker".
func (t *Target) FullName() string { return t.Name + "." + t.Lab }

// Place is where the files have it.
func (t *Target) Place() strict.Place { return t.place }

// Login is the account on the target for user: the one asked for where it is
// listed for that user, else the default. The asked name is never an identity.
func (t *Target) Login(user, asked string) string {
	own := t.Logins[user]
	if slices.Contains(own, asked) {
		return asked
	}
	if len(own) > 0 {
		return own[0]
	}
	return strings.ReplaceAll(t.DefaultLogin, "{user}", user)
}

// Serves reports whether a client may name port on this target: 22 and the
// listed ones for SSH, only the listed ones for TCP.
func (t *Target) Serves(port int) bool {
	return t.Kind == SSH && port == 22 || slices.Contains(t.Ports, port)
}
