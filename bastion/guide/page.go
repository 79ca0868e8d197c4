package guide

import (
	_ "embed"
	"fmt"
	html "html/template"
	"io"
	"strings"
	text "text/template"

	"entry/audit/plain"
)

//go:embed page.html
var pageHTML string

//go:embed page.txt
var pageText string

var (
	htmlPage = html.Must(html.New("page").Funcs(html.FuncMap{"local": localPort}).Parse(pageHTML))
	textPage = text.Must(text.New("page").Funcs(text.FuncMap{"local": localPort}).Parse(pageText))
)

// page is what both templates are filled with.
type page struct {
	Facts
	Command     string
	Address     string // as people write it: host, or host port N
	Fingerprint string
	KnownHosts  string
	Config      string // for macOS and Linux
	Windows     string // the same without what OpenSSH for Windows lacks
	Ask         string // whom
	Machines    []Target
	Services    []Target
	Refused     []Target
	RememberFor string // "" where off
	InviteFor   string // "" where not told
	Minutes     int    // that a login may take
}

func (f Facts) page() (page, error) {
	if err := f.check(); err != nil {
		return page{}, err
	}
	prints, err := f.fingerprints()
	if err != nil {
		return page{}, err
	}
	p := page{Facts: f, Command: f.command(), Fingerprint: strings.Join(prints, "\n"), KnownHosts: strings.Join(f.knownHosts(), "\n"), Ask: f.contact(),
		Machines: f.reachable(SSH), Services: f.reachable(TCP), Minutes: max(1, f.loginSeconds()/60), Address: f.server}
	if f.port() != sshPort {
		p.Address = fmt.Sprintf("%s, port %d", f.server, f.port())
	}
	for _, t := range f.Targets {
		if t.Denied != "" {
			p.Refused = append(p.Refused, t)
		}
	}
	if f.Remembered > 0 {
		p.RememberFor = plain.Span(f.Remembered)
	}
	if f.Invited > 0 {
		p.InviteFor = plain.Span(f.Invited)
	}
	f.Multiplex = true
	p.Config = blocks(openSSH(f))
	f.Multiplex = false
	p.Windows = blocks(openSSH(f))
	return p, nil
}

// blocks leaves out the comment at the head of a file: the guide says it in its
// own words.
func blocks(s string) string {
	_, rest, _ := strings.Cut(s, "\n\n")
	return rest
}

// HTML writes the personal access guide as one page that needs nothing else: no
// script, no font, no image, no request. Its own policy forbids all of them.
func HTML(w io.Writer, f Facts) error {
	p, err := f.page()
	if err != nil {
		return err
	}
	if err := htmlPage.Execute(w, p); err != nil {
		return fmt.Errorf("write guide: %w", err)
	}
	return nil
}

// Text writes the same guide as plain text, for mail and terminals.
func Text(w io.Writer, f Facts) error {
	p, err := f.page()
	if err != nil {
		return err
	}
	if err := textPage.Execute(w, p); err != nil {
		return fmt.Errorf("write guide: %w", err)
	}
	return nil
}
