package guide

import (
	"fmt"
	"strings"
)

// Client is one kind of client file.
type Client struct {
	Name  string // what `config` calls it: "openssh"
	Title string // what people call it: "OpenSSH"
	File  string // a good name for the file
	crlf  bool   // where only Windows reads it
	make  func(Facts) string
}

var clients = []Client{
	{Name: "openssh", Title: "OpenSSH (Linux, macOS, Windows)", File: "entry.conf", make: openSSH},
	{Name: "known_hosts", Title: "the known_hosts line for OpenSSH", File: "known_hosts", make: func(f Facts) string { return lines(f.knownHosts()...) }},
	{Name: "putty", Title: "PuTTY 0.78 or later", File: "entry.reg", crlf: true, make: putty},
	{Name: "winscp", Title: "WinSCP", File: "entry.ini", crlf: true, make: winSCP},
	{Name: "mobaxterm", Title: "MobaXterm", File: "entry.mxtsessions", crlf: true, make: mobaXterm},
	{Name: "vscode", Title: "VS Code, Remote - SSH", File: "settings.json", make: vsCode},
	{Name: "browser", Title: "a browser, for the lab's web workbench", File: "entry.pac", make: browser},
}

// Clients lists the kinds of file there are.
func Clients() []Client { return clients }

// Known finds a kind of file by its name.
func Known(name string) (Client, bool) {
	for _, c := range clients {
		if c.Name == name {
			return c, true
		}
	}
	return Client{}, false
}

// Make returns the file's text, with the line endings that its client wants. An
// error says what in f can't stand in any file.
func (c Client) Make(f Facts) (string, error) {
	if err := f.check(); err != nil {
		return "", fmt.Errorf("%s: %w", c.Name, err)
	}
	s := c.make(f)
	if c.crlf {
		s = strings.ReplaceAll(s, "\n", "\r\n")
	}
	return s, nil
}

// ascii replaces what a client's old character set might not have.
func ascii(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, s)
}

// lines joins lines, each with its newline.
func lines(all ...string) string { return strings.Join(all, "\n") + "\n" }
