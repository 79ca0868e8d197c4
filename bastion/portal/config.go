package portal

import (
	"cmp"
	"context"
	"errors"
	"strings"

	"entry/audit/refusal"
	"entry/bastion/access"
	"entry/bastion/guide"
	"entry/policy"
	"entry/policy/strict"
)

// Targets are places as package guide's files and guides have them.
func Targets(places []access.Place, contact refusal.Contact) []guide.Target {
	var out []guide.Target
	for _, p := range places {
		t := p.Target
		g := guide.Target{Name: p.Name, Full: t.FullName(), Ports: t.Ports, Login: p.Login}
		if t.Kind == policy.TCP {
			g.Kind, g.Login = guide.TCP, ""
		}
		var no *policy.Denied
		switch {
		case errors.As(p.Denied, &no) && no.Approval != nil && no.Capability == 0:
			g.Approval = no.Approval.String()
			g.Recorded = "Connecting asks for the approval of " + g.Approval + "."
		case p.Denied != nil:
			g.Denied = contact.In(refusal.Of(p.Denied).Text)
		case t.Kind == policy.TCP:
			g.Recorded = "When you connect and how much is sent is logged; the content is not recorded."
		default:
			g.Recorded = access.Notice(p.Grant)
		}
		out = append(out, g)
	}
	return out
}

// contact is whom texts tell the user to ask.
func (v *visit) contact() refusal.Contact {
	return refusal.Contact(cmp.Or(v.p.o.Facts.Contact, refusal.Someone))
}

// facts are what is known of this server and this user, for ready files.
func (v *visit) facts() guide.Facts {
	f := v.p.o.Facts
	if v.p.o.HostCAs != nil {
		f.HostCA, f.NextHostCA = v.p.o.HostCAs()
	}
	f.User, f.Targets = v.login.Who().User(), Targets(v.login.Places(), v.contact())
	// OpenSSH for Windows has no connection sharing.
	f.Multiplex = !strings.Contains(string(v.conn.ClientVersion()), "Windows")
	return f
}

// verbConfig prints one ready file, or lists what there is.
func (v *visit) verbConfig(_ context.Context, d *desk, args []string) uint32 {
	if len(args) == 0 {
		for _, k := range guide.Clients() {
			d.out.printf("%-28s %s (save as %s)", v.says(d, "config "+k.Name), k.Title, k.File)
		}
		return exitOK
	}
	f := v.facts()
	kind, ok := guide.Known(args[0])
	if len(args) == 3 && kind.Name == "openssh" && args[1] == "--http-proxy" {
		proxy, err := guide.ParseProxy(args[2])
		if err != nil {
			d.errs.printf("entry: %v", err)
			return exitUsage
		}
		f.Proxy, args = proxy, args[:1]
	}
	if len(args) != 1 || !ok {
		var names []string
		for _, k := range guide.Clients() {
			names = append(names, k.Name)
		}
		if near := strict.Nearest(args[0], names); near != "" && !ok {
			d.errs.printf("entry: no such file; did you mean %s?", v.says(d, "config "+near))
			return exitUsage
		}
		return v.misused(d, "config")
	}
	text, err := kind.Make(f)
	if err != nil {
		v.p.o.Trouble("portal: config", v.login, err)
		d.errs.printf("entry: this file can't be made; tell %s.", v.contact())
		return exitFailed
	}
	d.file(text)
	return exitOK
}
