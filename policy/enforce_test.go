package policy

import (
	"fmt"
	"strings"
	"testing"

	"entry/policy/strict"
)

// A deny rule of upload or download that a shell makes worth nothing is found
// whoever and wherever the two rules name, and no other one is.
func TestDenialsBesideAShell(t *testing.T) {
	const labs = `labs:
  tinker:
    members: [alice, bob]
    groups: {students: [bob]}
    targets:
      home: {address: 10.0.0.5, host_keys: ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdIk3Lk2bzLyYy/xKJ9HCdYm22B0ukIEuBHH6tjd5dN}
      store: {address: 10.0.0.6, host_keys: ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMi22HmzNeJU8jpkt10VcimWBCAxcOQKLU4C+JIAmWkh}
      web: {kind: tcp, address: 10.0.0.7:80}
rules:
  - {name: web, who: {labs: [tinker]}, where: {targets: [web.tinker]}, may: [forward-local], record: metadata}
`
	for _, tt := range []struct {
		name  string
		rules []string
		want  string // of the message, "" for none
	}{
		{"download for everybody", []string{"who: {labs: [tinker]}, where: {targets: [home.tinker]}, may: [shell]", "deny: true, may: [download]"},
			"download can't be denied: by rule r0 (l.yaml:11), alice keeps shell on home.tinker"},
		{"upload too", []string{"who: {labs: [tinker]}, where: {targets: [home.tinker]}, may: [shell, exec, upload]", "deny: true, may: [upload, x11]"},
			"upload can't be denied: by rule r0 (l.yaml:11), alice keeps shell and exec on home.tinker"},
		{"a group of the lab", []string{"who: {labs: [tinker]}, where: {labs: [tinker]}, may: [exec, upload]", "deny: true, who: {groups: [tinker/students]}, may: [upload, download]"},
			"upload and download can't be denied: by rule r0 (l.yaml:11), bob keeps exec on home.tinker"},
		{"a realm", []string{"who: {realms: [uni/physics]}, where: {targets: [store.tinker]}, may: [shell]", "deny: true, who: {realms: [uni]}, may: [upload]"},
			"upload can't be denied: by rule r0 (l.yaml:11), whoever is of realm uni/physics keeps shell on store.tinker"},
		{"the deny rule first", []string{"deny: true, may: [upload]", "who: {users: [bob]}, where: {targets: [home.tinker]}, may: [shell]"},
			"upload can't be denied: by rule r1 (l.yaml:12), bob keeps shell on home.tinker"},
		{"shell denied, exec kept", []string{"who: {labs: [tinker]}, where: {targets: [home.tinker]}, may: [shell, exec]", "deny: true, may: [shell, download]"},
			"download can't be denied: by rule r0 (l.yaml:11), alice keeps exec on home.tinker"},
		{"another rule denies a shell at some hours", []string{"who: {labs: [tinker]}, where: {targets: [home.tinker]}, may: [shell]", "deny: true, may: [upload]", `deny: true, may: [shell], when: {hours: "08:00-12:00", zone: UTC}`},
			"upload can't be denied"},

		{"marked as advice", []string{"who: {labs: [tinker]}, where: {targets: [home.tinker]}, may: [shell]", "deny: true, advisory: true, may: [download]"}, ""},
		{"no shell at all", []string{"who: {labs: [tinker]}, where: {targets: [home.tinker]}, may: [upload, download]", "deny: true, may: [upload]"}, ""},
		{"a list of commands", []string{"who: {labs: [tinker]}, where: {targets: [home.tinker]}, may: [exec], exec: [date]", "deny: true, may: [upload]"}, ""},
		{"shell and exec denied too", []string{"who: {labs: [tinker]}, where: {targets: [home.tinker]}, may: [shell, exec]", "deny: true, may: [shell, exec, download]"}, ""},
		{"a shell denied by another rule", []string{"who: {labs: [tinker]}, where: {targets: [home.tinker]}, may: [shell]", "deny: true, may: [upload]", "deny: true, may: [shell]"}, ""},
		{"access denied by another rule", []string{"who: {labs: [tinker]}, where: {labs: [tinker]}, may: [shell]", "deny: true, who: {users: [bob]}, may: [upload]", "deny: true, who: {users: [bob]}"}, ""},
		{"other people", []string{"who: {users: [alice]}, where: {targets: [home.tinker]}, may: [shell]", "deny: true, who: {users: [bob]}, may: [upload]"}, ""},
		{"another target", []string{"who: {labs: [tinker]}, where: {targets: [home.tinker]}, may: [shell]", "deny: true, where: {targets: [store.tinker]}, may: [upload]"}, ""},
		{"all access", []string{"who: {labs: [tinker]}, where: {targets: [home.tinker]}, may: [shell]", "deny: true, who: {users: [bob]}"}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var text strings.Builder
			text.WriteString(labs)
			for i, r := range tt.rules {
				fmt.Fprintf(&text, "  - {name: r%d, %s}\n", i, r)
			}
			p, err := Parse(strict.File{Name: "l.yaml", Data: []byte(text.String())})
			if err != nil {
				t.Fatalf("a server that starts refuses it: %v", err)
			}
			warned := 0
			for _, w := range p.Warnings() {
				if w.Code == codeHalfDenied {
					warned++
				}
			}
			found := p.Unenforceable()
			if len(found) != warned || (tt.want == "") != (warned == 0) || warned > 1 {
				t.Fatalf("%d warnings, errors: %v", warned, found)
			}
			if warned == 1 && (!strings.HasPrefix(found[0].Message, tt.want) || found[0].Warning) {
				t.Errorf("got %q\nwant %q", found[0].Message, tt.want)
			}
		})
	}
}

