package index

import (
	"crypto/hmac"
	"crypto/sha256"
	"hash"
	"strings"
	"unicode"
	"unicode/utf8"

	"entry/audit"
)

// field is what of an event a term is about.
type field byte

const (
	user field = iota + 1 // or the hash of a name that no account has
	target
	session // also of a recording or a connection
	idStart
	ref
	kind
)

// idStarts are the lengths, in bytes, of the beginnings of IDs that are kept: of a ULID, the
// moment in which it was made, and about a quarter of an hour.
var idStarts = []int{10, ShortestStart}

// ShortestStart is how many characters of an ID an index needs (audit.Query.IDStart).
const ShortestStart = 6

// termOf is one word of a field. As a string it can be the key of a map.
func termOf(f field, word string) string { return string(rune(f)) + word }

// terms calls add for all terms of an event; some may come twice.
func terms(e *audit.Event, add func(term string)) {
	word := func(f field, s string) {
		if s != "" {
			add(termOf(f, s))
		}
	}
	word(user, e.User)
	word(user, e.UserHash)
	word(ref, fold(e.Ref))
	dotted(e.Target, func(s string) { word(target, s) })
	dotted(string(e.Type), func(s string) { word(kind, s) })
	for _, id := range []string{e.Session, e.Conn} {
		word(session, fold(id))
		for _, n := range idStarts {
			if len(id) >= n {
				word(idStart, id[:n])
			}
		}
	}
	if e.Recording != nil {
		word(session, fold(e.Recording.ID))
	}
	for _, id := range e.Sessions {
		word(session, fold(id))
	}
}

// wanted is what events that q selects have: of each list one of the terms. ok is false
// where an index doesn't narrow the query.
func wanted(q audit.Query) (all [][]string, ok bool) {
	if q.User != "" {
		any := []string{termOf(user, q.User)}
		for _, h := range q.UserHashes {
			any = append(any, termOf(user, h))
		}
		all = append(all, any)
	}
	one := func(f field, s string) {
		if s != "" {
			all = append(all, []string{termOf(f, s)})
		}
	}
	one(ref, fold(q.Ref))
	one(target, q.Target)
	one(kind, q.Type)
	one(session, fold(q.Session))
	for _, n := range idStarts {
		if len(q.IDStart) >= n {
			one(idStart, q.IDStart[:n])
			break
		}
	}
	return all, len(all) > 0 || !q.Since.IsZero() || !q.Until.IsZero()
}

// dotted calls add for a name, and for each part of it before a dot.
func dotted(name string, add func(string)) {
	for i := range len(name) {
		if name[i] == '.' {
			add(name[:i])
		}
	}
	add(name)
}

// fold gives all that strings.EqualFold takes for the same one form.
func fold(s string) string {
	return strings.Map(func(r rune) rune {
		if r < utf8.RuneSelf && !unicode.IsLetter(r) {
			return r
		}
		least := r
		for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
			least = min(least, f)
		}
		return least
	}, s)
}

// hashed is what a database has of a term: of two with the same one, once in ages, the
// records of both are read.
type hashed [8]byte

// hasher makes them.
type hasher struct{ mac hash.Hash }

func newHasher(key []byte) hasher { return hasher{hmac.New(sha256.New, derived(key, "terms"))} }

func (h hasher) of(term string) (out hashed) {
	h.mac.Reset()
	_, _ = h.mac.Write([]byte(term)) // a hash returns no error
	copy(out[:], h.mac.Sum(nil))
	return out
}

// buckets is in how many rows a chunk's terms are: a search reads one of each chunk for a
// term, and knows that it isn't there from that row as well.
const buckets = 64

func (h hashed) bucket() int { return int(h[0]) % buckets }

// derived is a key for one purpose.
func derived(key []byte, purpose string) []byte {
	m := hmac.New(sha256.New, key)
	_, _ = m.Write([]byte("entry.index/v1 " + purpose)) // a hash returns no error
	return m.Sum(nil)
}
