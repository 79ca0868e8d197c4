package guide

import (
	"encoding/json"
	"fmt"
	"strings"

	"entry/audit/plain"
)

// vsCode is settings.json with comments, which VS Code reads. Remote - SSH
// opens several connections for one window and again for each reload.
func vsCode(f Facts) string {
	platforms := map[string]string{}
	for _, t := range f.reachable(SSH) {
		platforms[t.Name] = "linux"
	}
	hosts, err := json.Marshal(platforms) // keys come out sorted
	if err != nil {
		return ""
	}
	var b strings.Builder
	b.WriteString(lines(
		"{",
		"    // "+f.Name+": VS Code settings of "+f.User+".",
		"    // F1, \"Preferences: Open User Settings (JSON)\": put these lines in there.",
		"    // Save the OpenSSH file (`config openssh`) first: VS Code uses it.",
		"",
		"    // VS Code gives up after 15 seconds otherwise, while you still type.",
		fmt.Sprintf("    \"remote.SSH.connectTimeout\": %d,", f.loginSeconds()),
		"    // Shows the questions in a terminal, each naming who asks.",
		"    \"remote.SSH.showLoginTerminal\": true,",
		"    // One connection serves all windows on a machine (not on Windows).",
		"    \"remote.SSH.useLocalServer\": true,",
		"    // Each further try would ask for another code.",
		"    \"remote.SSH.maxReconnectionAttempts\": 3,",
		"    \"remote.SSH.remotePlatform\": "+string(hosts),
		"",
	))
	if f.Remembered > 0 {
		b.WriteString(lines(
			"    // A window opens many connections. With a public key (`ssh "+f.Name+" keys`) one",
			"    // code a day is enough: key and code once, then no question for "+plain.Span(f.Remembered)+".",
		))
	}
	b.WriteString("}\n")
	return b.String()
}
