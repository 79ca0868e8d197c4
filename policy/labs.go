package policy

import (
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"entry/policy/pubkey"
	"entry/policy/strict"
)

// lab is one lab while the files are being read and in the finished policy.
type lab struct {
	name    string
	at      strict.Value
	members []string
	admins  []string
	people  map[string]bool // members and admins
	groups  map[string][]string
	targets []*Target // in file order

	egress    int64         // bytes towards a user and day from the whole lab; 0 for no limit
	retention time.Duration // of its recordings; 0 for ever
}

// has reports whether user belongs to the lab, in whatever role.
func (l *lab) has(user string) bool { return l.people[user] }

// group finds one by name; "members" and "admins" are always there.
func (l *lab) group(name string) ([]string, bool) {
	switch name {
	case "members":
		return l.members, true
	case "admins":
		return l.admins, true
	}
	users, ok := l.groups[name]
	return users, ok
}

func (b *builder) readLabs(v strict.Value) {
	for _, e := range v.Entries() {
		if err := validLabel(e.Key); err != nil {
			e.At.Errorf(codeName, "lab %q: %v", e.Key, err)
			continue
		}
		if why, ok := reservedLabs[e.Key]; ok {
			e.At.Errorf(codeReserved, "a lab can't be named %q: %s", e.Key, why)
		}
		if first, dup := b.labs[e.Key]; dup {
			e.At.Errorf(codeTwice, "lab %q is already defined at %s", e.Key, first.at.Place())
			continue
		}
		l := &lab{name: e.Key, at: e.At, people: map[string]bool{}, groups: map[string][]string{}}
		b.labs[e.Key] = l
		b.labOrder = append(b.labOrder, l)
		b.readLab(l, e.Value)
	}
}

func (b *builder) readLab(l *lab, v strict.Value) {
	f := v.Fields("members", "groups", "admins", "targets", "egress", "retention")
	l.egress = f.Get("egress").Fields("user_day").Need("user_day").Size(0, 1, maxByteLimit)
	l.retention = f.Get("retention").Days(0, 1, 36500)
	l.members = readUsers(f.Get("members").Items())
	l.admins = readUsers(f.Get("admins").Items())
	for _, user := range slices.Concat(l.members, l.admins) {
		l.people[user] = true
	}
	for _, g := range f.Get("groups").Entries() {
		if err := validLabel(g.Key); err != nil {
			g.At.Errorf(codeName, "group %q: %v", g.Key, err)
			continue
		}
		if g.Key == "members" || g.Key == "admins" {
			g.At.Errorf(codeReserved, "every lab has a group %q already, made of its %s", g.Key, g.Key)
			continue
		}
		items := g.Value.Items()
		l.groups[g.Key] = readUsers(items)
		for _, item := range items {
			if name := item.Raw(); ValidUser(name) == nil && !l.has(name) {
				item.Errorf(codeNotMember, "%q is in group %s/%s but neither a member nor an admin of the lab", name, l.name, g.Key)
			}
		}
	}
	for _, t := range f.Get("targets").Entries() {
		b.readTarget(l, t)
	}
}

// readUsers reads a list of user names, leaving invalid and repeated ones out.
func readUsers(items []strict.Value) []string {
	out := make([]string, 0, len(items))
	seen := make(map[string]bool, len(items))
	for _, item := range items {
		name, ok := item.Want("a user name")
		if !ok {
			continue
		}
		if err := ValidUser(name); err != nil {
			item.Errorf(codeName, "%q: %v", name, err)
			continue
		}
		if seen[name] {
			item.Errorf(codeTwice, "%q stands in this list twice", name)
			continue
		}
		seen[name] = true
		out = append(out, name)
	}
	return out
}

