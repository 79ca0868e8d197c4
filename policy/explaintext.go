package policy

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"entry/audit/plain"
)

// Relevant is e without the rules for other people and targets; they are
// counted.
func (e Explanation) Relevant() Explanation {
	all := e.Rules
	e.Rules = slices.DeleteFunc(slices.Clone(all), func(c Considered) bool {
		return slices.ContainsFunc(c.Failed, func(f Failure) bool { return f.Clause == ClauseWho || f.Clause == ClauseWhere })
	})
	e.Others += len(all) - len(e.Rules)
	return e
}

// String is several lines for a person: what was asked, each capability and who
// gives or takes it, and each rule with what it lacked.
func (e Explanation) String() string {
	var b strings.Builder
	target := ""
	if e.Request.Target != nil {
		target = e.Request.Target.FullName()
	}
	fmt.Fprintf(&b, "%s on %s at %s", plain.Word(e.Request.User), target, plain.Moment(e.Request.Time))
	if e.Request.Source.IsValid() {
		fmt.Fprintf(&b, " from %s", e.Request.Source)
	}
	b.WriteString("\n")
	for _, v := range e.Verdicts {
		fmt.Fprintf(&b, "  %-15s %s\n", v.Capability, v)
	}
	if g := e.Grant; g.Valid() {
		record := g.Record().String()
		if g.RecordInput() {
			record += ", with input"
		}
		if g.RecordComplete() {
			record += ", complete"
		}
		if b := g.Bulk(); g.Record() == Full && !b.Usual() {
			record += "; of output without a terminal: " + b.String()
		}
		env := ""
		if unusual := g.unusualEnv(); unusual != nil {
			env = "; environment: " + strings.Join(unusual, ", ")
		}
		fmt.Fprintf(&b, "recording: %s; limits: %s%s\n", record, g.Limits(), env)
	}
	if not := e.Grant.Unenforced(); not != 0 {
		fmt.Fprintf(&b, "not enforced: that there is no %s, since data can be moved by %s all the same\n", either(not), words(e.Grant.free()))
	}
	b.WriteString("rules:\n")
	for _, c := range e.Rules {
		fmt.Fprintf(&b, "  %s\n", c)
	}
	if e.Others > 0 {
		are, them := "are", "them"
		if e.Others == 1 {
			are, them = "is", "it"
		}
		fmt.Fprintf(&b, "  %s %s for other people or targets (--all shows %s)\n", plain.Count(e.Others, "rule"), are, them)
	}
	return b.String()
}

// String is one line: the rule, what it gives or takes, and whether it matches.
func (c Considered) String() string {
	verb := "allows"
	if c.Deny {
		verb = "denies"
	}
	outcome := "matches"
	if len(c.Failed) > 0 {
		var why []string
		for _, f := range c.Failed {
			why = append(why, f.Clause.String()+": "+f.Why)
		}
		outcome = "no: " + strings.Join(why, "; ")
	}
	return fmt.Sprintf("%s %s %s: %s", c.Rule, verb, c.May, outcome)
}

// String is the predicate of a sentence about the capability: "allowed by …".
func (v Verdict) String() string {
	s := "no rule gives it"
	switch {
	case v.Allowed:
		s = "allowed by " + v.Rule.String()
		if !v.Until.IsZero() {
			s += " until " + plain.Moment(v.Until)
		}
	case v.Approval != nil:
		s = fmt.Sprintf("%s gives it with the approval of %s", v.Approval.Rule, v.Approval)
	case v.Rule != RuleRef{}:
		s = "denied by " + v.Rule.String()
	}
	if v.Because != "" {
		s += ": " + v.Because
	}
	return s
}

// MarshalJSON gives what String says, for programs.
func (e Explanation) MarshalJSON() ([]byte, error) {
	type capability struct {
		Capability string    `json:"capability"`
		Allowed    bool      `json:"allowed"`
		Rule       string    `json:"rule,omitempty"`
		Until      time.Time `json:"until,omitzero"`
		Approval   string    `json:"approval,omitempty"` // whose would give it
		Because    string    `json:"because,omitempty"`
	}
	type rule struct {
		Rule    string            `json:"rule"`
		Deny    bool              `json:"deny,omitempty"`
		May     string            `json:"may"`
		Matches bool              `json:"matches"`
		Failed  map[string]string `json:"failed,omitempty"` // why, by clause
	}
	out := struct {
		User         string       `json:"user"`
		Target       string       `json:"target"`
		At           time.Time    `json:"at"`
		Allowed      bool         `json:"allowed"`
		Denied       string       `json:"denied,omitempty"`
		Record       string       `json:"record,omitempty"`
		RecordInput  bool         `json:"record_input,omitempty"`
		Complete     bool         `json:"record_complete,omitempty"`
		Bulk         string       `json:"bulk,omitempty"`       // where it isn't the usual one
		Unenforced   []Capability `json:"unenforced,omitempty"` // that are missing, and that a shell makes up for
		Limits       string       `json:"limits,omitempty"`
		Env          []string     `json:"env,omitempty"` // that clients may set, where it isn't the built-in list
		Capabilities []capability `json:"capabilities"`
		Rules        []rule       `json:"rules"`
	}{User: e.Request.User, At: e.Request.Time, Allowed: e.Grant.Valid(), Capabilities: []capability{}, Rules: []rule{}}
	if e.Request.Target != nil {
		out.Target = e.Request.Target.FullName()
	}
	if e.Denied != nil {
		out.Denied = e.Denied.Error()
	} else {
		out.Record, out.RecordInput, out.Limits = e.Grant.Record().String(), e.Grant.RecordInput(), e.Grant.Limits().String()
		if b := e.Grant.Bulk(); e.Grant.Record() == Full && !b.Usual() {
			out.Bulk = b.String()
		}
		out.Unenforced = e.Grant.Unenforced().List()
		out.Complete, out.Env = e.Grant.RecordComplete(), e.Grant.unusualEnv()
	}
	for _, v := range e.Verdicts {
		c := capability{Capability: v.Capability.String(), Allowed: v.Allowed, Until: v.Until.UTC(), Because: v.Because}
		if v.Rule != (RuleRef{}) {
			c.Rule = v.Rule.String()
		}
		if v.Approval != nil {
			c.Rule, c.Approval = v.Approval.Rule.String(), v.Approval.String()
		}
		out.Capabilities = append(out.Capabilities, c)
	}
	for _, c := range e.Rules {
		r := rule{Rule: c.Rule.String(), Deny: c.Deny, May: c.May.String(), Matches: len(c.Failed) == 0}
		for _, f := range c.Failed {
			if r.Failed == nil {
				r.Failed = map[string]string{}
			}
			r.Failed[f.Clause.String()] = f.Why
		}
		out.Rules = append(out.Rules, r)
	}
	var b bytes.Buffer
	lines := json.NewEncoder(&b)
	lines.SetEscapeHTML(false) // whether to is for whoever writes the whole
	err := lines.Encode(out)
	return b.Bytes(), err
}
