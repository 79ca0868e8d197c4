//go:build linux

package site

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strconv"

	"golang.org/x/crypto/ssh"

	"entry/bastion/ca"
	"entry/bastion/guide"
	"entry/configs"
)

// ITSupport writes the page for the IT staff of users' organisations. lookUp
// tells the addresses of the host that users dial, as they see it.
func ITSupport(w io.Writer, cfg *configs.Config, lookUp func(host string) []netip.Addr) error {
	host, port, err := net.SplitHostPort(cfg.Dialled())
	if err != nil {
		host, port = cfg.Dialled(), "22"
	}
	ip, notIP := netip.ParseAddr(host)
	if nobodyDials(host) {
		said := cfg.Dialled()
		if said == "" {
			said = "the name " + cfg.Name + " alone"
		}
		return wrongf("nobody outside can dial %s: set address in entry.yaml to what users dial, as in entry.example.org or entry.example.org:443", said)
	}
	f, err := serverFacts(cfg)
	if err != nil {
		return err
	}
	key, err := ca.LoadPublic(filepath.Join(cfg.Keys.Directory, cfg.Name+".pub"))
	if errors.Is(err, fs.ErrNotExist) {
		return hinted(fmt.Errorf("the server has no host key yet: %w", err), "start it once with entry serve, which makes one")
	}
	if err != nil {
		return err
	}
	s := guide.Server{OtherPorts: otherPorts(cfg, port), HostKey: ssh.FingerprintSHA256(key)}
	if notIP == nil {
		s.Addresses = []netip.Addr{ip}
	} else {
		s.Addresses = lookUp(host)
	}
	return guide.ITSupport(w, f, s)
}

// nobodyDials tells whether a host leads nobody outside this machine to it.
func nobodyDials(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "" || host == "localhost" || err == nil && (ip.IsLoopback() || ip.IsUnspecified())
}

// otherPorts are those that lead to the jump host beside port. What stands
// before it, which an address with a port of its own may mean, may lead to none
// of them.
func otherPorts(cfg *configs.Config, port string) (ports []int) {
	if _, _, err := net.SplitHostPort(cfg.Address); err == nil {
		return nil
	}
	for _, l := range cfg.Listeners {
		host, p, err := net.SplitHostPort(l.Address)
		ip, notIP := netip.ParseAddr(host)
		if n, bad := strconv.Atoi(p); err == nil && bad == nil && l.Target == "" && p != port && (notIP != nil || !ip.IsLoopback()) && !slices.Contains(ports, n) {
			ports = append(ports, n)
		}
	}
	return ports
}
