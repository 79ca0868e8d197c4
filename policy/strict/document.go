package strict

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"

	"entry/audit/plain"
)

// maxDepth bounds nesting; the deepest value that means anything is at 7.
const maxDepth = 32

// Document is one YAML file being read strictly. Whatever is found wrong, here
// and by the readers of its [Value]s, is collected in Problems. It isn't safe
// for concurrent use.
type Document struct {
	name     string
	lines    []string
	root     *yaml.Node
	problems Problems

	errors, warnings int // met, whether kept or not
}

// Read parses f: UTF-8 without control or invisible characters, exactly one
// YAML document, no anchors, aliases, merge keys or tags, no duplicate keys, at
// most [MaxFileSize] bytes. It always returns a Document; where the file
// couldn't be parsed its Root isn't present, so that reading on adds no noise.
func Read(f File) *Document {
	d := &Document{name: f.Name}
	if len(f.Data) > MaxFileSize {
		d.report(0, 0, CodeTooLarge, "the file is larger than 4 MiB")
		return d
	}
	d.lines = strings.Split(string(f.Data), "\n")
	if !d.checkText() {
		return d
	}
	d.parse(f.Data)
	return d
}

// Name is the file's name as it stands in messages.
func (d *Document) Name() string { return d.name }

// Problems are those found so far, ordered by place.
func (d *Document) Problems() Problems { return d.problems.Sorted() }

// Found is how many problems and warnings there were so far, repeated ones and
// those beyond what is kept included: more of them tell that something was wrong
// with what was read in between.
func (d *Document) Found() int { return d.errors + d.warnings }

// Root is the document's top value; absent where the file couldn't be parsed.
func (d *Document) Root() Value { return Value{doc: d, node: d.root} }

// maxProblems bounds what one hopeless file costs to report. Warnings have a
// bound of their own: they must never keep a problem out.
const (
	maxProblems = 500
	maxWarnings = 200
)

// maxSnippetLine is the longest line, in bytes, that is shown with a problem.
const maxSnippetLine = 4096

// Add keeps a problem with the document that was found otherwise than by its
// values' readers.
func (d *Document) Add(p Problem) {
	if d.count(p.Warning) {
		d.problems = append(d.problems, p)
	}
}

// count counts a problem and reports whether it is to be kept.
func (d *Document) count(warning bool) bool {
	if warning {
		d.warnings++
		return d.warnings <= maxWarnings
	}
	d.errors++
	return d.errors <= maxProblems
}

func (d *Document) report(line, col int, code, message string) {
	d.Add(d.place(line, col).Problem(code, "%s", message))
}

func (d *Document) place(line, col int) Place {
	p := Place{File: d.name, Line: line, Col: col}
	if line > 0 && line <= len(d.lines) && len(d.lines[line-1]) <= maxSnippetLine {
		p.Snippet = snippet(d.lines[line-1], line, col)
	}
	return p
}

// checkText looks for what must not stand in a reviewed file: bytes that are
// no text, and characters that make a reviewer see something else than the
// parser does (CVE-2021-42574).
func (d *Document) checkText() bool {
	sound := true
	for i, line := range d.lines {
		line = strings.TrimSuffix(line, "\r")
		space, mark := strangers(line)
		if space.col > 0 {
			d.report(i+1, space.col, CodeEncoding, fmt.Sprintf("%s (U+%04X) looks like a space and is none; type it anew", spaceName(space.r), space.r))
			sound = false
		}
		if mark.col > 0 {
			d.report(i+1, mark.col, CodeEncoding, fmt.Sprintf("a typographic quotation mark (U+%04X), which quotes nothing here; type \" instead, also at the end", mark.r))
			sound = false
		}
		col := 0
		for at, r := range line {
			col++
			if r == utf8.RuneError {
				if _, size := utf8.DecodeRuneInString(line[at:]); size <= 1 {
					d.report(i+1, col, CodeEncoding, "not UTF-8 text")
					return false
				}
			}
			if r == '\t' || r == utf8.RuneError || plain.Visible(r) || r == '\ufeff' && i == 0 && at == 0 {
				continue
			}
			d.report(i+1, col, CodeEncoding, "a control or invisible character; write it out or leave it out")
			return false
		}
	}
	return sound
}

// strange is a character of a line that only looks like one of YAML's; col 0: none.
type strange struct {
	col int
	r   rune
}

// strangers finds the first space of a line that is none to YAML, which came along with
// pasted text, and the first value that begins with a quotation mark which is none to
// YAML, as word processors make them; within a text such a mark is text. In quotes and
// comments both change nothing.
func strangers(line string) (space, mark strange) {
	var quote, before, last rune // last is before but for spaces
	only := true                 // nothing but dashes and spaces came yet
	col := 0
	for _, r := range line {
		col++
		switch {
		case quote != 0:
			if r == quote {
				quote = 0
			}
		case (r == '"' || r == '\'') && (last == 0 || strings.ContainsRune("[{,:-", last)):
			quote = r
		case r == '#' && (before == 0 || before == ' ' || before == '\t'):
			return space, mark
		case space.col == 0 && r != ' ' && unicode.Is(unicode.Zs, r):
			space = strange{col, r}
		case mark.col == 0 && strings.ContainsRune("“”„‟‘’‚«»", r) && (only || last == '[' || last == '{' || last == ':' && before == ' '):
			mark = strange{col, r}
		}
		only = only && (r == ' ' || r == '-')
		if before = r; r != ' ' && r != '\t' {
			last = r
		}
	}
	return space, mark
}

func spaceName(r rune) string {
	if r == '\u00a0' || r == '\u202f' {
		return "a no-break space"
	}
	return "a character"
}

