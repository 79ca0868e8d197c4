package guide

import (
	"fmt"
	"strings"

	"entry/audit/plain"
)

// winSCP is an INI file to import: for each machine one session that logs in
// once and names the machine in the user name, and one through a tunnel.
func winSCP(f Facts) string {
	prints, err := f.fingerprints()
	if err != nil {
		return ""
	}
	var b strings.Builder
	b.WriteString(lines(
		"; "+f.Name+": WinSCP settings of "+f.User+".",
		"; WinSCP: Login dialog, Tools, Import Sites, From file: this one.",
		"; Leave the password empty: WinSCP shows each question of "+f.Name+" as it comes,",
		"; passphrase first, then the one-time code.",
		";   "+f.Name+"/MACHINE         asks once; use this one.",
		";   "+f.Name+"/MACHINE tunnel  asks for the passphrase once more at the end, and",
		";                          again for every background transfer.",
	))
	if f.Remembered > 0 {
		b.WriteString(lines("; With a public key (`ssh " + f.Name + " keys`) one code is enough for " + plain.Span(f.Remembered) + "."))
	}
	b.WriteString(lines(
		"; Host keys: import the PuTTY file first (`config putty`) and tick Preferences,",
		"; Security, \"Load authorities from PuTTY\"; then WinSCP asks nothing. The",
		"; authority's fingerprint is "+strings.Join(prints, ", then ")+".",
	))
	session := func(name string, values ...[2]string) {
		b.WriteString(lines("", `[Sessions\`+winSCPName(name)+"]"))
		for _, v := range values {
			b.WriteString(lines(v[0] + "=" + winSCPValue(v[1])))
		}
	}
	port, timeout := fmt.Sprint(f.port()), fmt.Sprint(f.loginSeconds())
	for _, t := range f.reachable(SSH) {
		// Timeout is how long WinSCP waits for an answer, in seconds; AuthKI
		// answers keyboard-interactive, AuthKIPassword fills in a saved password.
		session(f.Name+"/"+t.Full, [2]string{"HostName", f.server}, [2]string{"PortNumber", port}, [2]string{"UserName", f.User + "+" + t.Full},
			[2]string{"LogicalHostName", f.Name}, [2]string{"FSProtocol", "2"}, [2]string{"AuthKI", "1"}, [2]string{"AuthKIPassword", "0"}, [2]string{"Timeout", timeout})
		session(f.Name+"/"+t.Full+" tunnel", [2]string{"HostName", t.Full}, [2]string{"PortNumber", fmt.Sprint(sshPort)}, [2]string{"UserName", t.Login},
			[2]string{"FSProtocol", "2"}, [2]string{"AuthKI", "1"}, [2]string{"AuthKIPassword", "0"}, [2]string{"Timeout", timeout},
			[2]string{"Tunnel", "1"}, [2]string{"TunnelHostName", f.server}, [2]string{"TunnelPortNumber", port}, [2]string{"TunnelUserName", f.User})
	}
	return b.String()
}

// winSCPName keeps the slash, which makes a folder.
func winSCPName(s string) string { return winSCPEscape(s, "/") }

func winSCPValue(s string) string { return winSCPEscape(s, "/:+") }

// winSCPEscape writes bytes other than plain ones as WinSCP does, %XX.
func winSCPEscape(s, also string) string {
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("._-@"+also, c) >= 0 {
			b.WriteByte(c)
			continue
		}
		fmt.Fprintf(&b, "%%%02X", c)
	}
	return b.String()
}