func (b *builder) readTarget(l *lab, e strict.Entry) {
	if err := validLabel(e.Key); err != nil {
		e.At.Errorf(codeName, "target %q: %v", e.Key, err)
		return
	}
	if why, ok := reserved[e.Key]; ok {
		e.At.Errorf(codeReserved, "a target can't be named %q: %s", e.Key, why)
	}
	t := &Target{Name: e.Key, Lab: l.name, place: e.At.Place(), lab: l}
	l.targets = append(l.targets, t)
	b.targets[t.FullName()] = t

	f := e.Value.Fields("kind", "address", "ports", "host_keys", "host_ca", "auth", "default_login", "logins")
	t.Kind = Kind(f.Get("kind").Choice("ssh", "tcp"))
	t.Addresses = readAddresses(f.Need("address"), t.Kind)
	t.Ports = readPorts(f.Get("ports"), t.Kind)
	if t.Kind == TCP {
		for _, key := range []string{"host_keys", "host_ca", "auth", "default_login", "logins"} {
			if v := f.Get(key); v.Present() {
				v.Errorf(codeKind, "%q has no meaning for a target of kind tcp", key)
			}
		}
		if !f.Get("ports").Present() {
			t.Ports = portsOf(t.Addresses)
		}
		return
	}
	t.HostKeys = readKeys(f.Get("host_keys"), nil)
	t.HostCAs = readKeys(f.Get("host_ca"), t.HostKeys)
	if !f.Get("host_keys").Present() && !f.Get("host_ca").Present() {
		e.At.Errorf(codeNoKey, "%s has neither host_keys nor host_ca; nothing would prove that entry reached it (ssh-keyscan shows a machine's keys, compare them there)", t.FullName())
	}
	t.Auth = Auth(f.Get("auth").Choice("certificate", "passthrough"))
	b.readLogins(l, t, f.Get("default_login"), f.Get("logins"))
}

// readAddresses reads one or more "host:port"; SSH targets may leave the port
// out. A list is tried in order.
func readAddresses(v strict.Value, kind Kind) []string {
	var out []string
	for _, item := range v.OneOrMore() {
		s, ok := item.Want(`an address such as "10.0.0.5:22"`)
		if !ok {
			continue
		}
		address, problem := parseAddress(s, kind)
		if problem != "" {
			item.Errorf(codeAddress, "%q: %s", s, problem)
			continue
		}
		if slices.Contains(out, address) {
			item.Errorf(codeTwice, "%s stands in this list twice", address)
			continue
		}
		out = append(out, address)
	}
	return out
}

func parseAddress(s string, kind Kind) (address, problem string) {
	host, portText, err := net.SplitHostPort(s)
	if err != nil {
		// No port: a name, an IPv4 address or a bare or bracketed IPv6 address.
		host = strings.TrimSuffix(strings.TrimPrefix(s, "["), "]")
		if strings.Contains(host, ":") {
			if _, err := netip.ParseAddr(host); err != nil {
				return "", "want host:port"
			}
		}
		if kind == TCP {
			return "", "a target of kind tcp needs a port"
		}
		portText = "22"
	}
	if !validHost(host) {
		return "", "want a host name or an address, then a colon and a port"
	}
	if addr, err := netip.ParseAddr(host); err == nil {
		if addr.IsUnspecified() || addr.IsMulticast() {
			return "", "nobody can be reached at this address"
		}
	}
	if _, ok := parsePort(portText); !ok {
		return "", "want a port from 1 to 65535"
	}
	return net.JoinHostPort(canonicalHost(host), portText), ""
}

func readPorts(v strict.Value, kind Kind) []int {
	var out []int
	for _, item := range v.SomeItems() {
		port := int(item.Int(0, 1, 65535))
		switch {
		case port == 0:
		case slices.Contains(out, port):
			item.Errorf(codeTwice, "port %d stands in this list twice", port)
		case port == 22 && kind == SSH:
			item.Errorf(codePort, "port 22 of an ssh target is always there; list only others")
		default:
			out = append(out, port)
		}
	}
	return out
}

// portsOf are the addresses' own ports: a TCP target that lists none is asked
// for by those.
func portsOf(addresses []string) []int {
	var out []int
	for _, a := range addresses {
		_, text, err := net.SplitHostPort(a)
		if port, ok := parsePort(text); err == nil && ok && !slices.Contains(out, port) {
			out = append(out, port)
		}
	}
	return out
}

