package find

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"

	"entry/session/recording/screen"
)

const (
	// maxPassed is how many lines wait for one of the screen that is the same.
	maxPassed = 1 << 10

	// maxTold is how many lines of the screen that matched are remembered, of one moment or
	// another, so that parts of them that were written then are no other lines.
	maxTold = 256

	// maxAlike is how many lines that differ in numbers alone are hits: a counter that is
	// drawn again and again is hundreds.
	maxAlike = 8
)

// Passing is the note of a hit that is no line of the screen, which a replay doesn't show: it
// stands in the bytes as they came.
const Passing = "passing"

// passed are lines as they were written, or stood too shortly to be told, that match. Those
// that no line of the screen has, which stood at that moment or says the same, are hits.
type passed struct {
	waiting map[string]passing // by pane and what they say
	told    []told             // the last of them
	alike   map[string]*Hit    // the last one that is no hit itself, by what they say beside numbers; nil if all are
	counts  map[string]int     // how many hits there are
	seq     int                // of the last one
}

// passing is one of them.
type passing struct {
	hit  Hit
	says string
	seq  int
	raw  bool // it is of tmux's control mode, where its pane has what matches
}

// told is a line of the screen that matched.
type told struct {
	pane, says  string
	since, gone time.Duration
}

// says is what a line says, however far apart its words stand, with a blank at each end so
// that whole words are looked for in it.
func says(text string) string {
	return " " + strings.Join(strings.FieldsFunc(text, func(r rune) bool { return unicode.IsSpace(r) || r == 0 }), " ") + " "
}

// has reports whether the line has what passed: it stood there then, and it is part of it.
func (l told) has(p passing) bool {
	if at := p.hit.At; at < l.since || at > l.gone {
		return false
	}
	if p.raw {
		return strings.Contains(l.says, strings.TrimSpace(says(p.hit.Text[p.hit.From:p.hit.To])))
	}
	return l.pane == p.hit.Pane && strings.Contains(l.says, p.says)
}

// passing has a line as it was written, or as it stood too shortly to be told. Where no line
// of the screen has it, that stood on another terminal than the recording knows of, or on this
// one for no time that the recording knows.
func (c *channel) passing(s *scan, pane string, at time.Duration, line []byte, raw bool) {
	h, ok := s.matches(Hit{Channel: c.number, Pane: pane, Terminal: c.terminal, At: at, In: Output, Note: Passing}, line)
	if !ok || !s.inSpan(at) {
		return
	}
	h.Hidden = pane == "" && c.hidden.has(h.Text[h.From:h.To], at-time.Second, at)
	c.passed.seq++
	p := passing{h, says(h.Text), c.passed.seq, raw}
	key := pane + "\n" + p.says
	if _, had := c.passed.waiting[key]; had || c.has("passing\n"+key) || slices.ContainsFunc(c.passed.told, func(l told) bool { return l.has(p) }) {
		return
	}
	if len(c.passed.waiting) >= maxPassed {
		c.endPassing(s, maxPassed/2)
	}
	if c.passed.waiting == nil {
		c.passed.waiting = map[string]passing{}
	}
	c.passed.waiting[key] = p
}

// stands has a line of the screen that matches: what was written of it doesn't pass.
func (c *channel) stands(pane string, l *screen.Line) {
	t := told{pane, says(string(l.Text)), l.Since(), l.Gone}
	c.had("passing\n" + pane + "\n" + t.says)
	delete(c.passed.waiting, pane+"\n"+t.says)
	for key, p := range c.passed.waiting {
		if t.has(p) {
			delete(c.passed.waiting, key)
		}
	}
	if c.passed.told = append(c.passed.told, t); len(c.passed.told) > maxTold {
		c.passed.told = slices.Delete(c.passed.told, 0, maxTold/2)
	}
}

// endPassing makes hits of the n first lines that passed and that nothing else has, or of all.
func (c *channel) endPassing(s *scan, n int) {
	all := slices.SortedFunc(maps.Values(c.passed.waiting), func(a, b passing) int {
		return cmp.Or(cmp.Compare(a.hit.At, b.hit.At), cmp.Compare(a.seq, b.seq))
	})
	ends := n >= len(all)
	for i, p := range all[:min(n, len(all))] {
		delete(c.passed.waiting, p.hit.Pane+"\n"+p.says)
		part := func(q passing) bool {
			return q.hit.At-p.hit.At < time.Second && p.hit.At-q.hit.At < time.Second && q.hit.Pane == p.hit.Pane && len(q.says) > len(p.says) && strings.Contains(q.says, p.says)
		}
		if near := all[max(0, i-maxTwins):min(len(all), i+maxTwins)]; !slices.ContainsFunc(near, part) && !c.had("passing\n"+p.hit.Pane+"\n"+p.says) {
			c.emitPassing(s, p)
		}
	}
	if !ends {
		return
	}
	for _, key := range slices.Sorted(maps.Keys(c.passed.alike)) {
		if h := c.passed.alike[key]; h != nil {
			h.Alike = c.passed.counts[key] - maxAlike - 1
			s.emit(*h)
		}
	}
	c.passed = passed{}
}

// emitPassing makes one a hit, unless there are enough that differ from it in numbers alone:
// the last of those is one, with how many there were.
func (c *channel) emitPassing(s *scan, p passing) {
	if c.passed.counts == nil {
		c.passed.counts, c.passed.alike = map[string]int{}, map[string]*Hit{}
	}
	key := p.hit.Pane + "\n" + strings.Map(func(r rune) rune {
		if unicode.IsDigit(r) {
			return -1
		}
		return r
	}, p.says)
	n, known := c.passed.counts[key]
	if !known && len(c.passed.counts) >= maxMatched {
		s.emit(p.hit)
		return
	}
	if c.passed.counts[key] = n + 1; n < maxAlike {
		s.emit(p.hit)
		return
	}
	c.passed.alike[key] = &p.hit
}
