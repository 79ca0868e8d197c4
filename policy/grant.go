package policy

import (
	"fmt"
	"slices"
	"time"

	"entry/audit/refusal"
)

// RuleRef names a rule and its place. The zero RuleRef is the default: deny.
type RuleRef struct {
	Name string
	File string // base name
	Line int
}

// String is "tinker-home (tinker.yaml:12)" or "default deny".
func (r RuleRef) String() string {
	if r == (RuleRef{}) {
		return "default deny"
	}
	return fmt.Sprintf("%s (%s:%d)", r.Name, r.File, r.Line)
}

// MarshalText is String.
func (r RuleRef) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// Denied says which rule refused what: Error to operators, Told to the user. Both are one
// line without control characters, in UTF-8 as far as the policy's own words are.
type Denied struct {
	User, Target string     // Target is the full name; both may be "" where there is none
	Capability   Capability // zero where access as a whole is refused
	// Rule is the deny rule if ByDeny; else the rule that the grant rests on
	// and that doesn't list the capability; zero if no rule allows anything.
	Rule    RuleRef
	ByDeny  bool
	Because string // the rule's own words, may be ""
	// Approval is not nil where other people's approval would open what is
	// refused.
	Approval *Quorum

	unlisted bool   // the capability is there, the destination isn't
	what     string // the destination, as its user reads it; "" where it isn't known
	near     *rule  // one that would have matched but for nearBy
	nearBy   Clause
	opens    time.Time // when near holds again where nearBy is about time; zero where it never does
}

// To returns d as the refusal of a destination beyond the target: "localhost:9999".
func (d *Denied) To(destination string) *Denied {
	to := *d
	to.what = destination
	return &to
}

// by makes no the work of a deny rule.
func (no *Denied) by(r *rule) *Denied {
	no.Rule, no.ByDeny, no.Because = r.ref, true, r.because
	return no
}

// Error is one line: "denied by rule …", "no rule allows alice on home.tinker
// (default deny)", "rule … does not allow x11", "rule … needs the approval of …".
func (d *Denied) Error() string {
	var s string
	switch {
	case d.Approval != nil && d.Capability == 0:
		return fmt.Sprintf("rule %s needs the approval of %s", d.Approval.Rule, d.Approval)
	case d.Approval != nil:
		return fmt.Sprintf("rule %s needs the approval of %s for %s", d.Approval.Rule, d.Approval, d.Capability)
	case d.ByDeny && d.Capability == 0:
		s = "denied by rule " + d.Rule.String()
	case d.ByDeny:
		s = d.Capability.String() + " denied by rule " + d.Rule.String()
	case d.unlisted && d.Capability == ForwardRemote:
		return fmt.Sprintf("rule %s does not list that port", d.Rule)
	case d.unlisted && d.Capability == Exec:
		return fmt.Sprintf("rule %s does not list that command", d.Rule)
	case d.unlisted:
		return fmt.Sprintf("rule %s does not list that destination", d.Rule)
	case d.Rule != RuleRef{}:
		return fmt.Sprintf("rule %s does not allow %s", d.Rule, d.Capability)
	case d.User == "" || d.Target == "":
		return "no rule allows this (default deny)"
	case d.Capability != 0:
		return fmt.Sprintf("no rule allows %s %s on %s (default deny)", d.User, d.Capability, d.Target)
	default:
		return fmt.Sprintf("no rule allows %s on %s (default deny)", d.User, d.Target) + d.missed()
	}
	if d.Because != "" {
		s += ": " + d.Because
	}
	return s
}

// missed tells what a rule lacked to match, if that is something to wait for or
// to do.
func (d *Denied) missed() string {
	switch d.nearBy {
	case ClauseWhen, ClauseValid:
		return fmt.Sprintf("; rule %s would at another time", d.near.ref)
	case ClauseFrom: // which one isn't told: whoever asks may be a thief
		return fmt.Sprintf("; rule %s would, from certain networks only", d.near.ref)
	case ClauseMFA:
		return fmt.Sprintf("; rule %s would after a fresh login with what it asks for", d.near.ref)
	case ClauseApproval:
		return fmt.Sprintf("; rule %s would after an approval, which %s", d.near.ref, d.near.approval.lacks(d.User, d.User))
	}
	return ""
}

