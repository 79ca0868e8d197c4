package strict

import (
	"path/filepath"
	"slices"
	"strings"

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

// IsMapping reports whether the file has this value and it is a mapping.
func (v Value) IsMapping() bool { return v.node != nil && v.node.Kind == yaml.MappingNode }

// IsList reports whether the file has this value and it is a list.
func (v Value) IsList() bool { return v.node != nil && v.node.Kind == yaml.SequenceNode }

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

// File is the base name of the value's file.
func (v Value) File() string {
	if v.doc == nil {
		return ""
	}
	return filepath.Base(v.doc.name)
}

// Place is where v stands, to speak of it once the document is gone; an absent
// value stands in its file.
func (v Value) Place() Place {
	switch {
	case v.doc == nil:
		return Place{}
	case v.node == nil:
		return v.doc.place(0, 0)
	}
	return v.doc.place(v.node.Line, v.node.Column)
}

// Errorf reports a problem at v.
func (v Value) Errorf(code, format string, args ...any) {
	if v.doc != nil && v.doc.count(false) {
		v.doc.problems = append(v.doc.problems, v.Place().Problem(code, format, args...))
	}
}

// Warnf reports a warning at v.
func (v Value) Warnf(code, format string, args ...any) {
	if v.doc != nil && v.doc.count(true) {
		v.doc.problems = append(v.doc.problems, v.Place().Warning(code, format, args...))
	}
}

// WrongKind reports that something else is wanted than what v is.
func (v Value) WrongKind(want string) {
	v.Errorf(CodeType, "want %s, found %s", want, v.found())
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
		key, ok := at.Want("a name")
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
		hint := DidYouMean(e.Key, known)
		if hint == "" {
			hint = "; known here: " + strings.Join(known, ", ")
		}
		e.At.Errorf(CodeUnknownKey, "unknown key %q%s", e.Key, hint)
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
	if !v.Present() && f.of.IsMapping() {
		f.of.Errorf(CodeMissing, "%q is missing", key)
	}
	return v
}

// Empty reports whether the file has the mapping and nothing stands in it.
func (f Fields) Empty() bool { return f.of.IsMapping() && len(f.of.node.Content) == 0 }

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

// SomeItems is Items, and reports a list without any. An empty list reads like
// "none" and like "no restriction": it has to be said otherwise.
func (v Value) SomeItems() []Value {
	items := v.Items()
	if v.IsList() && len(items) == 0 {
		v.Errorf(CodeMissing, "the list is empty; leave the key out or name something")
	}
	return items
}

// OneOrMore is SomeItems, and reads a single value as a list of one.
func (v Value) OneOrMore() []Value {
	if v.node != nil && v.node.Kind == yaml.ScalarNode {
		return []Value{v}
	}
	return v.SomeItems()
}

// is checks the kind of node; an absent value is silently not it.
func (v Value) is(kind yaml.Kind, want string) bool {
	if v.node == nil {
		return false
	}
	if v.node.Kind != kind {
		v.WrongKind(want)
		return false
	}
	return true
}
