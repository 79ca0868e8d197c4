package guide

import (
	"fmt"
	"strings"
)

// openSSH is a file to include from ~/.ssh/config: one block for the jump host,
// one for each machine.
func openSSH(f Facts) string {
	var b strings.Builder
	b.WriteString(lines(
		"# "+f.Name+": OpenSSH settings of "+f.User+".",
		"# 1. Save this as ~/.ssh/entry.conf (Windows: %USERPROFILE%\\.ssh\\entry.conf).",
		"# 2. Put this line at the very top of ~/.ssh/config:",
		"#        Include entry.conf",
	))
	if known := f.knownHosts(); len(known) == 1 {
		b.WriteString(lines(
			"# 3. Add this one line to ~/.ssh/known_hosts; it spares you every question",
			"#    about host keys (`ssh "+f.Name+" config known_hosts` prints it alone):",
			"#        "+known[0],
		))
	} else {
		b.WriteString(lines(
			"# 3. Add these lines to ~/.ssh/known_hosts, all of them; they spare you every",
			"#    question about host keys (`ssh "+f.Name+" config known_hosts` prints them alone):",
		))
		for _, line := range known {
			b.WriteString(lines("#        " + line))
		}
	}
	b.WriteString(lines("# Then: "+f.command(), ""))
	b.WriteString(lines(f.jumpHost()...))
	if f.Multiplex {
		b.WriteString(lines(
			"    # One login serves all later connections for 8 hours. Programs of your own",
			"    # account can use it too: `ssh -O exit "+f.Name+"` ends it. Not for Windows.",
			"    ControlMaster auto",
			"    ControlPath ~/.ssh/entry-%C",
			"    ControlPersist 8h",
		))
	}
	for _, t := range f.reachable(SSH) {
		names := sshWord(t.Name)
		if t.Full != t.Name {
			names += " " + sshWord(t.Full)
		}
		b.WriteString(lines(
			"",
			"Host "+names,
			"    HostName "+sshWord(t.Full),
			"    User "+sshWord(t.Login),
			"    ProxyJump "+sshWord(f.Name),
			fmt.Sprintf("    ConnectTimeout %d", f.loginSeconds()),
		))
	}
	if web := f.reachable(TCP); len(web) > 0 {
		b.WriteString(lines(
			"",
			"# Web services, in a browser that uses the file of `config browser`:",
			fmt.Sprintf("#     ssh -N -D %d %s", socksPort, f.Name),
		))
		for _, t := range web {
			for _, p := range t.Ports {
				b.WriteString(lines(fmt.Sprintf("# or one alone, then http://localhost:%d/", localPort(p)),
					fmt.Sprintf("#     ssh -N -L %d:%s:%d %s", localPort(p), t.Name, p, f.Name)))
			}
		}
	}
	return b.String()
}

// jumpHost is the block for the jump host itself.
func (f Facts) jumpHost() []string {
	block := []string{
		"Host " + sshWord(f.Name),
		"    HostName " + sshWord(f.server),
		fmt.Sprintf("    Port %d", f.port()),
		"    User " + sshWord(f.User),
		"    # The certificate is for this name, whatever address leads here.",
		"    HostKeyAlias " + sshWord(f.Name),
		"    # Runs on while you type, so it must be as long as the login may take.",
		fmt.Sprintf("    ConnectTimeout %d", f.loginSeconds()),
		"    ServerAliveInterval 60",
	}
	if f.Proxy != "" {
		block = append(block, f.throughProxy()...)
	}
	return block
}

// sshWord is one argument of ssh_config(5): quoted where it isn't plain, with
// what quoting can't hold left out.
func sshWord(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == '"' || r == '\\' {
			return -1
		}
		return r
	}, s)
	s = strings.ReplaceAll(s, "%", "%%") // tokens
	if s == "" || strings.ContainsAny(s, " #='*?!,$") {
		return `"` + s + `"`
	}
	return s
}