// indentedByTabs reports each line whose indentation has a tab in it, and whether
// there are any. It is asked where the parser has failed: elsewhere tabs may be
// right.
func (d *Document) indentedByTabs() bool {
	found := false
	for i, line := range d.lines {
		indent := line[:len(line)-len(strings.TrimLeft(line, " \t"))]
		rest := strings.TrimRight(line[len(indent):], "\r")
		if tab := strings.IndexByte(indent, '\t'); tab >= 0 && rest != "" && rest[0] != '#' {
			d.report(i+1, tab+1, CodeSyntax, "a tab; YAML is indented by spaces alone")
			found = true
		}
	}
	return found
}

func (d *Document) parse(data []byte) {
	loader, err := yaml.NewLoader(bytes.NewReader(data))
	if err != nil {
		d.report(0, 0, CodeSyntax, "not valid YAML: "+err.Error())
		return
	}
	var first yaml.Node
	switch err := loader.Load(&first); {
	case errors.Is(err, io.EOF):
		d.report(0, 0, CodeEmpty, "the file is empty")
		return
	case err != nil:
		d.syntax(err)
		return
	}
	var second yaml.Node
	switch err := loader.Load(&second); {
	case errors.Is(err, io.EOF):
	case err != nil:
		d.syntax(err)
		return
	default:
		d.report(second.Line, max(second.Column, 1), CodeSecondDoc, "a second document; a file holds one")
		return
	}
	if first.Kind != yaml.DocumentNode || len(first.Content) != 1 {
		d.report(0, 0, CodeEmpty, "the file is empty")
		return
	}
	root := first.Content[0]
	if root.Kind == yaml.ScalarNode && root.Tag == "!!null" {
		d.report(0, 0, CodeEmpty, "the file is empty")
		return
	}
	before := len(d.problems)
	d.checkShape(root, 1)
	if len(d.problems) == before {
		d.root = root
	}
}

// wrapped is a line that has nothing but the rest of a public key.
var wrapped = regexp.MustCompile(`^\s*[A-Za-z0-9+/]{16,}={0,2}(\s+\S+)?\s*$`)

// pasted reports lines that a mail or a word processor has changed, and whether there
// are any. It is asked where the parser has failed: elsewhere they may be right.
func (d *Document) pasted() bool {
	found := false
	for i, line := range d.lines {
		rest := strings.TrimLeft(line, " ")
		at := len(line) - len(rest) + 1
		switch {
		case strings.HasPrefix(rest, "\u2013 "), strings.HasPrefix(rest, "\u2014 "), strings.HasPrefix(rest, "\u2212 "):
			d.report(i+1, at, CodeSyntax, "a dash that only looks like a hyphen; type - instead")
		case i > 0 && wrapped.MatchString(line) && strings.Contains(d.lines[i-1], "AAAA"):
			d.report(i+1, at, CodeSyntax, "the rest of the key on the line before; a key stands on one line")
		default:
			continue
		}
		found = true
	}
	return found
}

// syntax reports a parse error at its place, in the parser's words.
func (d *Document) syntax(err error) {
	var le *yaml.LoadError
	if !errors.As(err, &le) {
		d.report(0, 0, CodeSyntax, "not valid YAML: "+err.Error())
		return
	}
	if d.indentedByTabs() {
		return
	}
	line, col := le.Mark.Line, le.Mark.Column
	// A construct left open is found at the end of the file; where it began
	// is of more help.
	if le.ContextMark.Line > 0 && (line == 0 || strings.Contains(le.Message, "end of stream")) {
		line, col = le.ContextMark.Line, le.ContextMark.Column
	}
	if line == 0 {
		col = 0
	}
	// What is missing at the end of the file is shown where the text ends.
	last := len(d.lines)
	for last > 1 && strings.TrimSpace(d.lines[last-1]) == "" {
		last--
	}
	if line > last {
		line, col = last, utf8.RuneCountInString(strings.TrimRight(d.lines[last-1], "\r"))+1
	}
	if at := []rune(d.lines[max(line, 1)-1]); col > 0 && col <= len(at) {
		switch at[col-1] {
		case '\t':
			d.report(line, col, CodeSyntax, "a tab; YAML wants spaces here")
			return
		case '@': // as a line of known_hosts does, pasted whole
			d.report(line, col, CodeSyntax, "no text begins with @ here: put it in quotes; of a @cert-authority line keep the key alone, for host_ca")
			return
		}
	}
	if d.pasted() {
		return
	}
	message := "not valid YAML: " + le.Message
	if le.ContextMsg != "" {
		message += " " + le.ContextMsg
	}
	d.report(line, col, CodeSyntax, message)
}

// checkShape refuses indirection and depth throughout, before anything is
// read: what a reviewer sees at a place is what holds there.
func (d *Document) checkShape(n *yaml.Node, depth int) {
	if depth > maxDepth {
		d.report(n.Line, n.Column, CodeTooLarge, "nested too deeply")
		return
	}
	switch {
	case n.Kind == yaml.AliasNode || n.Anchor != "":
		d.report(n.Line, n.Column, CodeIndirect, "anchors and aliases aren't read here; write the value out")
		return
	case n.Tag == "!!merge":
		d.report(n.Line, n.Column, CodeIndirect, "merge keys aren't read here; write the values out")
		return
	case n.Style&yaml.TaggedStyle != 0:
		d.report(n.Line, n.Column, CodeIndirect, "tags aren't read here; leave it out")
		return
	}
	for _, c := range n.Content {
		d.checkShape(c, depth+1)
	}
}
