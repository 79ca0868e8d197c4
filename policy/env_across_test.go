package policy

import (
	"strings"
	"testing"

	"entry/policy/strict"
)

// A rule's env widened another's program: with `exec: [uname]` in one rule and
// `env: ["LD_*"]` in one for uploads, LD_PRELOAD reached the program.
func TestEnvAcrossRules(t *testing.T) {
	const run = "  - {name: run, who: {users: [alice]}, where: {targets: [home.tinker]}, may: [exec], exec: [uname], env: [LANG], record: full}\n"
	for _, tt := range []struct {
		name, rule, want string
	}{
		{"of an upload", `{name: up, who: {labs: [tinker]}, where: {targets: [home.tinker]}, may: [upload], env: ["LD_*"], record: full}`,
			"LD_* may have a command that rule run (b.yaml:2) lists for alice on home.tinker run others"},
		{"of another list", `{name: up, who: {users: [alice]}, where: {labs: [tinker]}, may: [exec], exec: [git], env: [GIT_SSH_COMMAND], record: full}`,
			"GIT_SSH_COMMAND may have a command that rule run (b.yaml:2) lists"},
		{"everything", `{name: up, who: {users: [alice]}, where: {labs: [tinker]}, may: [download], env: ["L*"], record: full}`, "L* may have"},
		{"what runs nothing", `{name: up, who: {labs: [tinker]}, where: {targets: [home.tinker]}, may: [upload], env: [MY_NAME], record: full}`, ""},
		{"of a program that labs have", `{name: up, who: {labs: [tinker]}, where: {targets: [home.tinker]}, may: [upload], env: [R_PROFILE_USER], record: full}`, "R_PROFILE_USER may have"},
		{"of somebody else", `{name: up, who: {users: [bob]}, where: {targets: [home.tinker]}, may: [upload], env: ["LD_*"], record: full}`, ""},
		{"elsewhere", `{name: up, who: {users: [alice]}, where: {targets: [home.tailor]}, may: [upload], env: ["LD_*"], record: full}`, ""},
		{"with a shell", `{name: up, who: {users: [alice]}, where: {targets: [home.tinker]}, may: [shell], env: ["LD_*"], record: full}`, ""},
		{"of two rules", `{name: up, who: {labs: [tinker]}, where: {targets: [home.tinker]}, may: [upload], env: ["LD_*"], record: full}` + "\n" +
			`  - {name: down, who: {users: [alice]}, where: {targets: [home.tinker]}, may: [download], env: [BASH_ENV], record: full}`,
			"BASH_ENV may have a command that rule run (b.yaml:2) lists"},
	} {
		p, err := Parse(strict.File{Name: "a.yaml", Data: []byte(labsYAML)}, strict.File{Name: "b.yaml", Data: []byte("rules:\n" + run + "  - " + tt.rule + "\n")})
		if err != nil {
			t.Errorf("%s: a server that starts refuses it: %v", tt.name, err)
			continue
		}
		switch found := p.Unenforceable(); {
		case tt.want == "" && len(found) > 0:
			t.Errorf("%s: %v", tt.name, found)
		case tt.want != "" && (len(found) != 1+strings.Count(tt.rule, "\n") || !strings.Contains(found.Error(), tt.want)):
			t.Errorf("%s: %v", tt.name, found)
		}
	}
}
