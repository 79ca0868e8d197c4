package guide

import (
	_ "embed"
	"fmt"
	"io"
	"net/netip"
	"strings"
	text "text/template"
)

//go:embed support.md
var supportText string

var supportPage = text.Must(text.New("support").Parse(supportText))

// Server is what the IT staff of users' organisations have to know of where
// users connect, beside Facts, of which they need no user and no target.
type Server struct {
	Addresses  []netip.Addr // that the name has; none where that isn't known
	OtherPorts []int        // that lead to the jump host too
	HostKey    string       // the fingerprint of its own, SHA256:…
}

type support struct {
	page
	Server
	Host    string
	Port    int
	Ports   string   // all of them, in words
	Proxied []string // settings for OpenSSH behind a proxy
	On443   bool
}

// ITSupport writes the page for the IT staff of users' organisations, in
// Markdown that reads as plain text too. It holds no secret and nothing of any
// user.
func ITSupport(w io.Writer, f Facts, s Server) error {
	f.User, f.Targets = "USER", nil
	f.Proxy, f.Multiplex = anyProxy, true
	p, err := f.page()
	if err != nil {
		return err
	}
	ports := append([]int{f.port()}, s.OtherPorts...)
	words := make([]string, len(ports))
	on443 := false
	for i, port := range ports {
		if port < 1 || port > 65535 {
			return fmt.Errorf("guide: port %d", port)
		}
		words[i] = fmt.Sprint(port)
		on443 = on443 || port == 443
	}
	if err := checkText("the fingerprint", s.HostKey); err != nil {
		return err
	}
	sp := support{page: p, Server: s, Host: f.server, Port: f.port(), Ports: strings.Join(words, " or "), On443: on443, Proxied: f.jumpHost()}
	if err := supportPage.Execute(w, sp); err != nil {
		return fmt.Errorf("write page: %w", err)
	}
	return nil
}
