package configs

import (
	"fmt"
	"maps"
	"net"
	"net/netip"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"entry/policy/strict"
)

var (
	userForm   = regexp.MustCompile(`^[a-z][a-z0-9._-]{0,31}$`) // as in the policy
	labelForm  = regexp.MustCompile(`^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$`)
	nameForm   = regexp.MustCompile(`^[a-z]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$`)
	targetForm = regexp.MustCompile(`^[a-z]([a-z0-9-]{0,61}[a-z0-9])?\.[a-z]([a-z0-9-]{0,61}[a-z0-9])?$`)
)

// maxSocketPath is sun_path's size on Linux without its final zero (unix(7)).
const maxSocketPath = 107

// validate checks what c's settings mean together. It touches nothing: what a
// path leads to is found out by whoever opens it.
func validate(c *Config, at map[string]strict.Value) {
	switch v := at["name"]; {
	case !nameForm.MatchString(c.Name):
		v.Errorf(codeName, "%q is no name; want lower-case letters, digits and dashes, with dots between labels", c.Name)
	case len(c.Name) > MaxName:
		v.Errorf(codeName, "%q has %d characters; authenticator apps show no more than %d: give a short one, and say under address what users dial", c.Name, len(c.Name), MaxName)
	}
	if v := at["address"]; v.Present() && c.Address != "" {
		if problem := checkDialled(c.Address); problem != "" {
			v.Errorf(codeAddress, "%q: %s", c.Address, problem)
		}
	}
	seen := map[string]int{}
	for i, l := range c.Listeners {
		v := at[fmt.Sprintf("listeners.%d.address", i)]
		if !v.Present() {
			continue
		}
		if problem := checkListen(l.Address); problem != "" {
			v.Errorf(codeAddress, "%q: %s", l.Address, problem)
		} else if first, dup := seen[l.Address]; dup && !strings.HasSuffix(l.Address, ":0") {
			v.Errorf(codeAddress, "%s stands here twice; the first is on line %d", l.Address, first)
		} else {
			seen[l.Address] = v.Line()
		}
		if t := at[fmt.Sprintf("listeners.%d.target", i)]; t.Present() && !targetForm.MatchString(l.Target) {
			t.Errorf(codeName, `%q is no target; want a full name such as "desktop.tinker"`, l.Target)
		}
	}
	if n := len(c.Admin.Socket); n > maxSocketPath {
		at["admin.socket"].Errorf(codePath, "the socket's path has %d bytes; no more than %d work", n, maxSocketPath)
	}
	checkPaths(c, at)
}

// maxContact bounds whom users are told to ask, in bytes: prompts have it in them.
const maxContact = 200

// shown tells whether s is one short line that prompts and guides can hold.
func shown(s string) bool {
	return len(s) <= maxContact && utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) })
}

// checkListen accepts "host:port", ":port" and "[v6]:port"; port 0 lets the
// system choose, for tests.
func checkListen(address string) string {
	host, portText, err := net.SplitHostPort(address)
	if err != nil {
		return "want host:port or :port"
	}
	if _, err := netip.ParseAddr(host); host != "" && err != nil && !nameForm.MatchString(host) {
		return "want an address or a host name before the port"
	}
	if port, err := strconv.ParseUint(portText, 10, 16); err != nil || strconv.FormatUint(port, 10) != portText {
		return "want a port from 1 to 65535"
	}
	return ""
}

// Loopback tells whether a listener on address is for this machine alone.
func Loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	a, perr := netip.ParseAddr(host)
	return err == nil && (host == "localhost" || perr == nil && a.IsLoopback())
}

// checkPaths refuses one path in two roles: a key used for two purposes, or two
// writers in one directory. Recipients of recordings may be shared by labs.
func checkPaths(c *Config, at map[string]strict.Value) {
	roles := map[string]string{
		"policy": c.Policy, "database.sqlite": c.Database.SQLite,
		"audit.directory": c.Audit.Directory, "audit.witness": c.Audit.Witness,
		"audit.key": c.Audit.Key, "audit.public_key": c.Audit.PublicKey,
		"recording.directory": c.Recording.Directory, "recording.auditors": c.Recording.Auditors,
		"keys.directory": c.Keys.Directory, "keys.secret": c.Keys.Secret,
		"keys.host_ca.file": c.Keys.HostCA.File, "keys.host_ca.public_key": c.Keys.HostCA.PublicKey,
		"keys.user_ca.file": c.Keys.UserCA.File, "keys.user_ca.public_key": c.Keys.UserCA.PublicKey,
		"admin.socket": c.Admin.Socket, "guides.directory": c.Guides.Directory, "login.terms": c.Login.Terms,
	}
	// In the order of the file the later one is to blame; names settle the rest.
	order := slices.SortedFunc(maps.Keys(roles), func(a, b string) int {
		if d := at[a].Line() - at[b].Line(); d != 0 {
			return d
		}
		return strings.Compare(a, b)
	})
	taken := map[string]string{}
	for _, role := range order {
		path := roles[role]
		if path == "" {
			continue
		}
		if first, dup := taken[filepath.Clean(path)]; dup {
			at[role].Errorf(codeSamePath, "%s and %s are both %s; each needs its own", first, role, path)
			continue
		}
		taken[filepath.Clean(path)] = role
	}
	for _, role := range order {
		if c.Guides.Directory != "" && role != "guides.directory" && below(roles[role], c.Guides.Directory) {
			at["guides.directory"].Errorf(codeSamePath, "%s lies inside guides.directory, which is there to be served to everybody", role)
			break
		}
	}
	for _, inner := range []string{"audit.witness", "recording.directory"} {
		if below(roles[inner], c.Audit.Directory) {
			at[inner].Errorf(codeSamePath, "%s lies inside audit.directory; what takes one away takes both", inner)
		}
	}
}

// below reports whether path lies inside dir.
func below(path, dir string) bool {
	return path != "" && strings.HasPrefix(filepath.Clean(path), filepath.Clean(dir)+string(filepath.Separator))
}
