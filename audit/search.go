package audit

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Query selects events. Every field that is set must match; the zero Query
// matches everything. Text is compared exactly unless said otherwise.
type Query struct {
	User string // the account, or its hash for a name that none has
	// UserHashes are, with User, what the log may have of that name where no account had it.
	UserHashes []string
	Target     string       // full name, or the part before the dot
	Session    string       // ULID of a session, of its recording, or of a client connection; upper or lower case
	IDStart    string       // the beginning of the ULID of a session or a client connection
	Digests    []string     // of which one is what the log has of what was searched for in recordings; nil for any
	Ref        string       // reference ID, upper or lower case
	Type       string       // a type, or the part before the dot: "login"
	Source     netip.Prefix // the client's address
	After      uint64       // behind the record called so
	Since      time.Time    // at or after
	Until      time.Time    // before
}

// Matches says whether e is selected.
func (q Query) Matches(e Event) bool {
	return (q.User == "" || q.User == e.User || q.User == e.UserHash || e.UserHash != "" && slices.Contains(q.UserHashes, e.UserHash)) &&
		(q.Target == "" || OnTarget(e.Target, q.Target)) &&
		(q.Session == "" || q.matchesSession(e)) &&
		(q.IDStart == "" || strings.HasPrefix(e.Session, q.IDStart) || strings.HasPrefix(e.Conn, q.IDStart)) &&
		(q.Digests == nil || slices.Contains(q.Digests, e.Digest)) &&
		(q.Ref == "" || strings.EqualFold(q.Ref, e.Ref)) &&
		(q.Type == "" || hasWord(string(e.Type), q.Type)) &&
		e.Seq > q.After &&
		(!q.Source.IsValid() || From(e.Source, q.Source)) &&
		(q.Since.IsZero() || !e.Time.Before(q.Since)) &&
		(q.Until.IsZero() || e.Time.Before(q.Until))
}

// hasWord says whether s is word, or word with something after a dot.
func hasWord(s, word string) bool {
	rest, ok := strings.CutPrefix(s, word)
	return ok && (rest == "" || rest[0] == '.')
}

func (q Query) matchesSession(e Event) bool {
	return strings.EqualFold(q.Session, e.Session) || strings.EqualFold(q.Session, e.Conn) ||
		e.Recording != nil && strings.EqualFold(q.Session, e.Recording.ID) ||
		slices.ContainsFunc(e.Sessions, func(id string) bool { return strings.EqualFold(q.Session, id) })
}

// OnTarget says whether a target, by its full name, is the one that is asked for: by
// that, or by the part before the dot.
func OnTarget(full, asked string) bool { return hasWord(full, asked) }

// From says whether a client's address, "ip:port", is in the network.
func From(source string, network netip.Prefix) bool {
	at, err := netip.ParseAddrPort(source)
	return err == nil && network.Contains(at.Addr().Unmap().WithZone(""))
}

// ParseSource parses an address or a network in CIDR form.
func ParseSource(s string) (netip.Prefix, error) {
	if !strings.Contains(s, "/") {
		a, err := netip.ParseAddr(s)
		if err != nil {
			return netip.Prefix{}, err
		}
		a = a.Unmap().WithZone("")
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	return p.Masked(), err
}

// KnownType says whether s selects any type: a type itself or the part before
// its dot.
func KnownType(s string) bool {
	for _, t := range types {
		if hasWord(string(t), cmp.Or(s, " ")) {
			return true
		}
	}
	return false
}
