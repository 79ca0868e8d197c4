package policy

import (
	"fmt"
	"net/netip"
	"strings"
)

// A policy's tests say in the files what has to come out. They run before every
// load; one that fails refuses it.

type test struct {
	request     Request
	fields      Fields
	may, mayNot Capabilities
	denied      bool
	record      Record
}

func (b *builder) readTest(v Value) {
	f := v.Fields("user", "target", "from", "may", "may_not", "denied", "record")
	t := test{fields: f}
	user := f.Need("user")
	t.request.User = user.Text()
	if err := ValidUser(t.request.User); err != nil && t.request.User != "" {
		user.Errorf(codeName, "%q: %v", t.request.User, err)
	}
	if target := f.Need("target"); target.Present() {
		if name, ok := target.text(`a target such as "home.tinker"`); ok {
			t.request.Target = b.findTarget(target, name)
		}
	}
	if text := f.Get("from").Text(); text != "" {
		addr, err := netip.ParseAddr(text)
		if err != nil {
			f.Get("from").Errorf(CodeValue, "%q is no address", text)
		}
		t.request.Source = addr
	}
	t.may, t.mayNot = readCapabilities(f.Get("may")), readCapabilities(f.Get("may_not"))
	t.denied = f.Get("denied").Bool(false)
	t.record = readRecord(f.Get("record"))
	if both := t.may & t.mayNot; both != 0 {
		f.Get("may_not").Errorf(codeTestForm, "%s can't be expected both to be allowed and not", both)
	}
	switch allowing := f.Get("may").Present() || f.Get("may_not").Present() || f.Get("record").Present(); {
	case t.denied && allowing:
		f.Get("denied").Errorf(codeTestForm, "denied: true leaves nothing else to expect")
	case !t.denied && !allowing && v.Present() && v.node.Kind == mappingNode:
		v.Errorf(codeTestForm, "the test expects nothing; say may, may_not, record or denied: true")
	}
	b.tests = append(b.tests, t)
}

// run decides and reports, at the expectation that isn't met, what was decided
// instead and by which rule. A user who is denied altogether has, rightly, none
// of what may_not lists.
func (t test) run(p *Policy) {
	g, err := p.Decide(t.request)
	who := fmt.Sprintf("%s on %s", t.request.User, t.request.Target.FullName())
	if t.denied && err == nil {
		t.fields.Get("denied").Errorf(codeTest, "test failed: expected %s to be denied; allowed %s by %s", who, g.Capabilities(), rulesOf(g))
	}
	if err != nil && t.may != 0 {
		t.fields.Get("may").Errorf(codeTest, "test failed: expected %s to have %s; %v", who, t.may, err)
	}
	for _, c := range t.may.List() {
		if err == nil && !g.Allows(c) {
			t.fields.Get("may").Errorf(codeTest, "test failed: expected %s to have %s; %v", who, c, g.Refusal(c))
		}
	}
	for _, c := range t.mayNot.List() {
		if g.Allows(c) {
			t.fields.Get("may_not").Errorf(codeTest, "test failed: expected %s not to have %s; allowed by rule %s", who, c, g.RuleFor(c))
		}
	}
	record := t.fields.Get("record")
	switch {
	case !record.Present():
	case err != nil:
		record.Errorf(codeTest, "test failed: expected a %s recording of %s; %v", t.record, who, err)
	case g.Record() != t.record:
		record.Errorf(codeTest, "test failed: expected a %s recording of %s; %s by %s", t.record, who, g.Record(), rulesOf(g))
	}
}

// rulesOf names the rules that a grant rests on.
func rulesOf(g Grant) string {
	var names []string
	for _, r := range g.d.allow {
		names = append(names, r.ref.String())
	}
	if len(names) == 1 {
		return "rule " + names[0]
	}
	return "rules " + strings.Join(names, ", ")
}
