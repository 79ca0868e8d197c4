package configs_test

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v4"

	"entry/policy"
	"entry/policy/strict"
)

const schemaFile = "policy.schema.json"

func schema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	f, err := os.Open(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	doc, err := jsonschema.UnmarshalJSON(f)
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource(schemaFile, doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// plain is a YAML node as an editor's YAML 1.2 sees it: dates are text.
func plain(t *testing.T, n *yaml.Node) any {
	t.Helper()
	switch n.Kind {
	case yaml.DocumentNode:
		return plain(t, n.Content[0])
	case yaml.MappingNode:
		m := map[string]any{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			m[n.Content[i].Value] = plain(t, n.Content[i+1])
		}
		return m
	case yaml.SequenceNode:
		list := []any{}
		for _, c := range n.Content {
			list = append(list, plain(t, c))
		}
		return list
	}
	switch n.Tag {
	case "!!null":
		return nil
	case "!!bool":
		return n.Value == "true"
	case "!!int":
		return json.Number(n.Value)
	}
	return n.Value
}

// check validates a file; ok is false where it isn't YAML at all.
func check(t *testing.T, s *jsonschema.Schema, path string) (err error, ok bool) {
	t.Helper()
	data, readErr := os.ReadFile(path)
	if readErr != nil {
		t.Fatal(readErr)
	}
	var n yaml.Node
	if yaml.Unmarshal(data, &n) != nil || n.Kind == 0 {
		return nil, false
	}
	return s.Validate(plain(t, &n)), true
}

func TestSchemaAcceptsTheExamples(t *testing.T) {
	s := schema(t)
	paths, err := filepath.Glob("policy.d/*.yaml")
	if err != nil || len(paths) == 0 {
		t.Fatal("no examples", err)
	}
	for _, path := range paths {
		if err, ok := check(t, s, path); err != nil || !ok {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// Of the files that the reader refuses these are right for all that a schema
// can tell: a second document is beyond an editor, what rules do together and which
// attributes of a directory can be compared beyond a schema.
func TestSchemaRefusesWhatTheReaderRefuses(t *testing.T) {
	beyond := []string{"realm-dn", "second-document", "shadowed", "tests", "unenforceable", "wildcard-meets-full"}
	s := schema(t)
	paths, err := filepath.Glob("../policy/testdata/*.bad.yaml")
	if err != nil || len(paths) == 0 {
		t.Fatal("no files", err)
	}
	for _, path := range paths {
		name := strings.TrimSuffix(filepath.Base(path), ".bad.yaml")
		err, ok := check(t, s, path)
		if ok && (err == nil) != slices.Contains(beyond, name) {
			t.Errorf("%s: accepted %v", name, err == nil)
		}
	}
}

// An unknown key makes the reader list those it knows. The schema has the same
// at every place where it knows keys at all.
func TestSchemaHasTheReadersKeys(t *testing.T) {
	const rule = "rules: [{name: a, "
	places := map[string]string{
		"":                                "zzzzzzzzz: 1",
		"/$defs/lab":                      "labs: {a: {zzzzzzzzz: 1}}",
		"/$defs/lab/properties/egress":    "labs: {a: {egress: {zzzzzzzzz: 1}}}",
		"/$defs/target":                   "labs: {a: {targets: {b: {zzzzzzzzz: 1}}}}",
		"/$defs/rule":                     rule + "zzzzzzzzz: 1}]",
		"/$defs/who":                      rule + "who: {zzzzzzzzz: 1}}]",
		"/$defs/where":                    rule + "where: {zzzzzzzzz: 1}}]",
		"/$defs/window":                   rule + "when: {zzzzzzzzz: 1}}]",
		"/$defs/rule/properties/valid":    rule + "valid: {zzzzzzzzz: 1}}]",
		"/$defs/rule/properties/mfa":      rule + "mfa: {zzzzzzzzz: 1}}]",
		"/$defs/rule/properties/bulk":     rule + "bulk: {zzzzzzzzz: 1}}]",
		"/$defs/rule/properties/limits":   rule + "limits: {zzzzzzzzz: 1}}]",
		"/$defs/rule/properties/approval": rule + "approval: {zzzzzzzzz: 1}}]",
		"/$defs/test":                     "tests: [{zzzzzzzzz: 1}]",
	}
	data, err := os.ReadFile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	var root map[string]any
	if err := json.Unmarshal(data, &root); err != nil {
		t.Fatal(err)
	}
	objects := map[string]map[string]any{}
	collect("", root, objects)
	if got, want := slices.Sorted(maps.Keys(objects)), slices.Sorted(maps.Keys(places)); !slices.Equal(got, want) {
		t.Fatalf("the schema has objects at %q, the test knows %q", got, want)
	}
	known := regexp.MustCompile(`unknown key "zzzzzzzzz"; known here: ([a-z_, ]+) \[`)
	for place, text := range places {
		_, err := policy.Parse(strict.File{Name: "x.yaml", Data: []byte(text)})
		if err == nil {
			t.Fatalf("%s: accepted", text)
		}
		m := known.FindStringSubmatch(err.Error())
		if m == nil {
			t.Fatalf("%s: %v", text, err)
		}
		reader := strings.Split(m[1], ", ")
		slices.Sort(reader)
		if own := slices.Sorted(maps.Keys(objects[place])); !slices.Equal(own, reader) {
			t.Errorf("%s: the schema has %q, the reader %q", place, own, reader)
		}
	}
}

// collect finds the objects with properties of their own, by their place.
func collect(place string, node map[string]any, into map[string]map[string]any) {
	properties, ok := node["properties"].(map[string]any)
	if ok && node["type"] == "object" {
		into[place] = properties
	}
	for _, group := range []string{"properties", "$defs"} {
		children, _ := node[group].(map[string]any)
		for name, child := range children {
			if child, ok := child.(map[string]any); ok {
				collect(place+"/"+group+"/"+name, child, into)
			}
		}
	}
}
