package admin

import (
	"strings"
	"testing"
	"time"

	"entry/policy"
)

func TestParsePeople(t *testing.T) {
	t.Parallel()
	now := time.Date(2031, 1, 2, 3, 4, 5, 0, time.UTC)
	for name, c := range map[string]struct{ text, people, wrong string }{
		"all columns":        {text: "name,lab,phone,realm,end\nann,tinker,+46 70-123,duo,2031-06-30\n", people: "ann/tinker/+4670123/duo/2031-06-30"},
		"Excel's":            {text: "\ufeffNAME;End\r\nann;2031-06-30\r\nben;\r\n;\r\n", people: "ann////2031-06-30 ben////0001-01-01"},
		"tabs":               {text: "end\tname\nnever\tann\n", people: "ann////0001-01-01"},
		"quotes":             {text: "name,lab\n\"ann\",\"tinker\"\n", people: "ann/tinker///0001-01-01"},
		"a quote that stays": {text: "name\n\"ann\nben\n", wrong: ":"},
		"empty":              {text: "", wrong: ":1: there is nobody"},
		"only columns":       {text: "name\n\n", wrong: ":1: there is nobody"},
		"no columns":         {text: "ann\nben\n", wrong: `:1: there is no column "ann"`},
		"twice a column":     {text: "name,name\nann,ben\n", wrong: ":1: the column name is there twice"},
		"no name":            {text: "lab\ntinker\n", wrong: ":1: there is no column name"},
		"Latin-1":            {text: "name,end\nann,2001-01-01\nbj\xf8rn,\n", wrong: ":3: this is not UTF-8; save the file as \"CSV UTF-8\"|:2: 2001-01-01 is in the past|:3: \"bj\ufffdrn\": a user name is"},
		"a no-break space":   {text: "name\nstud\u00a0001\n", wrong: ":2: \"stud\\u00a0001\": there is a no-break or other strange space in the name; type it anew"},
		"an empty name":      {text: "name,lab\n,tinker\n", wrong: ":2: there is no name"},
		"escapes":            {text: "name\n\x1b[31mann\n", wrong: `:2: "\x1b[31mann": a user name is`},
		"all of a line":      {text: "name,lab,end\nJ\u00fcrgen,x,2001-01-01\nann,oter,tomorrow\n", wrong: ":2: \"J\u00fcrgen\": a user name is|:2: 2001-01-01 is in the past|:3: \"tomorrow\" is no date"},
		"too large":          {text: strings.Repeat("n", maxPeopleFile+1), wrong: ":1: the file is larger than 2 MiB"},
	} {
		all, wrong := parsePeople(c.text, now)
		var got []string
		for _, p := range all {
			got = append(got, strings.Join([]string{p.Name, p.Lab, p.Phone, p.Realm, p.Ends.Format(time.DateOnly)}, "/"))
		}
		said := len(wrong) > 0 == (c.wrong != "")
		for i, want := range strings.Split(c.wrong, "|") {
			said = said && (want == "" || i < len(wrong) && strings.HasPrefix(wrong[i], want))
		}
		if !said || len(wrong) == 0 && strings.Join(got, " ") != c.people {
			t.Errorf("%s: %q %q", name, got, wrong)
		}
	}
}

func FuzzParsePeople(f *testing.F) {
	f.Add("name,lab,phone,realm,end\nann,tinker,+4670123456,duo,2031-06-30\n")
	f.Add("\ufeffname;end\r\n\"a\"\"\";never")
	now := time.Date(2031, 1, 2, 3, 4, 5, 0, time.UTC)
	f.Fuzz(func(t *testing.T, s string) {
		all, wrong := parsePeople(s, now)
		seen := map[string]bool{}
		for _, p := range all {
			if policy.ValidUser(p.Name) != nil || seen[p.Name] || !p.Ends.IsZero() && !p.Ends.After(now) {
				t.Errorf("%q gives %+v", s, p)
			}
			seen[p.Name] = true
		}
		if len(all) == 0 && len(wrong) == 0 {
			t.Errorf("%q gives nothing and no reason", s)
		}
	})
}
