package policy

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
)

// given is what a rule gives one user on one target, as an approver is asked for it.
type given struct {
	May                          Capabilities
	Commands, Env, Local, Remote []string
	Record                       Record
	RecordInput, RecordComplete  bool
	Limits                       Limits
	Kind                         Kind
	Addresses                    []string
	Ports                        []int
	HostKeys, HostCAs            []string
	Auth                         Auth
	Login                        string
	Logins                       []string
	AnyCommand                   bool
}

// gives is a digest of what r gives user on t: capabilities with their lists, the
// recording, limits, the machine and the account on it. An approval is of that alone.
func (r *rule) gives(user string, t *Target) string {
	words := func(all []destination) []string {
		var out []string
		for _, d := range all {
			out = append(out, d.words())
		}
		return slices.Sorted(slices.Values(out))
	}
	b, err := json.Marshal(given{
		May: r.may, Commands: sorted(r.commands), AnyCommand: r.commands == nil, Env: sorted(r.admittedEnv()), Local: words(r.local), Remote: words(r.remote),
		Record: r.record, RecordInput: r.recordInput, RecordComplete: r.complete, Limits: r.limits,
		Kind: t.Kind, Addresses: sorted(t.Addresses), Ports: sorted(t.Ports), HostKeys: sorted(t.HostKeys), HostCAs: sorted(t.HostCAs),
		Auth: t.Auth, Login: t.Login(user, ""), Logins: sorted(t.Logins[user]),
	})
	if err != nil {
		panic(err) // numbers and strings alone
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

func sorted[T int | string](all []T) []T { return slices.Sorted(slices.Values(all)) }

// Gives is what an approval of the rule of that name for s is an approval of, "" where
// there is no such rule that asks for one, or no such target.
func (p *Policy) Gives(name string, s Seat) string {
	i := slices.IndexFunc(p.rules, func(r *rule) bool { return r.approval != nil && r.ref.Name == name })
	t := p.targets[s.Target]
	if i < 0 || t == nil {
		return ""
	}
	return p.rules[i].gives(s.User, t)
}
