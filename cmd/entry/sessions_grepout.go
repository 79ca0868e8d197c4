package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"entry/audit/plain"
	"entry/session/recording"
	"entry/session/recording/find"
)

// grepPrinter prints what a search finds, and how far it is. It is safe for concurrent
// use.
type grepPrinter struct {
	out, errs io.Writer
	lines     *json.Encoder // nil for text
	bar       bool
	shared    bool   // hits come on the bar's terminal
	where     string // flags that name the installation, for other verbs
	away      bool   // --from names what is searched, and verbs that read the log can't
	total     int64
	sum       grepSummary

	mu    sync.Mutex // guards what follows, and writing; no other lock is taken under it
	drawn time.Time  // when the bar was; zero while there is none

	why    map[unread]*unreadSum
	whys   []unread // the keys of why, in the order of their coming
	sealed int      // sessions that the identity doesn't open
}

// grepSummary is a search in numbers.
type grepSummary struct {
	Sessions    int `json:"sessions"`
	Hits        int `json:"hits"`
	NotSearched int `json:"not_searched"`
	Missing     int `json:"missing"` // of those, what should be there
}

// grepHit is a hit as --json has it.
type grepHit struct {
	Session string     `json:"session"`
	User    string     `json:"user"`
	Lab     string     `json:"lab,omitempty"`
	Target  string     `json:"target"`
	Channel uint32     `json:"channel"`
	Time    time.Time  `json:"time"`
	Offset  float64    `json:"offset"`          // seconds since the session's start
	Stood   float64    `json:"stood,omitempty"` // seconds, of output that was erased
	In      find.Field `json:"in"`
	Note    string     `json:"note,omitempty"`
	Line    string     `json:"line"`
	Match   string     `json:"match"`
	Replay  string     `json:"replay"`

	File *recording.File `json:"file,omitempty"` // of which the line is a name
}

// grepUnread is what wasn't looked at.
type grepUnread struct {
	Session  string   `json:"session,omitempty"`
	User     string   `json:"user,omitempty"`
	Lab      string   `json:"lab,omitempty"`
	Target   string   `json:"target,omitempty"`
	Channels []uint32 `json:"channels,omitempty"`
	Why      string   `json:"not_searched"`
	Missing  bool     `json:"missing"`
}

func newGrepPrinter(cmd *cobra.Command, list []recording.Info) *grepPrinter {
	p := &grepPrinter{out: cmd.OutOrStdout(), errs: cmd.ErrOrStderr(), why: map[unread]*unreadSum{}, sum: grepSummary{Sessions: len(list)}}
	if asJSON(cmd) {
		p.lines = plain.JSON(p.out)
	}
	p.bar = isTerminal(p.errs)
	p.shared = p.bar && isTerminal(p.out)
	for _, i := range list {
		p.total += i.Size
	}
	p.away = cmd.Flags().Changed("from")
	p.where = place(cmd, "config", "dir", "from", "identity")
	return p
}

// progress draws the bar, ten times a second at most.
func (p *grepPrinter) progress(done int64) {
	if !p.bar {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if now := time.Now(); now.Sub(p.drawn) >= 100*time.Millisecond {
		p.drawn = now
		drawBar(p.errs, "searching", done, p.total, plain.Size)
	}
}

// clear takes the bar away.
func (p *grepPrinter) clear() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.wipe()
}

func (p *grepPrinter) wipe() {
	if p.bar && !p.drawn.IsZero() {
		wipeBar(p.errs)
	}
}

func (p *grepPrinter) result(r find.Result) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.shared {
		p.wipe()
	}
	if r.Unread != nil {
		return p.unread(*r.Unread)
	}
	p.sum.Hits++
	h := *r.Hit
	at := h.Session.Start.Add(h.At)
	if p.lines != nil {
		return p.lines.Encode(grepHit{Session: h.Session.ID, User: h.Session.User, Lab: h.Session.Lab, Target: h.Session.Target, Channel: h.Channel,
			Time: at, Offset: h.At.Seconds(), Stood: h.Stood.Seconds(), In: h.In, Note: h.Note, Line: h.Text, Match: h.Text[h.From:h.To], Replay: p.replay(h), File: h.File})
	}
	note := string(h.In)
	if h.Note != "" {
		if note += " (" + h.Note; h.Stood > 0 {
			stood := fmt.Sprintf("%.1fs", h.Stood.Seconds())
			if h.Stood < 50*time.Millisecond {
				stood = fmt.Sprintf("%dms", max(1, h.Stood.Milliseconds()))
			}
			note += " after " + stood
		}
		note += ")"
	}
	text := around(h.Text, h.From, h.To)
	if h.File != nil && len(h.File.Path)+len(h.File.To) <= maxNames {
		text = h.File.Names()
	}
	_, err := fmt.Fprintf(p.out, "%s %s %s on %s, %s: %s\n    %s\n", h.Session.ID, at.UTC().Format("2006-01-02T15:04:05.0Z"),
		plain.Word(h.Session.User), plain.Word(h.Session.Target), note, text, p.replay(h))
	return err
}

