package guide

import (
	"fmt"
	"strings"
)

// PuTTY's own numbers, as its settings.c stores them.
const (
	puttyProxySSH = 6 // "SSH to proxy and use port forwarding"
	puttyProxyDNS = 2 // "Do DNS name lookup at proxy end: Yes"
)

const puttyKey = `HKEY_CURRENT_USER\Software\SimonTatham\PuTTY\`

// putty is a registry file: the host CA, a saved session for the jump host, and
// one for each machine that goes through it. Plink, PSFTP and PSCP use the same.
func putty(f Facts) string {
	var b strings.Builder
	b.WriteString(lines(
		"Windows Registry Editor Version 5.00",
		"",
		"; "+f.Name+": PuTTY settings of "+f.User+", for PuTTY 0.78 or later.",
		"; Save this as entry.reg and double-click it; Windows asks before adding it.",
		"; Then open PuTTY, choose a saved session and press Open. Answer "+f.Name+"'s",
		"; questions first; for the machine behind it PuTTY may ask for the "+f.Name,
		"; passphrase once more. `plink -load \""+f.Name+"\"` uses the same.",
		"",
		"; The authority that vouches for "+f.Name+" and your machines, so that PuTTY",
		"; asks nothing about host keys.",
	))
	for i, key := range f.hostCAs() {
		_, blob, err := splitKey(key)
		if err != nil {
			return ""
		}
		name := f.Name
		if i > 0 {
			name += " next"
			b.WriteString(lines("", "; The one that follows on it soon."))
		}
		b.WriteString(lines(
			regKey(`SshHostCAs\`+puttyEscape(name)),
			regString("PublicKey", blob),
			regString("Validity", percent(strings.Join(f.patterns(), " || "))),
			regNumber("PermitRSASHA1", 0),
			regNumber("PermitRSASHA256", 1),
			regNumber("PermitRSASHA512", 1),
		))
	}
	session := func(name, host string, port int, user, logical string, more ...string) {
		b.WriteString(lines(append([]string{"",
			regKey(`Sessions\` + puttyEscape(name)),
			regNumber("Present", 1),
			regString("Protocol", "ssh"),
			regString("HostName", host),
			regNumber("PortNumber", port),
			regString("UserName", user),
			regString("LogHost", logical),
			regNumber("PingIntervalSecs", 60),
		}, more...)...))
	}
	session(f.Name, f.server, f.port(), f.User, f.Name)
	for _, t := range f.reachable(SSH) {
		session(t.Full+" via "+f.Name, t.Full, sshPort, t.Login, "",
			// A proxy that is the name of a saved session brings all its settings.
			regNumber("ProxyMethod", puttyProxySSH),
			regString("ProxyHost", f.Name),
			regNumber("ProxyPort", f.port()),
			regString("ProxyUsername", f.User),
			regNumber("ProxyDNS", puttyProxyDNS), // the name means something at the jump host only
		)
	}
	if web := f.reachable(TCP); len(web) > 0 {
		var forwards []string
		for _, t := range web {
			for _, p := range t.Ports {
				forwards = append(forwards, fmt.Sprintf("L%d=%s:%d", localPort(p), t.Name, p))
			}
		}
		b.WriteString(lines("", "; Web services: with this session open they are at http://localhost:PORT/"))
		session(f.Name+" web", f.server, f.port(), f.User, f.Name,
			regString("PortForwardings", strings.Join(append([]string{fmt.Sprintf("D%d", socksPort)}, forwards...), ",")))
	}
	return b.String()
}

func regKey(path string) string { return "[" + puttyKey + path + "]" }

func regString(name, value string) string {
	return `"` + name + `"="` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(ascii(value)) + `"`
}

func regNumber(name string, value int) string { return fmt.Sprintf(`"%s"=dword:%08x`, name, value) }

// puttyEscape writes a name as PuTTY writes it into a registry key.
func puttyEscape(s string) string {
	var b strings.Builder
	for i := range len(s) {
		switch c := s[i]; {
		case c <= ' ' || c > '~' || strings.IndexByte(`\*?%`, c) >= 0 || c == '.' && i == 0:
			fmt.Fprintf(&b, "%%%02X", c)
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// percent hides what PuTTY would decode in a value that it stores encoded.
func percent(s string) string { return strings.ReplaceAll(s, "%", "%25") }
