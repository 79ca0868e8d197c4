package strict_test

import (
	"strings"
	"testing"
	"time"

	"entry/audit/plain"
	"entry/e2e/testkit"
	"entry/policy/strict"
)

// Whatever stands in a file, reading it in every way there is ends, in problems
// that point into the file and can be printed.
func FuzzRead(f *testing.F) {
	testkit.Seeds(f, "../testdata/*.yaml", "../../configs/testdata/*.yaml", "../../configs/*.yaml", "../../configs/policy.d/*.yaml")
	f.Fuzz(func(t *testing.T, data []byte) {
		d := strict.Read(strict.File{Name: "f.yaml", Data: data})
		if root := d.Root(); root.Present() == (len(d.Problems()) > 0) {
			t.Fatalf("root %v, problems %v", root.Present(), d.Problems())
		}
		every(d.Root())
		lines := strings.Count(string(data), "\n") + 1
		for _, p := range d.Problems() {
			if p.Line < 0 || p.Line > lines || p.Line > 0 && p.Col < 1 || p.Code == "" || p.Message == "" {
				t.Fatalf("problem %+v in a file of %d lines", p, lines)
			}
			if strings.ContainsFunc(strings.ReplaceAll(p.Error(), "\n", ""), func(r rune) bool { return r != '\ufffd' && !plain.Visible(r) }) {
				t.Fatalf("unprintable: %q", p.Error())
			}
		}
	})
}

// every reads v and what is in it in every way.
func every(v strict.Value) {
	v.Text()
	v.Bool(false)
	v.Int(0, 0, 100)
	v.Duration(0, 0, time.Hour)
	v.Days(0, 0, 100)
	v.Size(0, 0, 1<<40)
	v.Network()
	v.Choice("one", "two")
	v.Fields("labs", "rules", "name").Need("name")
	for _, e := range v.Entries() {
		every(e.Value)
	}
	for _, item := range v.OneOrMore() {
		if item != v {
			every(item)
		}
	}
}