// What a grant lacks and can't be kept from its user is said by explain.
func TestExplainSaysWhatIsNotEnforced(t *testing.T) {
	p := parse(t, `labs:
  tinker:
    members: [alice]
    targets:
      home: {address: 10.0.0.5, host_keys: ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdIk3Lk2bzLyYy/xKJ9HCdYm22B0ukIEuBHH6tjd5dN}
      store: {address: 10.0.0.6, host_keys: ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMi22HmzNeJU8jpkt10VcimWBCAxcOQKLU4C+JIAmWkh}
rules:
  - {name: sh, who: {labs: [tinker]}, where: {targets: [home.tinker]}, may: [shell]}
  - {name: files, who: {labs: [tinker]}, where: {targets: [store.tinker]}, may: [download]}
`)
	const said = "not enforced: that there is no upload, since data can be moved by shell all the same"
	for target, want := range map[string]bool{"home.tinker": true, "store.tinker": false} {
		on, _ := p.Target(target)
		text := p.Explain(Request{User: "alice", Target: on}).String()
		if strings.Contains(text, said) != want {
			t.Errorf("%s: %s", target, text)
		}
	}
}

// The right to upload alone rests on who writes the start files, and that is said of rules
// that give it alone.
func TestUploadNote(t *testing.T) {
	for rules, want := range map[string]string{
		"may: [upload]":                       "upload without a shell, as by r0, holds only where",
		"may: [upload, download]":             "as by r0, holds only",
		"may: [upload, exec], exec: [date]":   "as by r0, holds only",
		"may: [shell, upload]":                "",
		"may: [upload, exec]":                 "",
		"may: [download]":                     "",
		"deny: true, may: [upload, download]": "",
	} {
		p := parse(t, `labs: {tinker: {members: [alice], targets: {home: {address: 10.0.0.5, host_keys: ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdIk3Lk2bzLyYy/xKJ9HCdYm22B0ukIEuBHH6tjd5dN}}}}
rules: [{name: r0, who: {labs: [tinker]}, where: {targets: [home.tinker]}, `+rules+"}]\n")
		if got := p.UploadNote(); (got == "") != (want == "") || !strings.Contains(got, want) {
			t.Errorf("%s: %q, want %q", rules, got, want)
		}
	}
}
