package policy

import (
	"net/netip"
	"slices"
	"strings"
	"unicode/utf8"

	"entry/policy/strict"
)

// rule is one rule of the policy, in the order of files and lines.
type rule struct {
	ref   RuleRef
	place strict.Place
	deny  bool
	// may is what the rule gives, with what that implies, or takes away; whole
	// marks a deny rule that takes everything.
	may   Capabilities
	whole bool
	// advisory marks a deny rule of upload or download as advice to those who
	// have a shell: it can't be enforced there.
	advisory bool

	who []*subject
	// everyone and everywhere are deny rules without `who` or `where`.
	everyone, everywhere bool
	targets              []*Target
	targetLabs           []*lab

	conditions
	commands      []string // the ones exec is limited to; nil for any
	env           []string // variables that clients may set; nil for usualEnv
	local, remote []destination
	record        Record
	recordInput   bool
	complete      bool // the recording
	bulk          Bulk
	limits        Limits
	because       string

	// lapsed is what to say of r once its period is over.
	lapsed strict.Problem
}

// maxBecause keeps a reason on one line of a refusal, in characters.
const maxBecause = 200

// anywhere is what a forward capability without a list of destinations admits;
// a full recording takes none of it.
var anywhere = []destination{{any: true}}

// destinations are what r admits for the forward capability c.
func (r *rule) destinations(c Capability) []destination {
	if c == ForwardRemote {
		return r.remote
	}
	return r.local
}

// opensTCP reports whether r lets users through to a target of kind tcp.
func (r *rule) opensTCP() bool { return r.record == Metadata && r.may.Has(ForwardLocal) }

func (b *builder) readRule(v strict.Value) {
	f := v.Fields("name", "deny", "advisory", "who", "where", "from", "when", "valid", "mfa", "may", "exec", "forward_local", "forward_remote",
		"env", "record", "record_input", "record_complete", "bulk", "limits", "approval", "because")
	r := &rule{ref: RuleRef{File: v.File(), Line: v.Line()}, place: v.Place(), record: Full}
	b.rules = append(b.rules, ruleAt{r, v, f})

	name := f.Need("name")
	if r.ref.Name = name.Text(); r.ref.Name != "" || name.Present() && name.Raw() == "" {
		if !ruleForm.MatchString(r.ref.Name) {
			name.Errorf(codeName, "rule %q: a name is 1 to 64 of a-z, 0-9, dot, underscore and dash", r.ref.Name)
		} else if first, dup := b.ruleNames[r.ref.Name]; dup {
			name.Errorf(codeTwice, "rule %q is already defined at %s", r.ref.Name, first.Place())
		} else {
			b.ruleNames[r.ref.Name] = name
		}
	}
	r.deny = f.Get("deny").Bool(false)
	r.from = readNetworks(f.Get("from"))
	r.times = b.readTimes(f.Get("when"), f.Get("valid"))
	r.checkTimes(f.Get("when"), f.Get("valid"))
	r.may = readCapabilities(f.Get("may"))
	if because := f.Get("because"); because.Present() {
		r.because = because.Text()
		if utf8.RuneCountInString(r.because) > maxBecause {
			because.Errorf(strict.CodeValue, "the reason is longer than %d characters", maxBecause)
		}
	}
	if r.deny {
		b.readDeny(r, f)
		return
	}
	if !f.Get("may").Present() {
		f.Need("may")
	}
	if v := f.Get("advisory"); v.Present() {
		v.Errorf(codeMisplaced, "%q has no effect in a rule that allows", "advisory")
	}
	f.Need("who")
	f.Need("where")
	r.record = readRecord(f.Get("record"))
	r.recordInput = f.Get("record_input").Bool(false)
	if r.recordInput && r.record != Full {
		f.Get("record_input").Errorf(codeMisplaced, "record_input needs record: full")
	}
	r.complete = f.Get("record_complete").Bool(false)
	if r.complete && r.record != Full {
		f.Get("record_complete").Errorf(codeMisplaced, "record_complete needs record: full")
	}
	r.bulk = readBulk(f.Get("bulk"), r.record)
	r.mfa = readMFA(f.Get("mfa"))
	r.limits = readLimits(f.Get("limits"))
	r.commands = readCommands(f.Get("exec"), r.may)
	r.env = readEnv(r, f.Get("env"))
}

