package session

import (
	"bytes"
	"fmt"
	"time"

	"entry/session/recording/control"
)

const (
	maxTypedPanes = 64      // panes into which something is typed that nothing was shown of; beyond, all is kept
	maxTypedLine  = 4 << 10 // bytes of a line of tmux's commands that is looked at; what is longer types no password
)

// panes keep answers to password prompts out of what a tmux in control mode is told to
// type into its panes: tmux -CC, as iTerm2 has it, sends each key as a command of its own,
// and shows the prompt as output of a pane. Each pane has a mask. What isn't typed is kept
// as it comes, and may so stand before what was typed sooner.
type panes struct {
	out    keeper
	stream *control.Stream
	keys   control.Keys
	of     map[string]*pane
	last   *pane  // that wrote last
	around []byte // the end of a line that is no pane's
	asked  []byte // the last of those lines that is a known prompt: a pane's, from before somebody attached
	lines  int    // answers so far, of all panes
	err    error  // of what was kept since last asked for
}

// pane is one of tmux's, and what was typed into it of which it isn't known whether it is
// kept, in order.
type pane struct {
	mask
	all   *panes
	typed []*keystrokes
}

// keystrokes are what one command types, as far as they are undecided.
type keystrokes struct {
	n    int
	at   int // in the line's commands
	line *typedLine
}

// typedLine is a line of tmux's commands that types something.
type typedLine struct {
	raw      []byte
	commands []control.Command
	kept     [][]byte // of each command's keys
	masked   bool     // some aren't
	left     int      // keys that are undecided
}

func newPanes(out keeper) *panes {
	p := &panes{out: out, of: map[string]*pane{}}
	p.stream = control.New(control.Options{Cols: 80, Rows: 24, Around: p.beside, Open: func(name string, _, _ int) control.Display { return p.pane(name) }})
	return p
}

// on reports whether input is tmux's commands.
func (p *panes) on() bool { return p.stream.On() }

// shown takes output.
func (p *panes) shown(b []byte) error {
	p.stream.Write(0, b)
	return p.failed()
}

func (p *panes) failed() error {
	err := p.err
	p.err = nil
	return err
}

// beside takes what is no pane's output.
func (p *panes) beside(_ time.Duration, b []byte) {
	for line := range bytes.Lines(b) {
		p.around = latest(p.around, line, maxPrompt)
		if line[len(line)-1] != '\n' {
			continue
		}
		if q := question(bytes.TrimRight(p.around, "\r\n")); prompts.Match(q) {
			p.asked = bytes.Clone(q)
		}
		p.around = p.around[:0]
	}
}

// pane is the one of that name, made if there is none.
func (p *panes) pane(name string) *pane {
	w := p.of[name]
	if w == nil {
		w = &pane{all: p}
		w.in = w
		w.shows.last = bytes.Clone(p.asked)
		p.of[name] = w
	}
	return w
}

// Write implements control.Display.
func (w *pane) Write(_ time.Duration, b []byte) {
	w.all.last = w
	w.mask.lines = w.all.lines
	w.all.note(w.mask.shown(b))
}

// Doubtful, Resize and Close implement control.Display: of a pane that goes, or gives its
// place to others, all that is undecided is told.
func (w *pane) Doubtful()                      {}
func (w *pane) Resize(time.Duration, int, int) {}
func (w *pane) Close(time.Duration) {
	w.all.note(w.mask.end(w))
	for name, o := range w.all.of {
		if o == w {
			delete(w.all.of, name)
		}
	}
	if w.all.last == w {
		w.all.last = nil
	}
}

func (p *panes) note(err error) {
	if p.err == nil {
		p.err = err
	}
}