// Grant is what the policy gives one user on one target. Only [Policy.Decide]
// makes one; the zero Grant permits nothing. It is immutable and may be copied.
type Grant struct{ d *decision }

type decision struct {
	policy       *Policy
	request      Request
	target       *Target
	capabilities Capabilities
	allow, deny  []*rule // matching ones, in file order
	waiting      []*rule // allow rules that match but for an approval, in file order
	near         *rule   // the first allow rule that failed by nearBy alone
	nearBy       Clause
	record       Record
	recordInput  bool
	complete     bool
	bulk         Bulk
	limits       Limits
}

// Valid reports whether g permits anything at all.
func (g Grant) Valid() bool { return g.d != nil }

// User is whom the grant is for, "" for the zero Grant.
func (g Grant) User() string {
	if g.d == nil {
		return ""
	}
	return g.d.request.User
}

// Target is what the grant is for, nil for the zero Grant.
func (g Grant) Target() *Target {
	if g.d == nil {
		return nil
	}
	return g.d.target
}

// Login is the account on the target; see [Target.Login].
func (g Grant) Login(asked string) string {
	if g.d == nil {
		return ""
	}
	return g.d.target.Login(g.d.request.User, asked)
}

// Capabilities are all that the grant allows.
func (g Grant) Capabilities() Capabilities {
	if g.d == nil {
		return 0
	}
	return g.d.capabilities
}

// Allows reports whether the grant has c.
func (g Grant) Allows(c Capability) bool { return g.Capabilities().Has(c) }

// Refusal explains why g lacks c: the deny rule that took it away, or the rule
// that the grant rests on and that doesn't list it. It is never nil; asked
// about a capability that is there, it refuses what that capability doesn't
// cover: a destination or a command that isn't listed.
func (g Grant) Refusal(c Capability) *Denied {
	if g.d == nil {
		return &Denied{Capability: c}
	}
	no := &Denied{User: g.d.request.User, Target: g.d.target.FullName(), Capability: c}
	for _, r := range g.d.deny {
		if r.may.Has(c) {
			return no.by(r)
		}
	}
	if !g.Allows(c) || listed(c) {
		no.Approval = g.d.quorumFor(c)
	}
	if g.Allows(c) {
		no.Rule, no.unlisted = g.RuleFor(c), true
	} else {
		no.Rule = g.Rule()
	}
	return no
}

// AllowsExec reports whether command, as the client sent it, may be run: by a
// rule that gives exec without a list, or lists exactly that command.
func (g Grant) AllowsExec(command string) bool {
	return g.Allows(Exec) && slices.ContainsFunc(g.d.allow, func(r *rule) bool {
		return r.may.Has(Exec) && (r.commands == nil || slices.Contains(r.commands, command))
	})
}

// ListsExec reports whether a rule spells out exactly that command, and it may be
// run: whoever wrote it knew what it does.
func (g Grant) ListsExec(command string) bool {
	return g.Allows(Exec) && slices.ContainsFunc(g.d.allow, func(r *rule) bool { return r.may.Has(Exec) && slices.Contains(r.commands, command) })
}

// AllowsForward reports whether a direct-tcpip to host and port, as seen from
// the target, may be opened. Under a full recording only listed destinations
// may be. A TCP target has no forwards of its own: it is the destination.
func (g Grant) AllowsForward(host string, port int) bool {
	return g.admits(ForwardLocal, func(d destination) bool { return d.admits(host, port) })
}

// AllowsStreamLocal is AllowsForward for a direct-streamlocal to a Unix socket.
func (g Grant) AllowsStreamLocal(name string) bool {
	return g.admits(ForwardLocal, func(d destination) bool { return d.admitsSocket(name) })
}

