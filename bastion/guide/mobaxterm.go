package guide

import (
	"fmt"
	"strings"
)

// The fields of an SSH bookmark that are set here, by position; 35 in all in
// MobaXterm 23.6.
const (
	mobaHost         = 1
	mobaPort         = 2
	mobaUser         = 3
	mobaX11          = 5
	mobaCompression  = 6
	mobaGatewayHosts = 8
	mobaGatewayPorts = 9
	mobaGatewayUsers = 10
	mobaNoUser       = 12
	mobaFields       = 35
)

// mobaDefaults are the other fields of a bookmark that nobody has touched.
var mobaDefaults = map[int]string{
	0: "0", mobaX11: "0", mobaCompression: "-1", 11: "0", mobaNoUser: "0", 13: "0", 16: "-1", 17: "0", 18: "0", 19: "0",
	21: "1080", 23: "0", 24: "0", 25: "1", 27: "0", 31: "0", 32: "-1", 33: "-1", 34: "0",
}

// mobaTerminal is the second block of a bookmark, the terminal's look.
const mobaTerminal = "MobaFont%10%0%0%-1%15%236,236,236%30,30,30%180,180,192%0%-1%0%%xterm%-1%0%_Std_Colors_0_%80%24%0%0%-1%<none>%%0%1%-1%-1"

// mobaXterm is a bookmarks file: a session for each machine, with the jump host
// as its SSH gateway.
func mobaXterm(f Facts) string {
	var b strings.Builder
	b.WriteString(lines(
		"; "+f.Name+": MobaXterm sessions of "+f.User+". MobaXterm documents no format; this is what",
		"; version 23.6 writes. Save it as entry.mxtsessions, then right-click \"User",
		"; sessions\", Import sessions. If it can't be read: new SSH session to MACHINE,",
		"; Network settings, SSH gateway: "+f.server+", port "+fmt.Sprint(f.port())+", user "+f.User+".",
		"[Bookmarks]",
		"SubRep="+mobaEscape(f.Name),
		"ImgNum=41",
		mobaSession(f.Name, map[int]string{mobaHost: f.server, mobaPort: fmt.Sprint(f.port()), mobaUser: f.User}),
	))
	for _, t := range f.reachable(SSH) {
		b.WriteString(lines(mobaSession(t.Full, map[int]string{
			mobaHost: t.Full, mobaPort: fmt.Sprint(sshPort), mobaUser: t.Login,
			mobaGatewayHosts: f.server, mobaGatewayPorts: fmt.Sprint(f.port()), mobaGatewayUsers: f.User,
		})))
	}
	return b.String()
}

func mobaSession(name string, set map[int]string) string {
	fields := make([]string, mobaFields)
	for i := range fields {
		fields[i] = mobaDefaults[i]
		if v, ok := set[i]; ok {
			fields[i] = mobaEscape(v)
		}
	}
	return mobaEscape(name) + "= #109#" + strings.Join(fields, "%") + "#" + mobaTerminal + "#0# #-1"
}

// mobaEscape uses MobaXterm's own words for its separators. The equals sign has
// none that is known, nor has a bracket at the start of a name.
func mobaEscape(s string) string {
	return strings.NewReplacer("%", "__PERCENT__", "#", "__DIEZE__", ";", "__PTVIRG__", "|", "__PIPE__", `"`, "__DBLQUO__", "=", "_", "[", "_", "]", "_").Replace(ascii(s))
}
