package policy

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"entry/audit/plain"
	"entry/policy/strict"
)

// What conditions, lists and limits are called wherever people read them: in
// explanations and in differences. The same meaning has one wording, so that
// two can be compared by it.

const momentWords = "2006-01-02 15:04 MST"

func (w window) words() string {
	var out []string
	if w.days != everyDay {
		out = append(out, daysWords(w.days))
	}
	if w.to-w.from != dayLength || w.from != 0 {
		end := w.to
		if end > dayLength {
			end -= dayLength
		}
		out = append(out, fmt.Sprintf("%02d:%02d-%02d:%02d", w.from/60, w.from%60, end/60, end%60))
	}
	return strings.Join(append(out, w.place.String()), " ")
}

// daysWords is "mon-fri", "sat-mon" or "mon, wed".
func daysWords(days uint8) string {
	// Begin after a day that isn't there, so that no span is cut in two.
	first := 1
	for days>>((first+6)%7)&1 != 0 {
		first++
	}
	var out []string
	for i := 0; i < 7; {
		d := (first + i) % 7
		if days>>d&1 == 0 {
			i++
			continue
		}
		n := 1
		for i+n < 7 && days>>((d+n)%7)&1 != 0 {
			n++
		}
		switch last := dayNames[(d+n-1)%7]; n {
		case 1:
			out = append(out, last)
		case 2:
			out = append(out, dayNames[d], last)
		default:
			out = append(out, dayNames[d]+"-"+last)
		}
		i += n
	}
	return strings.Join(out, ", ")
}

func (s schedule) words() string {
	out := make([]string, 0, len(s))
	for _, w := range s {
		out = append(out, w.words())
	}
	slices.Sort(out)
	return strings.Join(out, " or ")
}

func (p period) words() string {
	var out []string
	if !p.from.IsZero() {
		out = append(out, "from "+p.from.Format(momentWords))
	}
	if !p.until.IsZero() {
		out = append(out, "until "+p.until.Format(momentWords))
	}
	return strings.Join(out, " ")
}

func (m *mfa) words() string {
	var out []string
	if len(m.methods) > 0 {
		methods := slices.Clone(m.methods)
		slices.Sort(methods)
		out = append(out, "login with "+strings.Join(methods, " or "))
	}
	if m.maxAge > 0 {
		out = append(out, "code at most "+strict.FormatDuration(m.maxAge)+" old")
	}
	return strings.Join(out, ", ")
}

// words names the people themselves: a group means whoever is in it.
func (a *approval) words() string {
	people := slices.Sorted(maps.Keys(a.people))
	lasts := strict.FormatDuration(a.lasts)
	if a.uses > 0 {
		lasts += fmt.Sprintf(" and %s", plain.Count(a.uses, "session"))
	}
	return fmt.Sprintf("approved for %s by %d of %s, waiting %s", lasts, a.need, strings.Join(people, ", "), strict.FormatDuration(a.wait))
}

// words is "" for conditions that ask nothing.
func (c *conditions) words() string {
	var out []string
	if len(c.from) > 0 {
		networks := make([]string, 0, len(c.from))
		for _, n := range c.from {
			networks = append(networks, n.String())
		}
		slices.Sort(networks)
		out = append(out, "from "+strings.Join(networks, ", "))
	}
	if c.when != nil {
		out = append(out, c.when.words())
	}
	if !c.valid.open() {
		out = append(out, c.valid.words())
	}
	if c.mfa != nil {
		out = append(out, c.mfa.words())
	}
	if c.approval != nil {
		out = append(out, c.approval.words())
	}
	return strings.Join(out, "; ")
}

// String is the limits that there are: "session 8h, session_down 1GiB"; "none".
func (l Limits) String() string {
	var out []string
	duration := func(name string, d time.Duration) {
		if d != 0 {
			out = append(out, name+" "+strict.FormatDuration(d))
		}
	}
	size := func(name string, n int64) {
		if n != 0 {
			out = append(out, name+" "+strict.FormatSize(n))
		}
	}
	duration("session", l.Session)
	duration("idle", l.Idle)
	if l.Concurrent != 0 {
		out = append(out, fmt.Sprintf("concurrent %d", l.Concurrent))
	}
	if l.Connections != 0 {
		out = append(out, fmt.Sprintf("connections %d", l.Connections))
	}
	size("session_down", l.SessionDown)
	size("session_up", l.SessionUp)
	size("day_down", l.DayDown)
	size("day_up", l.DayUp)
	if len(out) == 0 {
		return "none"
	}
	return strings.Join(out, ", ")
}

// words is the entry of forward_local or forward_remote that d stands for.
func (d destination) words() string {
	switch {
	case d.any:
		return "*"
	case strings.HasSuffix(d.socket, "/"):
		return d.socket + "*"
	case d.socket != "":
		return d.socket
	case d.remote:
		return fmt.Sprint(d.port)
	}
	host, port := d.host, fmt.Sprint(d.port)
	if host == "" {
		host = "*"
	} else if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	if d.port == 0 {
		port = "*"
	}
	return host + ":" + port
}

func (r *rule) whoWords() string {
	if r.everyone {
		return "everyone"
	}
	var out []string
	for _, s := range r.who {
		out = append(out, s.name)
	}
	return listWords(out)
}

func (r *rule) whereWords() string {
	if r.everywhere {
		return "every target"
	}
	var out []string
	for _, t := range r.targets {
		out = append(out, t.FullName())
	}
	for _, l := range r.targetLabs {
		out = append(out, "lab "+l.name)
	}
	return listWords(out)
}

// listWords is a list that ends where nobody reads on.
func listWords(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return plain.List(names, maxNamed)
}