// readKeys reads public keys; other holds keys that have another role for the
// same target. A key that may vouch for machines must not be one's own.
func readKeys(v strict.Value, other []string) []string {
	var out []string
	for _, item := range v.OneOrMore() {
		if hint := pastedKey(item.Raw()); hint != "" {
			item.Errorf(codeKey, "%s", hint)
			continue
		}
		s, ok := item.Want("a public key")
		if !ok {
			continue
		}
		key, err := pubkey.ParseHost(s)
		if err != nil {
			code, text := keyProblem(err)
			item.Errorf(code, "%s", text)
			continue
		}
		switch line := pubkey.Line(key); {
		case slices.Contains(out, line):
			item.Errorf(codeTwice, "this key stands in this list twice")
		case slices.Contains(other, line):
			item.Errorf(codeKey, "this key is the target's own host key; an authority needs a key of its own")
		default:
			out = append(out, line)
		}
	}
	return out
}

// pastedKey says what was pasted whole in place of one key, "" for whatever may be
// one.
func pastedKey(s string) string {
	word, rest, _ := strings.Cut(strings.TrimSpace(s), " ")
	switch {
	case strings.Contains(s, "PRIVATE KEY"):
		return "this is a PRIVATE key: take it out, and make a new one if others could read it; want the one line of the file that ends in .pub"
	case strings.HasPrefix(word, "-----BEGIN") || strings.HasPrefix(word, "----"):
		return "this is a key in another form; want one line as in /etc/ssh/ssh_host_ed25519_key.pub (ssh-keygen -i converts it)"
	case word == "@cert-authority":
		return "this is a line of known_hosts: leave @cert-authority and the names out, and put the key under host_ca"
	case word == "@revoked":
		return "this is a key that known_hosts revokes (@revoked): it must vouch for nothing"
	}
	var lines []string
	for line := range strings.Lines(s) {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	if len(lines) > 1 {
		if _, err := pubkey.ParseHost(strings.Join(lines, "")); err == nil {
			return "this key is broken over several lines; write it on one"
		}
		return "this is more than one line: give each key as an item of its own, - ssh-ed25519 AAAA…"
	}
	// YAML joins what goes on in the next line by a space.
	if body, more, ok := strings.Cut(rest, " "); ok {
		_, whole := pubkey.ParseHost(word + " " + body)
		if _, err := pubkey.ParseHost(word + " " + body + strings.ReplaceAll(more, " ", "")); whole != nil && err == nil {
			return "this key is broken over several lines; write it on one"
		}
	}
	return ""
}

// keyProblem is how a refused key is reported.
func keyProblem(err error) (code, text string) {
	var no *pubkey.Error
	switch errors.As(err, &no); no.Reason {
	case pubkey.Weak:
		return codeWeakKey, strings.Replace(no.Error(), "too weak", "too weak to vouch for a machine", 1)
	case pubkey.Certificate:
		return codeKey, no.Error() + "; name the authority that signed it under host_ca"
	}
	return codeKey, no.Error()
}

func (b *builder) readLogins(l *lab, t *Target, def, logins strict.Value) {
	t.DefaultLogin = "{user}"
	if s := def.Text(); s != "" {
		if !loginForm.MatchString(strings.Replace(s, "{user}", "u", 1)) {
			def.Errorf(codeLogin, `%q is no account name; want letters, digits and ._@-, or "{user}" for the user's own name`, s)
		} else {
			t.DefaultLogin = s
		}
	} else if def.Present() && def.Raw() == "" {
		def.Errorf(codeLogin, `the account name is empty; leave it out for "{user}"`)
	}
	for _, e := range logins.Entries() {
		if err := ValidUser(e.Key); err != nil {
			e.At.Errorf(codeName, "%q: %v", e.Key, err)
			continue
		}
		var list []string
		for _, item := range e.Value.SomeItems() {
			s, ok := item.Want("an account name")
			switch {
			case !ok:
			case !loginForm.MatchString(s):
				item.Errorf(codeLogin, "%q is no account name; want letters, digits and ._@-", s)
			case slices.Contains(list, s):
				item.Errorf(codeTwice, "%q stands in this list twice", s)
			default:
				list = append(list, s)
			}
		}
		if t.Logins == nil {
			t.Logins = map[string][]string{}
		}
		t.Logins[e.Key] = list
		b.loginUsers = append(b.loginUsers, loginUser{e.At, e.Key, l})
	}
}
