package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

const barWidth = 30 // characters

// drawBar draws how much of what is done, over the bar before. One that can't be drawn
// isn't.
func drawBar(w io.Writer, what string, done, total int64, say func(int64) string) {
	full := int(barWidth * min(done, total) / max(total, 1))
	_, _ = fmt.Fprintf(w, "\r\x1b[K%s [%s%s] %s of %s", what, strings.Repeat("#", full), strings.Repeat(".", barWidth-full), say(done), say(total))
}

// wipeBar takes the bar away.
func wipeBar(w io.Writer) { _, _ = io.WriteString(w, "\r\x1b[K") }

// progress draws a bar on standard error, if that is a terminal, ten times a second at
// most. It is for one goroutine.
type progress struct {
	errs  io.Writer
	what  string
	total int
	on    bool
	drawn time.Time
}

func newProgress(cmd *cobra.Command, what string, total int) *progress {
	return &progress{errs: cmd.ErrOrStderr(), what: what, total: total, on: isTerminal(cmd.ErrOrStderr())}
}

func (p *progress) at(done int) {
	if now := time.Now(); p.on && now.Sub(p.drawn) >= 100*time.Millisecond {
		p.drawn = now
		drawBar(p.errs, p.what, int64(done), int64(p.total), func(n int64) string { return fmt.Sprint(n) })
	}
}

// end takes the bar away; it may be called again.
func (p *progress) end() {
	if p.on && !p.drawn.IsZero() {
		wipeBar(p.errs)
		p.drawn = time.Time{}
	}
}

// asked asks on the terminal.
func asked(question string) (bool, error) {
	fmt.Fprint(os.Stderr, question)
	line, err := bufio.NewReader(os.Stdin).ReadString('\n')
	return strings.EqualFold(strings.TrimSpace(line), "y"), err
}
