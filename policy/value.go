package policy

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"
)

// Value is one value of a [Document], or the absence of one. Its readers report
// what doesn't fit and then return a harmless value, so that one pass finds
// every problem; on an absent Value they report nothing. An explicit null is
// never taken for absence: it is reported as a value of the wrong kind.
type Value struct {
	doc  *Document
	node *yaml.Node
}

// Present reports whether the file has this value.
func (v Value) Present() bool { return v.node != nil }

// IsEmpty reports whether the file has this value and it is the empty text.
func (v Value) IsEmpty() bool {
	return v.node != nil && v.node.Kind == yaml.ScalarNode && v.node.Tag == "!!str" && v.node.Value == ""
}

// Line is the value's line, 0 if it is absent.
func (v Value) Line() int {
	if v.node == nil {
		return 0
	}
	return v.node.Line
}

// Errorf reports a problem at v.
func (v Value) Errorf(code, format string, args ...any) { v.problem(code, false, format, args...) }

// Warnf reports a warning at v.
func (v Value) Warnf(code, format string, args ...any) { v.problem(code, true, format, args...) }

func (v Value) problem(code string, warning bool, format string, args ...any) {
	if v.doc == nil {
		return
	}
	line, col := v.at()
	v.doc.report(line, col, code, fmt.Sprintf(format, args...), warning)
}

// at is v's place, 0, 0 where it is absent.
func (v Value) at() (line, col int) {
	if v.node == nil {
		return 0, 0
	}
	return v.node.Line, v.node.Column
}

// Entry is one pair of a mapping; At is the key, for reports about the name.
type Entry struct {
	Key   string
	At    Value
	Value Value
}

// Entries reads a mapping with free keys, in file order. Duplicate keys are
// reported and left out.
func (v Value) Entries() []Entry {
	if !v.is(yaml.MappingNode, "a mapping (name: value)") {
		return nil
	}
	out := make([]Entry, 0, len(v.node.Content)/2)
	seen := make(map[string]int, len(v.node.Content)/2)
	for i := 0; i+1 < len(v.node.Content); i += 2 {
		at := Value{v.doc, v.node.Content[i]}
		key, ok := at.text("a name")
		if !ok {
			continue
		}
		if line, dup := seen[key]; dup {
			at.Errorf(CodeDuplicate, "%q stands here twice; the first is on line %d", key, line)
			continue
		}
		seen[key] = at.Line()
		out = append(out, Entry{Key: key, At: at, Value: Value{v.doc, v.node.Content[i+1]}})
	}
	return out
}

// Fields is a mapping with a closed set of keys.
type Fields struct {
	of     Value
	values map[string]Value
}

// Fields reads a mapping whose keys are known; any other key is reported.
func (v Value) Fields(known ...string) Fields {
	f := Fields{of: v, values: make(map[string]Value, len(known))}
	for _, e := range v.Entries() {
		if slices.Contains(known, e.Key) {
			f.values[e.Key] = e.Value
			continue
		}
		hint := "known here: " + strings.Join(known, ", ")
		if near := nearest(e.Key, known); near != "" {
			hint = fmt.Sprintf("did you mean %q?", near)
		}
		e.At.Errorf(CodeUnknownKey, "unknown key %q; %s", e.Key, hint)
	}
	return f
}

// Get is the value under key, absent if there is none.
func (f Fields) Get(key string) Value {
	if v, ok := f.values[key]; ok {
		return v
	}
	return Value{doc: f.of.doc}
}

// Need is like Get, and reports an absent value at the mapping. A mapping that
// couldn't be read is already reported; nothing is added.
func (f Fields) Need(key string) Value {
	v := f.Get(key)
	if !v.Present() && f.of.Present() && f.of.node.Kind == yaml.MappingNode {
		f.of.Errorf(CodeMissing, "%q is missing", key)
	}
	return v
}

// Items reads a list.
func (v Value) Items() []Value {
	if !v.is(yaml.SequenceNode, "a list") {
		return nil
	}
	out := make([]Value, len(v.node.Content))
	for i, n := range v.node.Content {
		out[i] = Value{v.doc, n}
	}
	return out
}

