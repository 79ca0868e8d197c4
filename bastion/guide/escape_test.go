package guide

import (
	"bytes"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/quick"
)

// hostile are names that would mean something in one format or another.
var hostile = []string{
	"", "-oProxyCommand=id", "home\nProxyCommand id", "home\r\n[Sessions\\x]", "*", "!home", "home,other", `a"b`, `a\b`, "a b", "a#b", "a;b", "a|b",
	"$(id)", "`id`", "%h", "</script>", "<b>", "é", "\x1b[31m", "\u202e", "a=b", "[x]", "home'@\nid", strings.Repeat("a", 300),
}

func TestHostileNamesAreRefused(t *testing.T) {
	for _, bad := range hostile {
		for what, set := range map[string]func(*Facts){
			"name":   func(f *Facts) { f.Name = bad },
			"server": func(f *Facts) { f.server = bad },
			"user":   func(f *Facts) { f.User = bad },
			"target": func(f *Facts) { f.Targets[0].Name = bad },
			"full":   func(f *Facts) { f.Targets[1].Full = bad },
			"login":  func(f *Facts) { f.Targets[0].Login = bad },
			"key":    func(f *Facts) { f.HostCA = "ssh-ed25519 " + bad },
		} {
			f := sample()
			set(&f)
			for _, c := range Clients() {
				if s, err := c.Make(f); err == nil {
					t.Errorf("%s %q: %s was made:\n%s", what, bad, c.Name, s)
				}
			}
			var b bytes.Buffer
			if err := HTML(&b, f); err == nil || b.Len() != 0 {
				t.Errorf("%s %q: a page was made", what, bad)
			}
			if err := Text(&b, f); err == nil || b.Len() != 0 {
				t.Errorf("%s %q: a text was made", what, bad)
			}
		}
	}
	for what, set := range map[string]func(*Facts){
		"port":        func(f *Facts) { f.serverPort = 70000 },
		"target port": func(f *Facts) { f.Targets[2].Ports = []int{0} },
		"sentence":    func(f *Facts) { f.Targets[0].Recorded = "\x1b]0;x\a" },
		"reason":      func(f *Facts) { f.Targets[3].Denied = "because\nof" },
		"contact":     func(f *Facts) { f.Contact = "\u202edesk" },
	} {
		f := sample()
		set(&f)
		if _, err := clients[0].Make(f); err == nil {
			t.Errorf("%s was accepted", what)
		}
	}
}

// Free text goes through each template's own escaping.
func TestTextIsEscapedInThePage(t *testing.T) {
	f := sample()
	f.Contact = `<script>alert(1)</script> & "desk"`
	f.Targets[0].Recorded = "<img src=x onerror=alert(1)>"
	f.Targets[3].Denied = "</p><iframe>"
	var b bytes.Buffer
	if err := HTML(&b, f); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"<script", "<img", "<iframe", " onerror=alert(1)>"} {
		if strings.Contains(b.String(), bad) {
			t.Errorf("%q is in the page", bad)
		}
	}
	if !strings.Contains(b.String(), "&lt;script&gt;") {
		t.Error("the contact is not in the page")
	}
}

// Each escaper by itself, on whatever comes: nothing that separates fields,
// lines or sections of its format is left.
func TestEscapers(t *testing.T) {
	check := func(name string, escape func(string) string, never string) {
		holds := func(s string) bool { return !strings.ContainsAny(escape(s), never) }
		for _, s := range hostile {
			if !holds(s) {
				t.Errorf("%s(%q) = %q", name, s, escape(s))
			}
		}
		if err := quick.Check(holds, nil); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	check("puttyEscape", puttyEscape, "\\*? \r\n")
	check("winSCPName", winSCPName, "\\[]=;\"' \r\n")
	check("winSCPValue", winSCPValue, "\\[]=;\"' \r\n")
	check("mobaEscape", mobaEscape, "%#;|\"=[]\r\n")
	check("sshWord", func(s string) string { return strings.Trim(sshWord(s), `"`) }, "\"\\\r\n")
	check("regString", func(s string) string {
		inner := strings.TrimSuffix(strings.TrimPrefix(regString("x", s), `"x"="`), `"`)
		return strings.NewReplacer(`\\`, "", `\"`, "").Replace(inner)
	}, "\"\\\r\n")
}

// ssh reads a quoted word back as one argument.
func TestQuotedWordsReachSSH(t *testing.T) {
	for _, s := range []string{"al ice", "a#b", "a'b", "plain"} {
		conf := filepath.Join(t.TempDir(), "c")
		writeFile(t, conf, "Host h\n    User "+sshWord(s)+"\n")
		out, err := exec.Command("ssh", "-F", conf, "-G", "h").CombinedOutput()
		if err != nil || !strings.Contains(string(out), "\nuser "+s+"\n") && !strings.HasPrefix(string(out), "user "+s+"\n") {
			t.Errorf("%q: %v\n%s", s, err, out)
		}
	}
}
