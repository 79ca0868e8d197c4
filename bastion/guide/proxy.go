package guide

import (
	"errors"
	"net"
	"strconv"
)

// ParseProxy reads an HTTP proxy, "host:port". The error is for the user who
// typed it.
func ParseProxy(s string) (string, error) {
	host, port, err := net.SplitHostPort(s)
	if err != nil || !address.MatchString(host) {
		return "", errors.New("a proxy is HOST:PORT, as in proxy.example.org:3128")
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return "", errors.New("a proxy's port is 1 to 65535, as in proxy.example.org:3128")
	}
	return net.JoinHostPort(host, port), nil
}

// anyProxy stands in the page for IT staff, who know theirs.
const anyProxy = "PROXY:PORT"

// throughProxy are the settings that lead through f.Proxy, in each of the
// programs that people have for it: OpenSSH has none of its own.
func (f Facts) throughProxy() []string {
	programs := []struct{ on, command string }{
		{"macOS; Linux with netcat-openbsd", "nc -X connect -x " + f.Proxy + " %h %p"},
		{"Linux with ncat", "ncat --proxy " + f.Proxy + " --proxy-type http %h %p"},
		{"Windows with Git for Windows", `"C:\Program Files\Git\mingw64\bin\connect.exe" -H ` + f.Proxy + " %h %p"},
	}
	chosen := 0
	if !f.Multiplex { // it is for Windows
		chosen = len(programs) - 1
	}
	var out []string
	for i, p := range programs {
		line := "ProxyCommand " + p.command
		if i != chosen {
			line = "# " + line
		}
		out = append(out, "    # "+p.on+":", "    "+line)
	}
	return out
}