// OneOrMore reads a list, or a single value as a list of one.
func (v Value) OneOrMore() []Value {
	if v.node != nil && v.node.Kind == yaml.ScalarNode {
		return []Value{v}
	}
	return v.Items()
}

// SomeItems is Items, and reports a list without any. An empty list reads like
// "none" and like "no restriction": it has to be said otherwise.
func (v Value) SomeItems() []Value {
	items := v.Items()
	if v.node != nil && v.node.Kind == yaml.SequenceNode && len(items) == 0 {
		v.Errorf(CodeMissing, "the list is empty; leave the key out or name something")
	}
	return items
}

// Text reads one line of text.
func (v Value) Text() string {
	s, _ := v.text("text")
	return s
}

func (v Value) text(want string) (string, bool) {
	if !v.is(yaml.ScalarNode, want) {
		return "", false
	}
	if v.node.Tag != "!!str" {
		v.Errorf(CodeType, "want %s, found %s; quote it if it is meant as text", want, v.found())
		return "", false
	}
	s := strings.TrimRight(v.node.Value, "\n")
	if i := strings.IndexFunc(s, func(r rune) bool { return !showable(r) }); i >= 0 {
		v.Errorf(CodeEncoding, "want one line of text without control characters")
		return "", false
	}
	return s, true
}

// Choice reads one of a closed set of words and gives its index, 0 if the value
// is absent or wrong.
func (v Value) Choice(words ...string) int {
	s, ok := v.text("one of " + strings.Join(words, ", "))
	if !ok {
		return 0
	}
	i := slices.Index(words, s)
	if i < 0 {
		v.Errorf(CodeValue, "%q is not one of %s", s, strings.Join(words, ", "))
		return 0
	}
	return i
}

// Bool reads true or false; the YAML 1.1 spellings (yes, on) are reported.
func (v Value) Bool(def bool) bool {
	if !v.is(yaml.ScalarNode, "true or false") {
		return def
	}
	switch v.node.Value {
	case "true", "false":
		if v.node.Tag == "!!bool" {
			return v.node.Value == "true"
		}
	}
	v.Errorf(CodeType, "want true or false, found %s", v.found())
	return def
}

// Int reads a decimal number from least to most.
func (v Value) Int(def, least, most int64) int64 {
	if !v.is(yaml.ScalarNode, "a number") {
		return def
	}
	n, err := strconv.ParseInt(v.node.Value, 10, 64)
	if v.node.Tag != "!!int" || err != nil {
		v.Errorf(CodeType, "want a whole number, found %s", v.found())
		return def
	}
	if n < least || n > most {
		v.Errorf(CodeValue, "%d is out of range; want %d to %d", n, least, most)
		return def
	}
	return n
}

// Duration reads "90s", "10m", "12h" or a combination of those.
func (v Value) Duration(def, least, most time.Duration) time.Duration {
	if !v.is(yaml.ScalarNode, "a duration such as 30s, 10m or 12h") {
		return def
	}
	d, err := time.ParseDuration(v.node.Value)
	if err != nil {
		v.Errorf(CodeType, "want a duration such as 30s, 10m or 12h, found %s", v.found())
		return def
	}
	if d < least || d > most {
		v.Errorf(CodeValue, "%s is out of range; want %s to %s", v.node.Value, short(least), short(most))
		return def
	}
	return d
}

// Days reads "90d" as a whole number of days.
func (v Value) Days(def time.Duration, least, most int64) time.Duration {
	const want = "a number of days such as 90d"
	if !v.is(yaml.ScalarNode, want) {
		return def
	}
	number, ok := strings.CutSuffix(v.node.Value, "d")
	n, err := strconv.ParseInt(number, 10, 32)
	if !ok || err != nil {
		v.Errorf(CodeType, "want %s, found %s", want, v.found())
		return def
	}
	if n < least || n > most {
		v.Errorf(CodeValue, "%s is out of range; want %dd to %dd", v.node.Value, least, most)
		return def
	}
	return time.Duration(n) * 24 * time.Hour
}

