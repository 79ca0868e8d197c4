package policy

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"entry/policy/ldapmatch"
	"entry/policy/strict"
)

// subject is one entry of somebody's `who`: a user, a lab's members or a group.
// Rules share them, so that a rule for a lab of thousands costs one entry.
type subject struct {
	name   string // "alice", "lab tinker", "group tinker/stewards", "realm uni", "realm uni/Physics"
	realm  bool   // whom a realm vouches for, or one of its groups; the files don't know the users
	group  string // that of the realm, by a key of package ldapmatch
	denied bool   // group is the key for rules that deny
	users  []string
	rules  []int32 // the rules for it, in increasing order
}

func (b *builder) linkWho(r *rule, who strict.Value) {
	r.everyone = r.deny && !who.Present()
	f := who.Fields("users", "labs", "groups", "realms")
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
	for _, item := range f.Get("realms").Items() {
		if s := b.readRealm(item, r.deny); s != nil {
			r.who = appendSubject(r.who, item, s)
		}
	}
	if f.Empty() {
		who.Errorf(strict.CodeMissing, "say whom the rule is for: users, labs, groups or realms")
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

func appendSubject(who []*subject, at strict.Value, s *subject) []*subject {
	if slices.Contains(who, s) {
		at.Errorf(codeTwice, "%q stands in this list twice", at.Raw())
		return who
	}
	return append(who, s)
}

// findGroup reads "lab/group", which has to exist.
func (b *builder) findGroup(v strict.Value) *subject {
	s, ok := v.Want(`a group such as "tinker/stewards"`)
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
		v.Errorf(codeUnknownRef, "lab %s has no group %q%s", labName, groupName, strict.DidYouMean(groupName, slices.Sorted(maps.Keys(l.groups))))
		return nil
	}
	return b.subject("group "+s, users)
}

// maxRealmGroup bounds the name of a realm's group, in bytes: a directory's
// names are long.
const maxRealmGroup = 512

// readRealm reads "uni", or "uni/GROUP" with whatever the realm calls a group.
// Neither is known to the files.
func (b *builder) readRealm(v strict.Value, deny bool) *subject {
	s, ok := v.Want(`a realm such as "uni"`)
	if !ok {
		return nil
	}
	realm, group, grouped := strings.Cut(s, "/")
	if err := validLabel(realm); err != nil {
		v.Errorf(codeName, "realm %q: %v", realm, err)
		return nil
	}
	if grouped && (group == "" || len(group) > maxRealmGroup) {
		v.Errorf(codeName, "a realm's group has a name of 1 to %d bytes after the slash", maxRealmGroup)
		return nil
	}
	if !grouped {
		return b.vouched("realm "+s, subject{name: "realm " + s, realm: true})
	}
	if ldapmatch.Loose(group) == "" {
		v.Errorf(codeName, "the name of a realm's group has to have something that can be seen")
		return nil
	}
	if u, ok := ldapmatch.UnsureOf(group, !deny); ok {
		v.Errorf(codeName, "%q can't be told from other groups: %s; write its DN with names such as cn, ou, dc, and values as text", group, u.Why)
		return nil
	}
	key := ldapmatch.Strict(group)
	if deny {
		key = ldapmatch.Loose(group)
	}
	return b.vouched(fmt.Sprintf("realm %s/%s denied %t", realm, key, deny), subject{name: "realm " + s, realm: true, group: key, denied: deny})
}

// vouched is the subject of a realm or of a group in it: one, however the files
// write it, and shown as they do first.
func (b *builder) vouched(id string, first subject) *subject {
	s := b.subjects[id]
	if s == nil {
		s = &first
		b.subjects[id] = s
	}
	return s
}
