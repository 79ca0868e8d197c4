package guide

import (
	"encoding/json"
	"fmt"
	"sort"
	"strings"
)

// socksPort is where `ssh -D` listens on the user's own machine.
const socksPort = 1080

// browser is a proxy auto-configuration file: the lab's web services go through
// the user's own `ssh -D`, everything else goes its usual way.
func browser(f Facts) string {
	names := map[string]bool{}
	for _, t := range f.reachable(TCP) {
		names[strings.ToLower(t.Name)] = true
		names[strings.ToLower(t.Full)] = true
	}
	sorted := make([]string, 0, len(names))
	for n := range names {
		sorted = append(sorted, n)
	}
	sort.Strings(sorted)
	list, err := json.Marshal(sorted) // JSON with <, >, & and U+2028 escaped is JavaScript
	if err != nil {
		return ""
	}
	return lines(
		"// "+f.Name+": web services of "+f.User+"'s lab in a browser.",
		"// 1. Keep this running in a terminal:  "+fmt.Sprintf("ssh -N -D %d %s", socksPort, f.Name),
		"// 2. Save this file as entry.pac and give the browser its address. Firefox:",
		"//    Settings, Network Settings, Automatic proxy configuration URL,",
		"//    file:///PATH/entry.pac, and tick \"Proxy DNS when using SOCKS v5\".",
		"//    Chrome and Edge: start with --proxy-pac-url=file:///PATH/entry.pac",
		"// Nothing but the names below goes through the lab.",
		"function FindProxyForURL(url, host) {",
		"    var names = "+string(list)+";",
		"    host = host.toLowerCase().replace(/\\.$/, \"\");",
		"    for (var i = 0; i < names.length; i++) {",
		"        if (host === names[i]) {",
		"            // No way round: without the connection these names lead nowhere.",
		fmt.Sprintf("            return \"SOCKS5 127.0.0.1:%d; SOCKS 127.0.0.1:%d\";", socksPort, socksPort),
		"        }",
		"    }",
		"    return \"DIRECT\";",
		"}",
	)
}