// AllowsListen reports whether a tcpip-forward may listen on port of the
// target; port 0 asks the target to choose.
func (g Grant) AllowsListen(port int) bool {
	return g.admits(ForwardRemote, func(d destination) bool { return d.admitsListen(port) })
}

// AllowsStreamListen is AllowsListen for a streamlocal-forward.
func (g Grant) AllowsStreamListen(name string) bool {
	return g.admits(ForwardRemote, func(d destination) bool { return d.admitsSocket(name) })
}

func (g Grant) admits(c Capability, want func(destination) bool) bool {
	if !g.Allows(c) || g.d.target.Kind != SSH {
		return false
	}
	for _, r := range g.d.allow {
		if !r.may.Has(c) {
			continue
		}
		if slices.ContainsFunc(r.destinations(c), func(d destination) bool {
			return (g.d.record != Full || !d.wildcard()) && want(d)
		}) {
			return true
		}
	}
	return false
}

// Record is how much of a session has to be kept. The zero Grant says Full.
func (g Grant) Record() Record {
	if g.d == nil {
		return Full
	}
	return g.d.record
}

// RecordInput reports whether what the user types is recorded too.
func (g Grant) RecordInput() bool { return g.d != nil && g.d.recordInput }

// RecordComplete reports whether a session has to end rather than go on with less
// than everything kept, once its user's share of recordings is used up.
func (g Grant) RecordComplete() bool { return g.d != nil && g.d.complete }

// Bulk is what is kept of output without a terminal. The zero Grant keeps all.
func (g Grant) Bulk() Bulk {
	if g.d == nil {
		return Bulk{Then: KeepBeyond}
	}
	return g.d.bulk
}

// Rule is the first matching allow rule in file and line order.
func (g Grant) Rule() RuleRef {
	if g.d == nil {
		return RuleRef{}
	}
	return g.d.allow[0].ref
}

// RuleFor is the first matching rule that gives c, zero if g hasn't got it.
func (g Grant) RuleFor(c Capability) RuleRef {
	if g.Allows(c) {
		for _, r := range g.d.allow {
			if r.may.Has(c) {
				return r.ref
			}
		}
	}
	return RuleRef{}
}

// PolicyHash is the hash of the policy that decided; see [Policy.Hash].
func (g Grant) PolicyHash() string {
	if g.d == nil {
		return ""
	}
	return g.d.policy.hash
}

// Because is the first matching allow rule's reason, may be "".
func (g Grant) Because() string {
	if g.d == nil {
		return ""
	}
	return g.d.allow[0].because
}

// Limits are the most generous ones of the matching rules.
func (g Grant) Limits() Limits {
	if g.d == nil {
		return Limits{}
	}
	return g.d.limits
}

// Egress is how many bytes the lab lets go towards one user in a day, over all
// its targets; 0 is no limit.
func (g Grant) Egress() int64 {
	if g.d == nil || g.d.target.lab == nil {
		return 0
	}
	return g.d.target.lab.egress
}

// Approval is the one that g rests on: of the first rule with approval that
// gives something no rule gives without. Its By are who approved. It is zero
// where g needs none.
func (g Grant) Approval() Quorum {
	if g.d == nil {
		return Quorum{}
	}
	var free Capabilities
	for _, r := range g.d.allow {
		if r.approval == nil {
			free |= r.may
		}
	}
	for _, r := range g.d.allow {
		if r.approval != nil && r.may&g.d.capabilities&^free != 0 {
			return r.quorum(&g.d.request)
		}
	}
	return Quorum{}
}

// As makes a *refusal.Error of d for errors.As, with the text that users read.
func (d *Denied) As(target any) bool {
	e, ok := target.(**refusal.Error)
	if ok {
		*e = &refusal.Error{Code: refusal.Denied, Text: d.Told(), Cause: d}
	}
	return ok
}
