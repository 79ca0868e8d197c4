package control

import (
	"bytes"
	"path"
	"strings"
)

// maxAsked is how much of a line of input is looked at: bytes.
const maxAsked = 4 << 10

// Request knows whether the session's own side asked for control mode: by the command that it
// was opened with, or by a line of input, where that is recorded. What a terminal shows proves
// nothing: a program can look like a shell at whose prompt somebody typed that.
type Request struct {
	asked bool
	line  []byte
}

// RequestOf returns the request of a channel that was opened with a command, or with none.
func RequestOf(command string) *Request { return &Request{asked: Asked(command)} }

// Sent takes input.
func (r *Request) Sent(b []byte) {
	for !r.asked && len(b) > 0 {
		n := bytes.IndexAny(b, "\r\n")
		end := n >= 0
		if !end {
			n = len(b)
		}
		r.line = append(r.line, b[:min(n, max(0, maxAsked-len(r.line)))]...)
		if !end {
			return
		}
		r.asked, r.line, b = Asked(string(r.line)), r.line[:0], b[n+1:]
	}
}

// Asked reports whether it did.
func (r *Request) Asked() bool { return r.asked }

// Asked reports whether command runs tmux in control mode (tmux(1), -C), where a program
// reads the terminal line by line. Only what stands in the command itself is seen.
func Asked(command string) bool {
	words := strings.FieldsFunc(command, func(r rune) bool { return strings.ContainsRune(" \t\n;&|()'\"`", r) })
	for i, w := range words {
		if path.Base(w) == "tmux" && hasControl(words[i+1:]) {
			return true
		}
	}
	return false
}

// hasControl looks for -C among tmux's own options, which end where its command
// begins.
func hasControl(args []string) bool {
	for i := 0; i < len(args); i++ {
		flags, ok := strings.CutPrefix(args[i], "-")
		if !ok || flags == "" || flags == "-" {
			return false
		}
		for at, f := range flags {
			if f == 'C' {
				return true
			}
			if strings.ContainsRune("cfLST", f) { // has an argument
				if at == len(flags)-1 {
					i++
				}
				break
			}
		}
	}
	return false
}
