package policy

import (
	"net"
	"net/netip"
	"path"
	"strconv"
	"strings"

	"entry/audit/plain"
	"entry/policy/strict"
)

// destination is one entry of forward_local or forward_remote: a TCP
// destination or port, or a Unix socket, exact or with a wildcard.
type destination struct {
	host   string // lower-case name, canonical address, or "" for any
	port   int    // 0 for any, for a forward; "chosen by the target" for a listen
	socket string // absolute and clean; "dir/" stands for everything below it
	remote bool
	any    bool // "*": whatever there is
}

// wildcard reports whether d admits more than it names.
func (d destination) wildcard() bool {
	switch {
	case d.any:
		return true
	case d.socket != "":
		return strings.HasSuffix(d.socket, "/")
	case d.remote:
		return false
	}
	return d.host == "" || d.port == 0
}

// admits reports whether a direct-tcpip to host:port, as seen from the target,
// is meant by d. The host is compared, never looked up.
func (d destination) admits(host string, port int) bool {
	if d.remote || d.socket != "" || host == "" || port < 1 || port > 65535 {
		return false
	}
	if d.any {
		return true
	}
	if d.port != 0 && d.port != port {
		return false
	}
	if d.host == "" {
		return true
	}
	host = canonicalHost(host)
	// Who lists localhost means the loopback interface; clients ask for it by
	// either of its addresses too.
	return d.host == host || d.host == "localhost" && (host == "127.0.0.1" || host == "::1")
}

// admitsListen reports whether a tcpip-forward of port is meant by d.
func (d destination) admitsListen(port int) bool {
	if !d.remote || d.socket != "" || port < 0 || port > 65535 {
		return false
	}
	return d.any || d.port == port
}

// admitsSocket reports whether a Unix socket on the target is meant by d. Only
// clean absolute paths are; the target may still resolve symbolic links.
func (d destination) admitsSocket(name string) bool {
	if !cleanSocket(name) {
		return false
	}
	if d.any {
		return true
	}
	if dir, ok := strings.CutSuffix(d.socket, "/"); ok {
		return strings.HasPrefix(name, dir+"/")
	}
	return d.socket != "" && d.socket == name
}

// maxSocketPath is sun_path's size on Linux without its final zero (unix(7)).
const maxSocketPath = 107

func cleanSocket(name string) bool {
	return len(name) > 1 && len(name) <= maxSocketPath && name[0] == '/' && path.Clean(name) == name &&
		!strings.ContainsFunc(name, func(r rune) bool { return !plain.Visible(r) })
}

func canonicalHost(host string) string {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if addr, err := netip.ParseAddr(host); err == nil {
		return addr.Unmap().String()
	}
	return host
}

// readDestination reads an entry of forward_local: "host:port", "[v6]:port",
// "/run/app.sock"; with wildcards "host:*", "*:port", "/run/app/*", "*".
func readDestination(v strict.Value) (destination, bool) {
	s, ok := v.Want(`a destination such as "localhost:8888"`)
	switch {
	case !ok:
		return destination{}, false
	case s == "*":
		return destination{any: true}, true
	case strings.HasPrefix(s, "/"):
		return readSocket(v, s, false)
	}
	host, portText, err := net.SplitHostPort(s)
	if err != nil || host == "" {
		v.Errorf(codeDestination, `%q is no destination; want "host:port", a socket's path, or a wildcard ("host:*", "*:port", "*")`, s)
		return destination{}, false
	}
	d := destination{}
	if host != "*" {
		if !validHost(host) {
			v.Errorf(codeDestination, "%q is neither a host name nor an address", host)
			return destination{}, false
		}
		d.host = canonicalHost(host)
	}
	if portText != "*" {
		if d.port, ok = parsePort(portText); !ok {
			v.Errorf(codeDestination, "%q is no port; want 1 to 65535", portText)
			return destination{}, false
		}
	}
	return d, true
}

// readListen reads an entry of forward_remote: a port, 0 for one that the
// target chooses, a socket's path, or a wildcard ("/run/app/*", "*").
func readListen(v strict.Value) (destination, bool) {
	if v.Raw() == "*" {
		return destination{any: true, remote: true}, true
	}
	if strings.HasPrefix(v.Raw(), "/") {
		return readSocket(v, v.Raw(), true)
	}
	port := v.Int(-1, 0, 65535)
	return destination{port: int(port), remote: true}, port >= 0
}

func readSocket(v strict.Value, s string, remote bool) (destination, bool) {
	name, below := s, false
	if dir, ok := strings.CutSuffix(s, "/*"); ok {
		name, below = dir, true
	}
	if s == "/*" {
		return destination{socket: "/", remote: remote}, true
	}
	if !cleanSocket(name) || strings.Contains(name, "*") {
		v.Errorf(codeDestination, `%q is no socket; want a clean absolute path of at most %d bytes, or "/dir/*"`, s, maxSocketPath)
		return destination{}, false
	}
	if below {
		name += "/"
	}
	return destination{socket: name, remote: remote}, true
}

func parsePort(s string) (int, bool) {
	n, err := strconv.ParseUint(s, 10, 16)
	// "+22" and "022" are refused: nothing else in a policy has two spellings.
	if err != nil || n == 0 || strconv.FormatUint(n, 10) != s {
		return 0, false
	}
	return int(n), true
}

// validHost accepts an IP address without zone or a host name of letter-digit-
// hyphen labels (RFC 1123 §2.1), underscores included because they exist.
func validHost(host string) bool {
	if addr, err := netip.ParseAddr(host); err == nil {
		return addr.Zone() == ""
	}
	host = strings.TrimSuffix(host, ".")
	if host == "" || len(host) > 253 {
		return false
	}
	digits := true
	for label := range strings.SplitSeq(host, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for _, r := range label {
			letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r == '-' || r == '_'
			if !letter && (r < '0' || r > '9') {
				return false
			}
			digits = digits && !letter
		}
	}
	return !digits // 10.5 or 2130706433 would be an address to some resolvers
}
