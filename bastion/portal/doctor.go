package portal

import (
	"context"
	"fmt"
	"slices"
	"time"

	"entry/audit/plain"
	"entry/bastion/access"
	"entry/bastion/identity"
)

// soonEnds is how long before its end a date is something to look at.
const soonEnds = 14 * 24 * time.Hour

// findings are what the doctor says, each with a word in front: nothing is told
// by its place or colour alone.
type findings struct {
	out  lines
	sick bool
}

func (f *findings) ok(format string, args ...any)   { f.out.printf("ok: "+format, args...) }
func (f *findings) look(format string, args ...any) { f.out.printf("look: "+format, args...) }
func (f *findings) problem(format string, args ...any) {
	f.sick = true
	f.out.printf("problem: "+format, args...)
}

// until reports a date that something ends on; zero means never.
func (f *findings) until(what string, end, now time.Time, todo string) {
	switch left := end.Sub(now); {
	case end.IsZero():
	case left <= 0:
		f.problem("%s ended on %s. %s", what, plain.Moment(end), todo)
	case left < soonEnds:
		f.look("%s ends on %s. %s", what, plain.Moment(end), todo)
	default:
		f.ok("%s ends on %s", what, plain.Moment(end))
	}
}

// verbDoctor shows what stands in the user's way, and what soon will.
func (v *visit) verbDoctor(ctx context.Context, d *desk, args []string) uint32 {
	if len(args) > 0 {
		return v.misused(d, "doctor")
	}
	now := v.p.o.Now()
	h, err := v.p.o.Auth.Health(ctx, v.login.Who())
	if err != nil {
		return v.failed(d, "doctor", err)
	}
	d.out.printf("%s at %s, connected from %s", v.login.Who().User(), plain.Moment(now), v.login.Source().Addr())
	f := &findings{out: d.out}
	for _, w := range v.login.Who().Warnings() {
		f.look("%s", w)
	}
	for _, a := range h.Devices {
		name := plain.Text(a.Name)
		switch {
		case a.Used.IsZero():
			f.ok("authenticator %s, enrolled %s, not used yet", name, plain.Moment(a.Created))
		case a.Drift != 0:
			f.look("authenticator %s: its clock is %s. Set the device to automatic time; further off than 30 s it isn't accepted", name, drift(a.Drift))
		default:
			f.ok("authenticator %s, last code %s, its clock is right", name, plain.Moment(a.Used))
		}
	}
	if len(h.Devices) == 1 {
		f.look("you have one authenticator. A second device helps when it is lost: %s", v.says(d, "enroll"))
	}
	switch {
	case h.RecoveryLeft == 0:
		f.problem("no recovery code is left. Make new ones: %s", v.says(d, "recovery"))
	case h.RecoveryLeft <= 3:
		f.look("%d recovery codes are left. New ones: %s", h.RecoveryLeft, v.says(d, "recovery"))
	default:
		f.ok("%d recovery codes are left", h.RecoveryLeft)
	}
	if now.Before(h.LockedUntil) {
		f.problem("logins are locked until %s after too many failures", plain.Moment(h.LockedUntil))
	} else {
		f.ok("logins are not locked")
	}
	if h.WrongCodes > 0 {
		closed := ""
		if now.Before(h.CodesLockUntil) {
			closed = " From networks without a login before it opens nothing until " + plain.Moment(h.CodesLockUntil) + "."
		}
		f.problem("%s came behind your right passphrase since %s, more than five in a day or from a network where you hadn't logged in. If you mistyped them, or your phone's clock is wrong (set it to automatic), that is all. If not, somebody has your passphrase. A new one: %s; then tell %s, whose log has from where.%s",
			plain.Count(h.WrongCodes, "wrong code"), plain.Moment(h.WrongSince), v.says(d, "passwd"), v.contact(), closed)
	}
	if h.WrongRecovery > 0 {
		f.problem("%s came with right recovery codes of yours in 30 days: if that wasn't you, somebody has your list. A new one: %s; then tell %s, whose log has from where",
			plain.Count(h.WrongRecovery, "wrong passphrase"), v.says(d, "recovery"), v.contact())
	}
	if h.WrongUnseen > 0 {
		f.look("%s came in 30 days while the server was too busy to tell what passphrase they were behind", plain.Count(h.WrongUnseen, "wrong code"))
	}
	if !h.PassphraseSet.IsZero() {
		f.ok("passphrase set on %s", plain.Moment(h.PassphraseSet))
	}
	f.until("your passphrase", h.PassphraseExpires, now, "A new one: "+v.says(d, "passwd"))
	f.until("your account", h.AccountEnds, now, fmt.Sprintf("Ask %s.", v.contact()))
	if !h.InactiveAfter.IsZero() {
		f.ok("the account would end of disuse on %s; each login moves that", plain.Moment(h.InactiveAfter))
	}
	d.out.printf("Last logins:")
	for _, l := range grouped(h.LastLogins, now) {
		d.out.printf("  %s", l)
	}
	d.out.printf("If one of these wasn't you: %s, and tell %s.", v.says(d, "passwd"), v.contact())
	d.out.printf("Targets:")
	v.targets(d.out, func(target string, x access.Failure) {
		f.problem("%s failed for you on %s: %s", target, plain.Moment(x.At), x.Text)
	})
	if f.sick {
		return exitFailed
	}
	return exitOK
}

// drift says how a device's clock stands.
func drift(by time.Duration) string {
	if by < 0 {
		return fmt.Sprintf("about %d s behind", int(-by/time.Second))
	}
	return fmt.Sprintf("about %d s ahead", int(by/time.Second))
}

// newFor is how long a network is one to look at twice.
const newFor = 7 * 24 * time.Hour

// grouped are logins, newest first, with those from one address in one way as
// one line. An address that isn't the only one and that none of the older logins
// came from is marked for a week.
func grouped(logins []identity.LoginInfo, now time.Time) []string {
	type group struct {
		identity.LoginInfo // the newest
		n                  int
	}
	var all []*group
	first := map[string]time.Time{} // by address
	for _, l := range logins {
		first[l.Source] = l.At
		i := slices.IndexFunc(all, func(g *group) bool { return g.Source == l.Source && g.Method == l.Method })
		if i < 0 {
			all = append(all, &group{LoginInfo: l})
			i = len(all) - 1
		}
		all[i].n++
	}
	var out []string
	for _, g := range all {
		line := fmt.Sprintf("%s from %s with %s", plain.Moment(g.At), g.Source, g.Method)
		if g.n > 1 {
			line += fmt.Sprintf(", and %s before that", plain.Count(g.n-1, "time"))
		}
		if len(first) > 1 && now.Sub(first[g.Source]) < newFor && first[g.Source].After(logins[len(logins)-1].At) {
			line += " (new: first seen " + plain.Moment(first[g.Source]) + ")"
		}
		out = append(out, line)
	}
	return out
}