// units are the sizes that a file may use; powers of 1000 are left out, because
// half of their readers take them for powers of 1024.
var units = []struct {
	name  string
	bytes int64
}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40}}

// Size reads a number of bytes: "64KiB", "1GiB", or a plain number.
func (v Value) Size(def, least, most int64) int64 {
	const want = "a size such as 512MiB or 1GiB"
	if !v.is(yaml.ScalarNode, want) {
		return def
	}
	text, unit := v.node.Value, int64(1)
	for _, u := range units {
		if number, ok := strings.CutSuffix(text, u.name); ok {
			text, unit = strings.TrimSuffix(number, " "), u.bytes
			break
		}
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || unit > 1 && v.node.Tag != "!!str" {
		v.Errorf(CodeType, "want %s, found %s", want, v.found())
		return def
	}
	if n > most/unit || n*unit < least {
		v.Errorf(CodeValue, "%s is out of range; want %s to %s", v.node.Value, sizeText(least), sizeText(most))
		return def
	}
	return n * unit
}

func sizeText(n int64) string {
	for i := len(units) - 1; i >= 0; i-- {
		if u := units[i]; n >= u.bytes && n%u.bytes == 0 {
			return fmt.Sprintf("%d%s", n/u.bytes, u.name)
		}
	}
	return strconv.FormatInt(n, 10)
}

// Network reads "192.0.2.0/24", "2001:db8::/32" or a single address. One way to
// write each: no bits beyond the prefix, no IPv4 inside IPv6, no zone.
func (v Value) Network() (netip.Prefix, bool) {
	s, ok := v.text(`a network such as "192.0.2.0/24"`)
	if !ok {
		return netip.Prefix{}, false
	}
	if addr, err := netip.ParseAddr(s); err == nil && addr.Zone() == "" && !addr.Is4In6() {
		return netip.PrefixFrom(addr, addr.BitLen()), true
	}
	network, err := netip.ParsePrefix(s)
	switch {
	case err != nil || network.Addr().Is4In6():
		v.Errorf(CodeValue, "%q: want a network such as 192.0.2.0/24 or 2001:db8::/32, or one address", s)
	case network != network.Masked():
		v.Errorf(CodeValue, "%q: bits are set beyond the prefix; the network is %s", s, network.Masked())
	default:
		return network, true
	}
	return netip.Prefix{}, false
}

// short is d without the zero units that time.Duration prints: "12h".
func short(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = s[:len(s)-2]
	}
	if strings.HasSuffix(s, "h0m") {
		s = s[:len(s)-2]
	}
	return s
}

// is checks the kind of node; an absent value is silently not it.
func (v Value) is(kind yaml.Kind, want string) bool {
	if v.node == nil {
		return false
	}
	if v.node.Kind != kind {
		v.Errorf(CodeType, "want %s, found %s", want, v.found())
		return false
	}
	return true
}

func (v Value) found() string {
	switch v.node.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	}
	switch v.node.Tag {
	case "!!null":
		return "nothing"
	case "!!bool", "!!int", "!!float", "!!timestamp":
		return strings.TrimPrefix(v.node.Tag, "!!") + " " + strconv.Quote(v.node.Value)
	}
	return strconv.Quote(v.node.Value)
}

// nearest finds the known word that a typing error may have meant.
func nearest(word string, known []string) string {
	best, at := "", 3 // at most two slips
	for _, k := range known {
		if d := distance(word, k); d < at && d < len(k) {
			best, at = k, d
		}
	}
	return best
}

// distance is the Levenshtein distance; words of 64 bytes and more are far
// from everything.
func distance(a, b string) int {
	if len(a) >= 64 || len(b) >= 64 {
		return 64
	}
	var row [65]int
	for j := range len(b) + 1 {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j+1]+1, row[j]+1)
		}
	}
	return row[len(b)]
}
