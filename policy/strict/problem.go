package strict

import (
	"cmp"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"entry/audit/plain"
)

// Problem is one thing wrong with a file, at its place. Line and Col count from
// 1, Col in characters; both are 0 where the file as a whole is meant.
type Problem struct {
	File    string `json:"file"`
	Line    int    `json:"line,omitempty"`
	Col     int    `json:"col,omitempty"`
	Code    string `json:"code"`              // stable: see [Codes]
	Warning bool   `json:"warning,omitempty"` // worth a look, but nothing is refused for it
	Message string `json:"message"`
	Snippet string `json:"-"` // the line and a caret under the column; "" without a line
}

// Place is where something stands in a file. Line and Col are as in a [Problem].
type Place struct {
	File      string
	Line, Col int
	Snippet   string
}

// String is "file:line" with the file's base name, for messages that point
// elsewhere.
func (p Place) String() string { return fmt.Sprintf("%s:%d", filepath.Base(p.File), p.Line) }

// Problem is one about what stands there.
func (p Place) Problem(code, format string, args ...any) Problem {
	return Problem{File: p.File, Line: p.Line, Col: p.Col, Code: code, Message: fmt.Sprintf(format, args...), Snippet: p.Snippet}
}

// Warning is a warning about what stands there.
func (p Place) Warning(code, format string, args ...any) Problem {
	problem := p.Problem(code, format, args...)
	problem.Warning = true
	return problem
}

// Error is "file:line:col: message [CODE]" and, on lines of their own, the
// snippet. Nothing in it can steer a terminal.
func (p Problem) Error() string {
	var b strings.Builder
	b.WriteString(printable(p.File))
	if p.Line > 0 {
		fmt.Fprintf(&b, ":%d:%d", p.Line, p.Col)
	}
	b.WriteString(": ")
	if p.Warning {
		b.WriteString("warning: ")
	}
	fmt.Fprintf(&b, "%s [%s]", printable(p.Message), p.Code)
	if p.Snippet != "" {
		b.WriteString("\n")
		b.WriteString(p.Snippet)
	}
	return b.String()
}

// Problems are all that is wrong, ordered by file, line and column.
type Problems []Problem

// maxShown bounds how many problems Error spells out: the first ones explain
// the rest.
const maxShown = 100

// Error is every problem's Error, one after the other.
func (ps Problems) Error() string {
	texts := make([]string, 0, min(len(ps), maxShown)+1)
	for i, p := range ps {
		if i == maxShown {
			texts = append(texts, fmt.Sprintf("and %d more", len(ps)-maxShown))
			break
		}
		texts = append(texts, p.Error())
	}
	return strings.Join(texts, "\n")
}

// Fatal are the problems that aren't warnings, nil if there are none.
func (ps Problems) Fatal() Problems {
	var out Problems
	for _, p := range ps {
		if !p.Warning {
			out = append(out, p)
		}
	}
	return out
}

// Sorted is ps in the order of places, without exact repetitions. It changes nothing:
// who still has ps would find it cut short, with empty problems at its end.
func (ps Problems) Sorted() Problems {
	ps = slices.Clone(ps)
	slices.SortStableFunc(ps, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Col, b.Col),
			cmp.Compare(a.Code, b.Code), cmp.Compare(a.Message, b.Message))
	})
	return slices.Compact(ps)
}

// snippetWidth is how many characters of a line a snippet shows: one terminal
// line with its margin.
const snippetWidth = 100

// snippet draws line with a caret under col; a long line is cut around it.
func snippet(line string, number, col int) string {
	runes := []rune(strings.TrimRight(line, "\r"))
	at := min(max(col-1, 0), len(runes))
	start := 0
	if at > snippetWidth-20 {
		start = at - snippetWidth/2
	}
	end := min(len(runes), start+snippetWidth)
	shown := make([]rune, 0, end-start)
	for _, r := range runes[start:end] {
		if r == '\t' {
			r = ' '
		} else if !plain.Visible(r) {
			r = utf8.RuneError
		}
		shown = append(shown, r)
	}
	return fmt.Sprintf("%6d | %s\n       | %s^", number, string(shown), strings.Repeat(" ", at-start))
}

// printable is s with everything a terminal might obey, or that could reorder
// what is read, written as an escape. A line end stays out too.
func printable(s string) string {
	if !strings.ContainsFunc(s, func(r rune) bool { return !plain.Visible(r) }) {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if plain.Visible(r) {
			b.WriteRune(r)
		} else {
			fmt.Fprintf(&b, "\\u%04x", r)
		}
	}
	return b.String()
}
