package policy

import (
	"iter"
	"slices"
)

// checkWhole looks for what only shows when everything is known.
func (b *builder) checkWhole(p *Policy) {
	b.checkWildcards(p)
	b.checkDenials(p)
	b.checkEnv(p)
	b.checkNames(p)
	b.checkApprovers(p)
	for _, u := range b.loginUsers {
		who := p.users[u.user]
		if !u.lab.has(u.user) && (who == nil || len(who.subjects) == 0) {
			u.at.Warnf(codeStrangerLogin, "%q is not in lab %s and no rule names them", u.user, u.lab.name)
		}
	}
}

// checkWildcards finds pairs of rules for the same user and target of which one
// admits unlisted forwards and the other asks for a full recording, under which
// those can't be admitted. Refusing the pair keeps a simple law: adding an
// allow rule never takes access away.
func (b *builder) checkWildcards(p *Policy) {
	memo := map[[2]*subject]string{}
	wildcard := func(d destination) bool { return d.wildcard() }
	for i, r := range p.rules {
		if r.deny || !(r.may.Has(ForwardLocal) && slices.ContainsFunc(r.local, wildcard) ||
			r.may.Has(ForwardRemote) && slices.ContainsFunc(r.remote, wildcard)) {
			continue
		}
		tried := map[int32]bool{}
		for _, t := range r.opens() {
			if t.Kind != SSH {
				continue
			}
			for other, o := range p.speaking(t) {
				if tried[other] || o.deny || o.record != Full {
					continue
				}
				tried[other] = true
				if user := common(r, o, memo); user != "" {
					b.rules[i].at.Errorf(codeWildcardFull, "rule %s admits forwards that aren't listed, but rule %s asks for a full recording of %s on %s too, which admits only listed ones; list the destinations, or separate the two",
						r.ref.Name, o.ref, user, t.FullName())
				}
			}
		}
	}
}

// checkEnv finds rules that list commands beside others, for the same user and target,
// that let clients set what has a program run others: a variable is sent before what
// is to run, so it reaches whatever runs. Nobody puts such a pair in force anew.
// What gives a shell or any command undoes the list by itself.
func (b *builder) checkEnv(p *Policy) {
	memo := map[[2]*subject]string{}
	for i, r := range p.rules {
		at := slices.IndexFunc(r.env, undoesLists)
		if r.deny || at < 0 || r.free() != 0 {
			continue
		}
		if o, user, t := p.listedBeside(r, r.env[at], memo); o != nil {
			b.rules[i].fields.Get("env").Warnf(codeEnvAcross, "%s may have a command that rule %s lists for %s on %s run others: a variable reaches whatever runs there; take it out of env here",
				r.env[at], o.ref, user, t.FullName())
		}
	}
}

// listedBeside is a rule that lists commands for a user and a target of r's, and
// doesn't let clients set variable itself; nil if there is none.
func (p *Policy) listedBeside(r *rule, variable string, memo map[[2]*subject]string) (o *rule, user string, t *Target) {
	for _, t := range r.opens() {
		if t.Kind != SSH {
			continue
		}
		for _, o := range p.speaking(t) {
			if o == r || o.deny || o.commands == nil || slices.Contains(o.env, variable) {
				continue
			}
			if user := common(r, o, memo); user != "" {
				return o, user, t
			}
		}
	}
	return nil, "", nil
}

// speaking are the rules that name t, or its lab, by their indexes; those for every
// target aren't among them.
func (p *Policy) speaking(t *Target) iter.Seq2[int32, *rule] {
	return func(yield func(int32, *rule) bool) {
		for _, list := range [...][]int32{*p.reach[t].own, *p.reach[t].lab} {
			for _, i := range list {
				if !yield(i, p.rules[i]) {
					return
				}
			}
		}
	}
}

// common is a user whom both rules are for, "" if there is none. Subjects recur
// in many rules; memo keeps what pairs of them have in common.
func common(a, b *rule, memo map[[2]*subject]string) string {
	for _, s := range a.who {
		for _, t := range b.who {
			pair := [2]*subject{s, t}
			user, known := memo[pair]
			if !known {
				user = s.shared(t)
				memo[pair] = user
			}
			if user != "" {
				return user
			}
		}
	}
	return ""
}

// shared is the first of t's users who is among s's too.
func (s *subject) shared(t *subject) string {
	if len(s.users) == 1 {
		if slices.Contains(t.users, s.users[0]) {
			return s.users[0]
		}
		return ""
	}
	own := make(map[string]bool, len(s.users))
	for _, user := range s.users {
		own[user] = true
	}
	for _, user := range t.users {
		if own[user] {
			return user
		}
	}
	return ""
}
