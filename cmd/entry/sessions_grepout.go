package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

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

	mu    sync.Mutex // guards what follows, and writing; no other lock is taken under it
	drawn time.Time  // when the bar was; zero while there is none
	sum   find.Report
}

func newGrepPrinter(cmd *cobra.Command, list []recording.Info) *grepPrinter {
	p := &grepPrinter{out: cmd.OutOrStdout(), errs: cmd.ErrOrStderr(), sum: find.Report{Summary: find.Summary{Sessions: len(list)}}}
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
	p.sum.Take(r)
	switch {
	case r.Unread != nil && p.lines == nil:
		return nil // it is told in the end
	case r.Unread != nil:
		return p.lines.Encode(r.Unread.Line())
	case p.lines != nil:
		return p.lines.Encode(r.Hit.Line(p.replay(*r.Hit)))
	}
	_, err := fmt.Fprintf(p.out, "%s\n    %s\n", r.Hit, p.replay(*r.Hit))
	return err
}

// tellUnread says on standard error what wasn't looked at: first what should be there,
// then what is known not to be.
func (p *grepPrinter) tellUnread() error {
	if p.lines != nil {
		return nil // it has told each
	}
	missing, kept := p.sum.NotLookedAt()
	for _, line := range missing {
		if _, err := fmt.Fprintln(p.errs, "entry: "+line); err != nil {
			return err
		}
	}
	if len(kept) == 0 {
		return nil
	}
	_, err := fmt.Fprint(p.errs, "entry: note: not searched, since that isn't kept:\n  ", strings.Join(kept, "\n  "), "\n")
	return err
}

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
	case h.Note == find.Passing:
		verb = fmt.Sprintf("export %s --channel %d --format raw -o FILE", h.Session.ID, h.Channel)
	case h.In == find.Input && !h.Terminal:
		verb = fmt.Sprintf("export %s --channel %d --format input -o FILE", h.Session.ID, h.Channel)
	}
	return "entry sessions " + verb + p.where
}
