package policy

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"entry/policy/strict"
)

// A policy's tests say in the files what has to come out. They run before every
// load; one that fails refuses it. They must come out the same on every day, so
// a test without `at` is asked at no time: rules with windows or a period can't
// allow anything then.

type test struct {
	Supposition
	fields      strict.Fields
	may, mayNot Capabilities
	run, runNot []string
	denied      bool
	approval    bool // expected to be missing
	record      Record
}

func (b *builder) readTest(v strict.Value) {
	f := v.Fields("user", "realm", "realm_groups", "target", "from", "at", "zone", "method", "code_age", "approved_by",
		"may", "may_not", "run", "run_not", "denied", "approval", "record")
	t := test{fields: f}
	b.readSituation(&t, f)
	t.may, t.mayNot = readCapabilities(f.Get("may")), readCapabilities(f.Get("may_not"))
	t.run, t.runNot = readCommands(f.Get("run"), AllCapabilities&^capabilitiesOf(Shell)), readCommands(f.Get("run_not"), AllCapabilities&^capabilitiesOf(Shell))
	t.denied = f.Get("denied").Bool(false)
	t.approval = f.Get("approval").Bool(false)
	t.record = readRecord(f.Get("record"))
	if both := t.may & t.mayNot; both != 0 {
		f.Get("may_not").Errorf(codeTestForm, "%s can't be expected both to be allowed and not", both)
	}
	allowing := false
	for _, key := range []string{"may", "may_not", "run", "run_not", "record"} {
		allowing = allowing || f.Get(key).Present()
	}
	switch {
	case t.denied && (allowing || t.approval):
		f.Get("denied").Errorf(codeTestForm, "denied: true leaves nothing else to expect")
	case t.approval && allowing:
		f.Get("approval").Errorf(codeTestForm, "approval: true expects that nothing is allowed before; it leaves nothing else to expect")
	case !t.denied && !t.approval && !allowing && v.IsMapping():
		v.Errorf(codeTestForm, "the test expects nothing; say may, may_not, run, run_not, record, approval: true or denied: true")
	}
	b.tests = append(b.tests, t)
}

// readSituation reads what a test asks.
func (b *builder) readSituation(t *test, f strict.Fields) {
	user := f.Need("user")
	t.User = user.Text()
	if err := ValidUser(t.User); err != nil && t.User != "" {
		user.Errorf(codeName, "%q: %v", t.User, err)
	}
	if target := f.Need("target"); target.Present() {
		if name, ok := target.Want(`a target such as "home.tinker"`); ok {
			t.Target = b.findTarget(target, name)
		}
	}
	if text := f.Get("from").Text(); text != "" {
		addr, err := netip.ParseAddr(text)
		if err != nil {
			f.Get("from").Errorf(strict.CodeValue, "%q is no address", text)
		}
		t.Source = addr
	}
	t.Realm = f.Get("realm").Text()
	var groups []string
	for _, group := range f.Get("realm_groups").SomeItems() {
		groups = append(groups, group.Text())
	}
	t.Groups = GroupsNamed(groups...)
	t.Time, _ = b.readMoment(f.Get("at"), f.Get("zone"), false)
	t.Method = f.Get("method").Text()
	t.CodeAge = f.Get("code_age").Duration(0, 0, 365*24*time.Hour)
	t.ApprovedBy = readUsers(f.Get("approved_by").SomeItems())
	for _, key := range []string{"method", "code_age", "approved_by"} {
		if v := f.Get(key); v.Present() && !f.Get("at").Present() {
			v.Errorf(codeTestForm, "a login or an approval has a time; say at which the test is, with at")
		}
	}
}

// try decides and reports, at the expectation that isn't met, what was decided
// instead and by which rule. A user who is denied altogether has, rightly, none
// of what may_not lists.
func (t test) try(p *Policy) {
	g, err := p.Decide(p.Suppose(t.Supposition))
	who := fmt.Sprintf("%s on %s", t.User, t.Target.FullName())
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
	for _, command := range t.run {
		if err != nil {
			t.fields.Get("run").Errorf(codeTest, "test failed: expected that %s may run %q; %v", who, command, err)
		} else if !g.AllowsExec(command) {
			t.fields.Get("run").Errorf(codeTest, "test failed: expected that %s may run %q; %v", who, command, g.Refusal(Exec))
		}
	}
	for _, command := range t.runNot {
		if g.AllowsExec(command) {
			t.fields.Get("run_not").Errorf(codeTest, "test failed: expected that %s may not run %q; allowed by rule %s", who, command, g.RuleFor(Exec))
		}
	}
	var no *Denied
	if waits := errors.As(err, &no) && no.Approval != nil; t.approval && err == nil {
		t.fields.Get("approval").Errorf(codeTest, "test failed: expected %s to wait for approval; allowed %s by %s", who, g.Capabilities(), rulesOf(g))
	} else if t.approval && !waits {
		t.fields.Get("approval").Errorf(codeTest, "test failed: expected %s to wait for approval; %v", who, err)
	} else if t.denied && waits {
		t.fields.Get("denied").Errorf(codeTest, "test failed: expected %s to be denied; %v", who, err)
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
