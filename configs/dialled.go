package configs

import "net"

// Dialled is the address that users' files name: the one that is configured, or
// the first listener of the jump host itself, if that says where it is; else "",
// its name.
func (c *Config) Dialled() string {
	if c.Address != "" {
		return c.Address
	}
	for _, l := range c.Listeners {
		host, _, err := net.SplitHostPort(l.Address)
		if l.Target != "" || err != nil || host == "" {
			continue
		}
		if ip := net.ParseIP(host); ip == nil || !ip.IsUnspecified() {
			return l.Address
		}
	}
	return ""
}
