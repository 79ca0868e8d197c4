package bastion

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"entry/bastion/guide"
	"entry/policy"
)

// GuideTargets is what p says of user's targets at a time, for the files and
// guides of package guide. source is where the user connects from; the zero Addr
// where nobody knows, and then rules about networks may show as refusals.
// Listing is no access, so it makes no event.
func GuideTargets(p *policy.Policy, user string, source netip.Addr, at time.Time) []guide.Target {
	var out []guide.Target
	for _, t := range p.TargetsOf(user) {
		g := guide.Target{Name: t.Name, Full: t.FullName(), Ports: t.Ports, Login: t.Login(user, "")}
		if r, err := p.Resolve(user, t.Name); err != nil || r != t {
			g.Name = g.Full
		}
		if t.Kind == policy.TCP {
			g.Kind, g.Login = guide.TCP, ""
		}
		grant, err := p.Decide(policy.Request{User: user, Target: t, Source: source, Time: at})
		switch {
		case err != nil:
			g.Denied = userText(err)
		case t.Kind == policy.TCP && !grant.Allows(policy.ForwardLocal):
			g.Denied = userText(grant.Refusal(policy.ForwardLocal))
		case t.Kind == policy.TCP:
			g.Recorded = "When you connect and how much is sent is logged; the content is not recorded."
		default:
			g.Recorded = notice(grant)
		}
		out = append(out, g)
	}
	return out
}

// facts are what is known of this server and this user, for ready files.
func (c *client) facts() (guide.Facts, error) {
	o := &c.s.o
	f := guide.Facts{Name: o.Name, Server: o.Name, User: c.who.User(), LoginTime: o.Grace, Remembered: max(0, o.Remembered), Contact: o.Contact,
		// OpenSSH for Windows has no connection sharing.
		Multiplex: !strings.Contains(string(c.leg.Conn.ClientVersion()), "Windows"),
		Targets:   GuideTargets(c.s.policy.Load(), c.who.User(), c.source.Addr(), c.s.now())}
	if o.Address != "" {
		f.Server = o.Address
		if host, port, err := net.SplitHostPort(o.Address); err == nil {
			n, err := strconv.ParseUint(port, 10, 16)
			if err != nil {
				return guide.Facts{}, fmt.Errorf("address %q: %w", o.Address, err)
			}
			f.Server, f.Port = host, int(n)
		}
	}
	for _, s := range c.s.own {
		if cert, ok := s.PublicKey().(*ssh.Certificate); ok {
			f.HostCA = strings.TrimSpace(string(ssh.MarshalAuthorizedKey(cert.SignatureKey)))
		}
	}
	return f, nil
}

// verbConfig prints one ready file, or lists what there is.
func (c *client) verbConfig(_ context.Context, d *desk, args []string) uint32 {
	if len(args) == 0 {
		for _, k := range guide.Clients() {
			d.out.printf("%-28s %s (save as %s)", c.says(d, "config "+k.Name), k.Title, k.File)
		}
		return exitOK
	}
	kind, ok := guide.Known(args[0])
	if len(args) != 1 || !ok {
		return c.misused(d, "config")
	}
	f, err := c.facts()
	text := ""
	if err == nil {
		text, err = kind.Make(f)
	}
	if err != nil {
		c.s.log.Error("portal: config", connFields(c.id, c.source, err)...)
		d.errs.printf("entry: this file can't be made; tell your operator.")
		return exitFailed
	}
	d.file(text)
	return exitOK
}
