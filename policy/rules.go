package policy

import (
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// rule is one rule of the policy, in the order of files and lines.
type rule struct {
	ref  RuleRef
	deny bool
	// may is what the rule gives, with what that implies, or takes away; whole
	// marks a deny rule that takes everything.
	may   Capabilities
	whole bool

	who []*subject
	// everyone and everywhere are deny rules without `who` or `where`.
	everyone, everywhere bool
	targets              []*Target
	targetLabs           []*lab

	from          []netip.Prefix
	local, remote []destination
	record        Record
	recordInput   bool
	limits        Limits
	because       string
}

// subject is one entry of somebody's `who`: a user, a lab's members or a group.
// Rules share them, so that a rule for a lab of thousands costs one entry.
type subject struct {
	name  string // "alice", "lab tinker", "group tinker/stewards"
	users []string
	rules []int32 // the rules for it, in increasing order
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

// matchesSource reports whether r speaks of connections from source. An
// unknown source is outside every network an allow rule lists and inside every
// one that a deny rule lists.
func (r *rule) matchesSource(source netip.Addr) bool {
	if len(r.from) == 0 {
		return true
	}
	if !source.IsValid() {
		return r.deny
	}
	source = source.Unmap().WithZone("")
	for _, network := range r.from {
		if network.Contains(source) {
			return true
		}
	}
	return false
}

func (b *builder) readRule(v Value) {
	f := v.Fields("name", "deny", "who", "where", "from", "may", "forward_local", "forward_remote",
		"record", "record_input", "limits", "because")
	r := &rule{ref: RuleRef{File: v.file(), Line: v.Line()}, record: Full}
	b.rules = append(b.rules, ruleAt{r, v, f})

	name := f.Need("name")
	if r.ref.Name = name.Text(); r.ref.Name != "" || name.Present() && name.node.Value == "" {
		if !ruleForm.MatchString(r.ref.Name) {
			name.Errorf(codeName, "rule %q: a name is 1 to 64 of a-z, 0-9, dot, underscore and dash", r.ref.Name)
		} else if first, dup := b.ruleNames[r.ref.Name]; dup {
			name.Errorf(codeTwice, "rule %q is already defined at %s", r.ref.Name, first.place())
		} else {
			b.ruleNames[r.ref.Name] = name
		}
	}
	r.deny = f.Get("deny").Bool(false)
	r.from = readNetworks(f.Get("from"))
	r.may = readCapabilities(f.Get("may"))
	if because := f.Get("because"); because.Present() {
		r.because = because.Text()
		if utf8.RuneCountInString(r.because) > maxBecause {
			because.Errorf(CodeValue, "the reason is longer than %d characters", maxBecause)
		}
	}
	if r.deny {
		b.readDeny(r, f)
		return
	}
	if !f.Get("may").Present() {
		f.Need("may")
	}
	f.Need("who")
	f.Need("where")
	r.record = readRecord(f.Get("record"))
	r.recordInput = f.Get("record_input").Bool(false)
	if r.recordInput && r.record != Full {
		f.Get("record_input").Errorf(codeMisplaced, "record_input needs record: full")
	}
	limits := f.Get("limits").Fields("session", "idle", "concurrent")
	r.limits.Session = limits.Get("session").Duration(0, time.Second, 31*24*time.Hour)
	r.limits.Idle = limits.Get("idle").Duration(0, time.Second, 31*24*time.Hour)
	r.limits.Concurrent = int(limits.Get("concurrent").Int(0, 1, 10_000))
}

func (b *builder) readDeny(r *rule, f Fields) {
	r.whole = !f.Get("may").Present()
	if r.whole {
		r.may = allCapabilities
	}
	for _, key := range []string{"forward_local", "forward_remote", "record", "record_input", "limits"} {
		if v := f.Get(key); v.Present() {
			v.Errorf(codeMisplaced, "%q has no effect in a deny rule", key)
		}
	}
	if !r.whole && r.may.Has(Download) && !(r.may.Has(Shell) && r.may.Has(Exec)) {
		f.Get("may").Warnf(codeHalfDenied, "download is denied but not shell and exec: what a terminal shows can still be kept")
	}
}

// readRecord reads a level of recording, Full if v says nothing.
func readRecord(v Value) Record {
	return [...]Record{Full, Manifest, Metadata}[v.Choice("full", "manifest", "metadata")]
}

func readCapabilities(v Value) Capabilities {
	var set Capabilities
	for _, item := range v.SomeItems() {
		s, ok := item.text("a capability")
		if !ok {
			continue
		}
		c, ok := parseCapability(s)
		switch {
		case !ok:
			names := capabilityNames[Shell:]
			if near := nearest(s, names); near != "" {
				item.Errorf(codeCapability, "%q is no capability; did you mean %q?", s, near)
			} else {
				item.Errorf(codeCapability, "%q is no capability; there are %s", s, strings.Join(names, ", "))
			}
		case set.Has(c):
			item.Errorf(codeTwice, "%q stands in this list twice", s)
		default:
			set = set.With(c)
		}
	}
	return set
}

func readNetworks(v Value) []netip.Prefix {
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
	if r.deny {
		return
	}
	b.linkForwards(r, f)
	r.may = r.may.implied()
	if b.problemCount() == before {
		b.checkEffect(ra)
	}
}

func (b *builder) linkWho(r *rule, who Value) {
	r.everyone = r.deny && !who.Present()
	f := who.Fields("users", "labs", "groups")
	for _, user := range readUsers(f.Get("users").Items()) {
		r.who = append(r.who, b.subject(user, []string{user}))
	}
	for _, item := range f.Get("labs").Items() {
		if l := b.findLab(item); l != nil {
			r.who = appendSubject(r.who, item, b.subject("lab "+l.name, l.members))
		}
	}
	for _, item := range f.Get("groups").Items() {
		if s := b.findGroup(item); s != nil {
			r.who = appendSubject(r.who, item, s)
		}
	}
	if who.Present() && who.node.Kind == mappingNode && len(who.node.Content) == 0 {
		who.Errorf(CodeMissing, "say whom the rule is for: users, labs or groups")
	}
}

// subject is the one of that name, made when it is first asked for.
func (b *builder) subject(name string, users []string) *subject {
	s := b.subjects[name]
	if s == nil {
		s = &subject{name: name, users: users}
		b.subjects[name] = s
	}
	return s
}

func appendSubject(who []*subject, at Value, s *subject) []*subject {
	if slices.Contains(who, s) {
		at.Errorf(codeTwice, "%q stands in this list twice", at.node.Value)
		return who
	}
	return append(who, s)
}

// findGroup reads "lab/group", which has to exist.
func (b *builder) findGroup(v Value) *subject {
	s, ok := v.text(`a group such as "tinker/stewards"`)
	if !ok {
		return nil
	}
	labName, groupName, ok := strings.Cut(s, "/")
	if !ok {
		v.Errorf(codeUnknownRef, `%q is no group; want "lab/group"`, s)
		return nil
	}
	l := b.labs[labName]
	if l == nil {
		v.Errorf(codeUnknownRef, "no file defines lab %q%s", labName, b.nearLab(labName))
		return nil
	}
	users, ok := l.group(groupName)
	if !ok {
		v.Errorf(codeUnknownRef, "lab %s has no group %q%s", labName, groupName, didYouMean(groupName, slices.Sorted(maps.Keys(l.groups))))
		return nil
	}
	return b.subject("group "+s, users)
}

func (b *builder) linkWhere(r *rule, where Value) {
	r.everywhere = r.deny && !where.Present()
	f := where.Fields("targets", "labs")
	for _, item := range f.Get("targets").Items() {
		s, ok := item.text(`a target such as "home.tinker"`)
		if !ok {
			continue
		}
		t := b.findTarget(item, s)
		if t == nil {
			continue
		}
		if slices.Contains(r.targets, t) {
			item.Errorf(codeTwice, "%q stands in this list twice", s)
			continue
		}
		r.targets = append(r.targets, t)
		if t.Kind == TCP && !r.deny {
			if !r.may.Has(ForwardLocal) {
				item.Errorf(codeMisplaced, "%s is a target of kind tcp, which needs forward-local under may", s)
			}
			if r.record != Metadata {
				item.Errorf(codeTCPRecord, "%s is a target of kind tcp, of which only metadata can be recorded; give it a rule of its own with record: metadata", s)
			}
		}
	}
	for _, item := range f.Get("labs").Items() {
		l := b.findLab(item)
		switch {
		case l == nil:
		case slices.Contains(r.targetLabs, l):
			item.Errorf(codeTwice, "%q stands in this list twice", l.name)
		default:
			r.targetLabs = append(r.targetLabs, l)
		}
	}
	if where.Present() && where.node.Kind == mappingNode && len(where.node.Content) == 0 {
		where.Errorf(CodeMissing, "say what the rule opens: targets or labs")
	}
}

// opens are the targets that an allow rule lets its users through to: those it
// names, and of the labs it names all but the ones of kind tcp that it can't.
func (r *rule) opens() []*Target {
	out := slices.Clone(r.targets)
	for _, l := range r.targetLabs {
		for _, t := range l.targets {
			if t.Kind == SSH || r.opensTCP() {
				out = append(out, t)
			}
		}
	}
	return out
}

func (b *builder) linkForwards(r *rule, f Fields) {
	local, remote := f.Get("forward_local"), f.Get("forward_remote")
	r.local = b.readDestinations(r, local, ForwardLocal, readDestination)
	r.remote = b.readDestinations(r, remote, ForwardRemote, readListen)
	// TCP targets are destinations themselves; rules for them alone list none.
	if !slices.ContainsFunc(r.opens(), func(t *Target) bool { return t.Kind == SSH }) {
		return
	}
	if r.may.Has(ForwardLocal) && !local.Present() {
		if r.record == Full {
			f.Get("may").Errorf(CodeMissing, "forward-local under record: full needs forward_local, the destinations; only listed ones can be admitted")
		}
		r.local = anywhere
	}
	if r.may.Has(ForwardRemote) && !remote.Present() {
		f.Get("may").Errorf(CodeMissing, "forward-remote needs forward_remote, the ports on the target (0 is one that the target chooses)")
	}
}

func (b *builder) readDestinations(r *rule, v Value, c Capability, read func(Value) (destination, bool)) []destination {
	if v.Present() && !r.may.Has(c) {
		v.Errorf(codeMisplaced, "this has no effect without %s under may", c)
	}
	var out []destination
	for _, item := range v.SomeItems() {
		if item.node.Kind != scalarNode {
			item.Errorf(CodeType, "want a destination or a port, found %s", item.found())
			continue
		}
		d, ok := read(item)
		switch {
		case !ok:
		case slices.Contains(out, d):
			item.Errorf(codeTwice, "%s stands in this list twice", item.node.Value)
		case d.wildcard() && r.record == Full:
			item.Errorf(codeWildcardFull, "a wildcard under record: full: what isn't listed can't be admitted where everything is recorded; list it, or choose record: manifest or metadata")
		default:
			if c == ForwardLocal && d.port == 22 && r.record == Full {
				item.Warnf(codeNestedSSH, "SSH inside a forward is refused under record: full; make the machine a target instead")
			}
			out = append(out, d)
		}
	}
	return out
}

// checkEffect warns of a rule that gives nothing to anybody.
func (b *builder) checkEffect(ra ruleAt) {
	r := ra.rule
	if !ra.fields.Get("who").Present() || !ra.fields.Get("where").Present() {
		return // reported already
	}
	if !slices.ContainsFunc(r.who, func(s *subject) bool { return len(s.users) > 0 }) {
		ra.fields.Get("who").Warnf(codeMatchesNobody, "rule %s is for nobody: no user is named, and the labs and groups are empty", r.ref.Name)
	}
	if len(r.targets) == 0 && !slices.ContainsFunc(r.targetLabs, func(l *lab) bool { return len(l.targets) > 0 }) {
		ra.fields.Get("where").Warnf(codeMatchesNobody, "rule %s opens nothing: no target is named, and the labs have none", r.ref.Name)
	}
}
