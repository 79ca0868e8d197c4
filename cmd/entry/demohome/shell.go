package demohome

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
)

// shellArgs keeps the system's start-up files from replacing the prompt that
// says where the user is.
func shellArgs(shell string, interactive bool) []string {
	if !interactive {
		return nil // reads commands from standard input, as sshd's shell without a pty
	}
	switch filepath.Base(shell) {
	case "bash":
		return []string{"--noprofile", "--norc", "-i"}
	case "zsh":
		return []string{"-f", "-i"}
	}
	return []string{"-i"}
}

// prompt is $PS1: alice@home, the folder where the shell can show it, and $.
func prompt(shell, login string) string {
	switch filepath.Base(shell) {
	case "bash":
		return login + `@home:\w\$ `
	case "zsh":
		return login + "@home:%~$ "
	}
	return login + "@home$ "
}

// plainName keeps a login from being expanded by the shell that shows it in
// its prompt.
func plainName(login string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.' || r == '-' || r == '_' {
			return r
		}
		return '_'
	}, login)
}

func searchPath() string {
	if path := os.Getenv("PATH"); path != "" {
		return path
	}
	return "/usr/local/bin:/usr/bin:/bin"
}

// addresses renders SSH_CLIENT and SSH_CONNECTION (ssh(1), ENVIRONMENT).
func addresses(remote, local net.Addr) (client, connection string, ok bool) {
	r, rok := remote.(*net.TCPAddr)
	l, lok := local.(*net.TCPAddr)
	if !rok || !lok {
		return "", "", false
	}
	return fmt.Sprintf("%s %d %d", r.IP, r.Port, l.Port), fmt.Sprintf("%s %d %s %d", r.IP, r.Port, l.IP, l.Port), true
}
