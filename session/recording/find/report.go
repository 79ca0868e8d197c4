package find

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"entry/audit/plain"
	"entry/session/recording"
)

// Report sums up what a search yields. It isn't safe for concurrent use.
type Report struct {
	Summary
	Sealed int // of Summary.NotSearched, those that no identity opens

	why  map[unread]*unreadSum
	whys []unread // the keys of why, in the order of their coming
}

// Summary is a search in numbers.
type Summary struct {
	Sessions    int `json:"sessions"`
	Hits        int `json:"hits"`
	NotSearched int `json:"not_searched"`
	Missing     int `json:"missing"` // of those, what should be there
}

// Take takes in a result.
func (r *Report) Take(res Result) {
	if res.Unread == nil {
		r.Hits++
		return
	}
	u := *res.Unread
	r.NotSearched++
	if u.Missing {
		r.Missing++
	}
	if u.Sealed {
		r.Sealed++
	}
	key := unread{u.Missing, strings.TrimPrefix(strings.TrimPrefix(u.Why, "open "), "recording "+u.Session.ID+": ")}
	if u.Sealed {
		key.why = "this identity doesn't open it"
	}
	if r.why[key] == nil {
		if r.why == nil {
			r.why = map[unread]*unreadSum{}
		}
		r.why[key] = &unreadSum{}
		r.whys = append(r.whys, key)
	}
	sum := r.why[key]
	sum.channels += len(u.Channels)
	if sum.sessions == 0 && !u.Missing && !u.Cut {
		sum.alone = u.Session.ID
	}
	if sum.sessions++; sum.sessions <= maxNamed && (u.Missing || u.Cut) {
		sum.named = append(sum.named, nameOf(u))
	}
}

// NotLookedAt says in lines what wasn't looked at, each reason once: what should be there,
// and what is known not to be.
func (r *Report) NotLookedAt() (missing, kept []string) {
	for _, key := range r.whys {
		sum := r.why[key]
		if !key.missing {
			kept = append(kept, sum.String()+": "+plain.Line(key.why))
			continue
		}
		line := sum.names()
		if line != "" {
			line += ": "
		}
		missing = append(missing, line+"not all searched: "+plain.Line(key.why))
	}
	return missing, kept
}

// maxNamed is how many sessions are named for each reason why they weren't all searched.
const maxNamed = 5

// unread is why something wasn't looked at.
type unread struct {
	missing bool
	why     string // may quote a peer
}

// unreadSum is what wasn't looked at for one reason.
type unreadSum struct {
	sessions, channels int
	named              []string // fit for a terminal
	alone              string   // the ID of the first, where none is named
}

func (s *unreadSum) String() string {
	text := plain.Count(s.sessions, "session")
	if s.channels > 0 {
		text = plain.Count(s.channels, "channel") + " of " + text
	}
	if names := s.names(); names != "" {
		text += ", " + names
	} else if s.sessions == 1 && s.alone != "" {
		text += ", " + plain.Word(s.alone)
	}
	return text
}

// names are those of the sessions that are named.
func (s *unreadSum) names() string {
	text := strings.Join(s.named, "; ")
	if s.named != nil && s.sessions > len(s.named) {
		text += fmt.Sprintf(", and %d more, which --json names", s.sessions-len(s.named))
	}
	return text
}

func nameOf(u Unread) string {
	name := u.Session.ID
	for i, n := range u.Channels {
		if i == 20 {
			name += fmt.Sprintf(" and %d more", len(u.Channels)-i)
			break
		}
		name += map[bool]string{true: " channel ", false: ", "}[i == 0] + fmt.Sprint(n)
	}
	if u.Session.User != "" {
		name += " (" + plain.Word(u.Session.User) + " on " + plain.Word(u.Session.Target) + ")"
	}
	return strings.TrimSpace(name)
}