// kept has input kept, but for what is masked, and what may be.
func (p *panes) kept(b []byte) error {
	p.keys.Lines(b, func(raw []byte, commands []control.Command) {
		line := &typedLine{raw: raw, commands: commands, kept: make([][]byte, len(commands))}
		for _, c := range commands {
			if c.Bare { // what else a command says is no answer, and is kept with its keys
				line.left += len(c.Keys)
			}
		}
		if line.left == 0 {
			p.note(p.out.take(raw))
			return
		}
		line.raw = bytes.Clone(raw)
		for i, c := range commands {
			if c.Bare {
				p.into(c.Pane, &keystrokes{n: len(c.Keys), at: i, line: line})
			}
		}
	})
	if p.keys.Held() > maxTypedLine {
		p.note(p.out.take(p.keys.Spill()))
	}
	return p.failed()
}

// into has keys typed into a pane; without a name, or one that tmux alone knows, that is
// the one that wrote last.
func (p *panes) into(name string, k *keystrokes) {
	w := p.of[name]
	switch {
	case w != nil:
	case name == "" && p.last != nil:
		w = p.last
	case len(p.of) < maxTypedPanes:
		w = p.pane(name)
	default:
		k.decide(k.n, k.line.commands[k.at].Keys)
		p.note(p.done(k.line))
		return
	}
	w.typed = append(w.typed, k)
	w.mask.lines = p.lines
	p.note(w.mask.kept(w, k.line.commands[k.at].Keys))
}

// left hears that input isn't tmux's commands: the line that was begun is whatever it is.
func (p *panes) left() error {
	held := p.keys.Spill()
	p.keys = control.Keys{}
	return p.out.take(held)
}

// end takes what is undecided when no more comes.
func (p *panes) end() error {
	p.stream.Close(0)
	for _, w := range p.of { // in which nothing was shown
		w.Close(0)
	}
	p.note(p.left())
	return p.failed()
}

// take implements keeper: what a mask keeps of keys.
func (w *pane) take(keys []byte) error { return w.decide(len(keys), keys) }

// blank implements keeper: what it masks.
func (w *pane) blank(n int, words string) error {
	if n == 0 {
		return nil
	}
	w.all.lines++
	if err := w.all.out.blank(n, words); err != nil {
		return err
	}
	return w.decide(n, nil)
}

// decide says of the first n undecided bytes that they are kept, which are given, or
// masked.
func (w *pane) decide(n int, keys []byte) error {
	for n > 0 && len(w.typed) > 0 {
		k := w.typed[0]
		used := min(n, k.n)
		var kept []byte
		if keys != nil {
			kept, keys = keys[:used], keys[used:]
		}
		k.decide(used, kept)
		n -= used
		if k.n == 0 {
			w.typed = w.typed[1:]
			if err := w.all.done(k.line); err != nil {
				return err
			}
		}
	}
	return nil
}

// decide says it of n of k; nil is masked.
func (k *keystrokes) decide(n int, keys []byte) {
	k.n -= n
	k.line.left -= n
	k.line.kept[k.at] = append(k.line.kept[k.at], keys...)
	k.line.masked = k.line.masked || keys == nil
}

// done keeps a line of which all is known: as it came, or, where keys are masked, with
// those that aren't in the form that names each byte.
func (p *panes) done(l *typedLine) error {
	switch {
	case l.left > 0:
		return nil
	case !l.masked:
		return p.out.take(l.raw)
	}
	var parts [][]byte
	for i, c := range l.commands {
		kept := l.kept[i]
		switch {
		case !c.Bare || len(kept) == len(c.Keys):
			parts = append(parts, c.Raw)
		case len(kept) > 0:
			to := ""
			if c.Pane != "" {
				to = " -t " + c.Pane
			}
			parts = append(parts, fmt.Appendf(nil, "send-keys%s -H % x", to, kept))
		}
	}
	clear(l.raw[:len(l.raw)-1])
	if len(parts) == 0 {
		return nil
	}
	return p.out.take(append(bytes.Join(parts, []byte(";")), l.raw[len(l.raw)-1]))
}
