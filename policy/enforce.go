package policy

import (
	"slices"
	"strings"

	"entry/audit/plain"
	"entry/policy/strict"
)

// transfers are the capabilities that move files. A deny rule can take them from
// file transfer programs; from whoever has a shell it can't, because a terminal
// takes and shows whatever is typed and printed.
var transfers = capabilitiesOf(Upload, Download)

// Unenforced is what of upload and download g lacks, though its shell, or an exec
// of any command, moves data all the same.
func (g Grant) Unenforced() Capabilities {
	if g.free() == 0 {
		return 0
	}
	return transfers &^ g.d.capabilities
}

// free is what g has by which anything can be run.
func (g Grant) free() (free Capabilities) {
	if g.d == nil {
		return 0
	}
	for _, r := range g.d.allow {
		free |= r.free()
	}
	return free & g.d.capabilities
}

// free is what r gives by which anything can be run.
func (r *rule) free() Capabilities {
	free := r.may & capabilitiesOf(Shell, Exec)
	if r.deny {
		return 0
	}
	if r.commands != nil {
		free &^= capabilitiesOf(Exec)
	}
	return free
}

// Unenforceable are, as errors, the warnings of p about what its rules promise and
// can't keep: deny rules of upload or download for somebody who keeps a shell or a
// free exec, unless they are marked as advice, and lists of commands that another
// rule's env undoes. A server starts with such a policy, which an older one may have
// taken; nobody puts one in force anew.
func (p *Policy) Unenforceable() strict.Problems {
	var out strict.Problems
	for _, w := range p.warnings {
		if w.Code == codeHalfDenied || w.Code == codeEnvAcross {
			w.Warning = false
			out = append(out, w)
		}
	}
	return out
}

// UploadNote says what the right to upload alone rests on, in one line, where rules let files
// in and give no way to run anything; "" where none does.
func (p *Policy) UploadNote() string {
	var names []string
	for _, r := range p.rules {
		if !r.deny && r.may.Has(Upload) && r.free() == 0 {
			names = append(names, r.ref.Name)
		}
	}
	if len(names) == 0 {
		return ""
	}
	return "upload without a shell, as by " + plain.List(names, 3) + ", holds only where the account's start files (.bashrc, .ssh/rc, bin …) aren't its user's: " +
		"who can write them runs programs there, and what a manifest says is their word; internal-sftp with ForceCommand starts by no shell"
}

// checkDenials warns of deny rules that can't keep what they promise.
func (b *builder) checkDenials(p *Policy) {
	memo := map[[2]*subject]string{}
	for i, d := range p.rules {
		denied := d.may & transfers
		if !d.deny || d.whole || d.advisory || denied == 0 {
			continue
		}
		if r, who, t := p.lettingAll(d, memo); r != nil {
			at := b.rules[i].fields.Get("may")
			at.Warnf(codeHalfDenied, "%s can't be denied: by rule %s, %s keeps %s on %s, and whatever can be typed or shown there can be carried; deny shell and exec too, or say that it is advice: advisory: true",
				words(denied), r.ref, who, words(r.free()&^d.may), t.FullName())
		}
	}
}

// words is "upload and download", either "upload or download".
func words(s Capabilities) string  { return strings.ReplaceAll(s.String(), ", ", " and ") }
func either(s Capabilities) string { return strings.ReplaceAll(s.String(), ", ", " or ") }

// lettingAll is a rule that gives somebody of whom d speaks the means to run
// anything on a target of which d speaks, and that no deny rule takes away; nil if
// there is none.
func (p *Policy) lettingAll(d *rule, memo map[[2]*subject]string) (r *rule, who string, on *Target) {
	targets := d.opens()
	if d.everywhere {
		targets = p.sorted
	}
	for _, t := range targets {
		if t.Kind != SSH {
			continue
		}
		for _, r := range p.speaking(t) {
			if r.free()&^d.may == 0 {
				continue
			}
			if who := together(r, d, memo); who != "" && !p.takenBeside(r, d) {
				return r, who, t
			}
		}
	}
	return nil, "", nil
}

// takenBeside reports whether deny rules take what runs anything away wherever r
// and d meet, for all that can be told from the rules one by one.
func (p *Policy) takenBeside(r, d *rule) bool {
	left := r.free() &^ d.may
	for _, o := range p.rules {
		if o.deny && o != d && o.may&left != 0 &&
			(o.forAllOf(r) || o.forAllOf(d)) && (o.openAllOf(r) || o.openAllOf(d)) &&
			(o.covers(&r.conditions) || o.covers(&d.conditions)) {
			left &^= o.may
		}
	}
	return left == 0
}

// together is somebody of whom both an allow and a deny rule speak, in words, ""
// if none is known.
func together(allow, deny *rule, memo map[[2]*subject]string) string {
	if !allow.forSomebody() {
		return ""
	}
	for _, s := range allow.who {
		switch {
		case s.realm && (deny.everyone || slices.ContainsFunc(deny.who, func(o *subject) bool { return o.realm && (o.includes(s) || s.includes(o)) })):
			return "whoever is of " + s.name
		case !s.realm && deny.everyone && len(s.users) > 0:
			return s.users[0]
		}
	}
	return common(allow, deny, memo)
}