// HitLine is a hit in JSON.
type HitLine struct {
	Session string    `json:"session"`
	User    string    `json:"user"`
	Lab     string    `json:"lab,omitempty"`
	Target  string    `json:"target"`
	Channel uint32    `json:"channel"`
	Pane    string    `json:"pane,omitempty"` // of a tmux in control mode
	Time    time.Time `json:"time"`
	Offset  float64   `json:"offset"`          // seconds since the session's start
	Stood   float64   `json:"stood,omitempty"` // seconds, of output that was erased
	In      Field     `json:"in"`
	Note    string    `json:"note,omitempty"`
	Alike   int       `json:"alike,omitempty"`  // how many lines that passed differ from this one in numbers alone, and are no hits
	Hidden  bool      `json:"hidden,omitempty"` // it was written so that terminals don't show it

	Line   recording.Text `json:"line"`
	Match  recording.Text `json:"match"`
	Replay string         `json:"replay"`

	File *recording.File `json:"file,omitempty"` // of which the line is a name
}

// Line is the hit in JSON; replay is the command that shows it.
func (h Hit) Line(replay string) HitLine {
	return HitLine{Session: h.Session.ID, User: h.Session.User, Lab: h.Session.Lab, Target: h.Session.Target, Channel: h.Channel, Pane: h.Pane,
		Time: h.Session.Start.Add(h.At), Offset: h.At.Seconds(), Stood: h.Stood.Seconds(), In: h.In, Note: h.Note, Alike: h.Alike, Hidden: h.Hidden, Line: recording.Text(h.Text), Match: recording.Text(h.Text[h.From:h.To]), Replay: replay, File: h.File}
}

// maxNames is how long a file's names may be to be shown whole: bytes.
const maxNames = 1000

// String is the hit in one line, fit for a terminal: in which session, when, whose and
// where, what it is, and the line, of a long one what is near the match.
func (h Hit) String() string {
	note := string(h.In)
	if h.Pane != "" {
		note += " of pane " + h.Pane
	}
	if h.Note != "" {
		if note += " (" + h.Note; h.Stood > 0 {
			stood := fmt.Sprintf("%.1fs", h.Stood.Seconds())
			if h.Stood < 50*time.Millisecond {
				stood = fmt.Sprintf("%dms", max(1, h.Stood.Milliseconds()))
			}
			note += " after " + stood
		}
		if h.Alike > 0 {
			note += fmt.Sprintf(", %d more that differ in numbers alone", h.Alike)
		}
		note += ")"
	}
	if h.Hidden {
		note += " (hidden)"
	}
	text := around(h.Text, h.From, h.To)
	if h.File != nil && len(h.File.Path)+len(h.File.To) <= maxNames {
		text = h.File.Names()
	}
	return fmt.Sprintf("%s %s %s on %s, %s: %s", h.Session.ID, h.Session.Start.Add(h.At).UTC().Format("2006-01-02T15:04:05.0Z"),
		plain.Word(h.Session.User), plain.Word(h.Session.Target), note, text)
}

// around is a line as text for a terminal, what is near a match of a long one.
func around(s string, from, to int) string {
	const side = 200 // bytes
	start, end := max(0, from-side), min(len(s), min(to, from+2*side)+side)
	for n := 1; n < utf8.UTFMax && start > 0 && start < len(s) && !utf8.RuneStart(s[start]); n++ {
		start--
	}
	for n := 1; n < utf8.UTFMax && end < len(s) && !utf8.RuneStart(s[end]); n++ {
		end++
	}
	text := plain.Text(strings.NewReplacer("\t", " ", "\n", " ⏎ ").Replace(s[start:end]))
	if start > 0 {
		text = "…" + text
	}
	if end < len(s) {
		text += "…"
	}
	return text
}

// UnreadLine is what wasn't looked at in JSON.
type UnreadLine struct {
	Session  string   `json:"session,omitempty"`
	User     string   `json:"user,omitempty"`
	Lab      string   `json:"lab,omitempty"`
	Target   string   `json:"target,omitempty"`
	Channels []uint32 `json:"channels,omitempty"`
	Why      string   `json:"not_searched"`
	Missing  bool     `json:"missing"`
}

// Line is it in JSON.
func (u Unread) Line() UnreadLine {
	return UnreadLine{Session: u.Session.ID, User: u.Session.User, Lab: u.Session.Lab, Target: u.Session.Target, Channels: u.Channels, Why: u.Why, Missing: u.Missing}
}
