package main

import (
	"time"

	"entry/policy"
)

// explained is explain's --json line.
type explained struct {
	User         string          `json:"user"`
	Target       string          `json:"target"`
	At           time.Time       `json:"at"`
	Allowed      bool            `json:"allowed"`
	Denied       string          `json:"denied,omitempty"`
	Record       string          `json:"record,omitempty"`
	RecordInput  bool            `json:"record_input,omitempty"`
	Limits       string          `json:"limits,omitempty"`
	Capabilities []explainedCap  `json:"capabilities"`
	Rules        []explainedRule `json:"rules"`
}

type explainedCap struct {
	Capability string     `json:"capability"`
	Allowed    bool       `json:"allowed"`
	Rule       string     `json:"rule,omitempty"`
	Until      *time.Time `json:"until,omitempty"`
	Approval   string     `json:"approval,omitempty"` // whose would give it
	Because    string     `json:"because,omitempty"`
}

type explainedRule struct {
	Rule    string            `json:"rule"`
	Deny    bool              `json:"deny,omitempty"`
	May     string            `json:"may"`
	Matches bool              `json:"matches"`
	Failed  map[string]string `json:"failed,omitempty"` // why, by clause
}

func explanationLine(r policy.Request, e policy.Explanation, all bool) explained {
	out := explained{User: r.User, Target: r.Target.FullName(), At: r.Time, Allowed: e.Grant.Valid(), Capabilities: []explainedCap{}, Rules: []explainedRule{}}
	if e.Denied != nil {
		out.Denied = e.Denied.Error()
	} else {
		out.Record, out.RecordInput, out.Limits = e.Grant.Record().String(), e.Grant.RecordInput(), e.Grant.Limits().String()
	}
	for _, v := range e.Verdicts {
		c := explainedCap{Capability: v.Capability.String(), Allowed: v.Allowed, Until: moment(v.Until), Because: v.Because}
		if v.Rule != (policy.RuleRef{}) {
			c.Rule = v.Rule.String()
		}
		if v.Approval != nil {
			c.Rule, c.Approval = v.Approval.Rule.String(), v.Approval.String()
		}
		out.Capabilities = append(out.Capabilities, c)
	}
	for _, c := range e.Rules {
		if !all && !speaks(c) {
			continue
		}
		rule := explainedRule{Rule: c.Rule.String(), Deny: c.Deny, May: c.May.String(), Matches: len(c.Failed) == 0}
		for _, f := range c.Failed {
			if rule.Failed == nil {
				rule.Failed = map[string]string{}
			}
			rule.Failed[f.Clause.String()] = f.Why
		}
		out.Rules = append(out.Rules, rule)
	}
	return out
}

// moment is t for JSON, nil for the zero time.
func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}