func (p *grepPrinter) unread(u find.Unread) error {
	p.sum.NotSearched++
	if u.Missing {
		p.sum.Missing++
	}
	if u.Sealed {
		p.sealed++
	}
	if p.lines != nil {
		return p.lines.Encode(grepUnread{Session: u.Session.ID, User: u.Session.User, Lab: u.Session.Lab, Target: u.Session.Target, Channels: u.Channels, Why: u.Why, Missing: u.Missing})
	}
	key := unread{u.Missing, strings.TrimPrefix(strings.TrimPrefix(u.Why, "open "), "recording "+u.Session.ID+": ")}
	if u.Sealed {
		key.why = "this identity doesn't open it"
	}
	if p.why[key] == nil {
		p.why[key] = &unreadSum{}
		p.whys = append(p.whys, key)
	}
	sum := p.why[key]
	sum.channels += len(u.Channels)
	if sum.sessions++; sum.sessions <= maxNamed && (u.Missing || u.Cut) {
		sum.named = append(sum.named, nameOf(u))
	}
	return nil
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
}

func (s *unreadSum) String() string {
	text := plain.Count(s.sessions, "session")
	if s.channels > 0 {
		text = plain.Count(s.channels, "channel") + " of " + text
	}
	if names := s.names(); names != "" {
		text += ", " + names
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

func nameOf(u find.Unread) string {
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

// tellUnread says on standard error what wasn't looked at, each reason once: first what
// should be there, then what is known not to be.
func (p *grepPrinter) tellUnread() error {
	var kept []string
	for _, key := range p.whys {
		sum, line := p.why[key], ""
		if !key.missing {
			kept = append(kept, "  "+sum.String()+": "+plain.Line(key.why)+"\n")
			continue
		}
		if line = sum.names(); line != "" {
			line += ": "
		}
		if _, err := fmt.Fprintf(p.errs, "entry: %snot all searched: %s\n", line, plain.Line(key.why)); err != nil {
			return err
		}
	}
	if len(kept) == 0 {
		return nil
	}
	_, err := fmt.Fprint(p.errs, "entry: note: there is no more to be searched of\n", strings.Join(kept, ""))
	return err
}

// maxNames is how long a file's names may be to be shown whole: bytes.
const maxNames = 1000

// replay is the command that shows a hit.
func (p *grepPrinter) replay(h find.Hit) string {
	verb := fmt.Sprintf("play %s --channel %d --at +%v", h.Session.ID, h.Channel, h.At.Truncate(100*time.Millisecond))
	switch {
	case h.In == find.Files && p.away:
		verb = "show " + h.Session.ID
	case h.In == find.Files && h.File != nil && h.File.Direction == "":
		return "entry audit files --changes --session " + h.Session.ID + p.where
	case h.In == find.Files:
		return "entry audit files --session " + h.Session.ID + p.where
	case h.In == find.Input && h.Note != "":
		verb = "show " + h.Session.ID
	case h.In == find.Input && !h.Terminal:
		verb = fmt.Sprintf("export %s --channel %d --format input -o FILE", h.Session.ID, h.Channel)
	}
	return "entry sessions " + verb + p.where
}

// around is a line as text for a terminal, what is near a match of a long one.
func around(s string, from, to int) string {
	const side = 200 // bytes
	start, end := max(0, from-side), min(len(s), min(to, from+2*side)+side)
	for start > 0 && start < len(s) && !utf8.RuneStart(s[start]) {
		start--
	}
	for end < len(s) && !utf8.RuneStart(s[end]) {
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