func (b *builder) readDeny(r *rule, f strict.Fields) {
	r.whole = !f.Get("may").Present()
	if r.whole {
		r.may = AllCapabilities
	}
	for _, key := range []string{"mfa", "exec", "forward_local", "forward_remote", "env", "record", "record_input", "record_complete", "bulk", "limits", "approval"} {
		if v := f.Get(key); v.Present() {
			v.Errorf(codeMisplaced, "%q has no effect in a deny rule", key)
		}
	}
	if r.advisory = f.Get("advisory").Bool(false); r.advisory && (r.whole || r.may&transfers == 0) {
		f.Get("advisory").Errorf(codeMisplaced, "advisory is for rules that deny upload or download")
	}
}

// readRecord reads a level of recording, Full if v says nothing.
func readRecord(v strict.Value) Record {
	return [...]Record{Full, Manifest, Metadata}[v.Choice("full", "manifest", "metadata")]
}

func readCapabilities(v strict.Value) Capabilities {
	var set Capabilities
	for _, item := range v.SomeItems() {
		s, ok := item.Want("a capability")
		if !ok {
			continue
		}
		c, ok := ParseCapability(s)
		switch {
		case !ok:
			names := capabilityNames[Shell:]
			hint := strict.DidYouMean(s, names)
			if hint == "" {
				hint = "; there are " + strings.Join(names, ", ")
			}
			item.Errorf(codeCapability, "%q is no capability%s", s, hint)
		case set.Has(c):
			item.Errorf(codeTwice, "%q stands in this list twice", s)
		default:
			set = set.With(c)
		}
	}
	return set
}

func readNetworks(v strict.Value) []netip.Prefix {
	var out []netip.Prefix
	for _, item := range v.SomeItems() {
		network, ok := item.Network()
		switch {
		case !ok:
		case slices.Contains(out, network):
			item.Errorf(codeTwice, "%s stands in this list twice", network)
		default:
			out = append(out, network)
		}
	}
	return out
}

// link resolves what a rule refers to, once all files are read, and checks what
// depends on it.
func (b *builder) link(ra ruleAt) {
	r, f := ra.rule, ra.fields
	before := b.problemCount()
	b.linkWho(r, f.Get("who"))
	b.linkWhere(r, f.Get("where"))
	if !r.deny {
		r.approval = b.readApproval(f.Get("approval"))
		b.linkForwards(r, f)
	}
	if r.free() != 0 { // whoever sees the output of anything can keep it
		r.may = r.may.With(Download)
	}
	if b.problemCount() == before {
		b.checkEffect(ra)
	}
}

// forSomebody reports whether r speaks of anybody at all.
func (r *rule) forSomebody() bool {
	return r.everyone || slices.ContainsFunc(r.who, func(s *subject) bool { return s.realm || len(s.users) > 0 })
}

// checkEffect warns of a rule that speaks of nobody, or of nothing.
func (b *builder) checkEffect(ra ruleAt) {
	r := ra.rule
	who, where := ra.fields.Get("who"), ra.fields.Get("where")
	if who.Present() && !r.forSomebody() {
		who.Warnf(codeMatchesNobody, "rule %s is for nobody: no user is named, and the labs and groups are empty", r.ref.Name)
	}
	if where.Present() && len(r.targets) == 0 && !slices.ContainsFunc(r.targetLabs, func(l *lab) bool { return len(l.targets) > 0 }) {
		where.Warnf(codeMatchesNobody, "rule %s opens nothing: no target is named, and the labs have none", r.ref.Name)
	}
}
