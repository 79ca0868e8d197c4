package session

import (
	"encoding/binary"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
)

// Truncated anywhere, a payload is refused; no parser reads past its end.
func TestTruncatedPayloads(t *testing.T) {
	for name, c := range parsers {
		for i := range c.good {
			if c.parse(c.good[:i]) {
				t.Errorf("%s accepts %d of %d bytes", name, i, len(c.good))
			}
		}
		if !c.parse(c.good) {
			t.Errorf("%s refuses a good payload", name)
		}
		if c.parse(append(c.good[:len(c.good):len(c.good)], 0)) {
			t.Errorf("%s accepts a byte too many", name)
		}
	}
}

type parser struct {
	good  []byte
	parse func([]byte) bool
}

var parsers = map[string]parser{
	"pty-req":       {ssh.Marshal(testPty), func(b []byte) bool { _, ok := parsePty(b); return ok }},
	"window-change": {ssh.Marshal(struct{ C, R, W, H uint32 }{80, 24, 0, 0}), func(b []byte) bool { _, ok := parseWindowChange(b); return ok }},
	"text":          {ssh.Marshal(struct{ S string }{"id"}), func(b []byte) bool { _, ok := parseText(b, maxCommand); return ok }},
	"env":           {ssh.Marshal(struct{ N, V string }{"LANG", "C"}), func(b []byte) bool { _, _, ok := parseEnv(b); return ok }},
	"x11-req":       {x11Request, func(b []byte) bool { _, ok := parseX11(b); return ok }},
	"uint32":        {binary.BigEndian.AppendUint32(nil, 7), func(b []byte) bool { _, ok := parseUint32(b); return ok }},
	"exit-signal": {ssh.Marshal(struct {
		N    string
		C    bool
		M, L string
	}{"TERM", false, "", ""}), func(b []byte) bool { _, ok := parseExitSignal(b); return ok }},
	"tcp channel": {tcpPayload("localhost", 22), func(b []byte) bool { _, ok := parseTCPChannel(b); return ok }},
	"listen":      {listenPayload("", 0), func(b []byte) bool { _, _, ok := parseListen(b); return ok }},
	"streamlocal": {ssh.Marshal(struct {
		P, R string
		N    uint32
	}{"/s", "", 0}), func(b []byte) bool { _, ok := parseStreamLocal(b); return ok }},
	"forwarded streamlocal": {ssh.Marshal(struct{ P, R string }{"/s", ""}), func(b []byte) bool { _, ok := parseForwardedStreamLocal(b); return ok }},
	"x11 channel": {ssh.Marshal(struct {
		A string
		P uint32
	}{"::1", 6010}), func(b []byte) bool { _, ok := parseX11Channel(b); return ok }},
}

func FuzzPayloads(f *testing.F) {
	for _, c := range parsers {
		f.Add(c.good)
	}
	f.Add(huge)
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, c := range parsers {
			c.parse(b)
		}
		if p, ok := parsePty(b); ok && (p.Cols > maxCells || len(p.Term) > maxTerm) {
			t.Errorf("pty %+v", p)
		}
		if s, ok := parseText(b, 10); ok && len(s) > 10 {
			t.Errorf("text of %d bytes", len(s))
		}
		if o, ok := parseTCPChannel(b); ok && o.Port > maxPort {
			t.Errorf("port %d", o.Port)
		}
		line := asciiLine(string(b), 50)
		if len(line) > 50 || strings.ContainsFunc(line, func(r rune) bool { return r < ' ' || r > '~' }) {
			t.Errorf("line %q", line)
		}
		for _, c := range []byte(programName(string(b))) {
			if c < '(' || c > 'z' {
				t.Errorf("program %q", programName(string(b)))
			}
		}
	})
}

func TestProgramTellsNoSecret(t *testing.T) {
	for command, want := range map[string]string{
		"ls -l":                                "ls",
		"/usr/bin/rsync --server":              "rsync",
		"  git-upload-pack 'x'":                "git-upload-pack",
		"PASSWORD=hunter2 mysql":               "(compound)",
		"TOKEN=/etc/secret cmd":                "(compound)",
		"'hunter2'":                            "(compound)",
		"$(cat x)":                             "(compound)",
		"":                                     "(compound)",
		"true;false":                           "(compound)",
		strings.Repeat("a", 65):                "(compound)",
		"cd /tmp; ls":                          "cd",
		"scp\t-t .":                            "scp",
		"[ -e x ]":                             "[",
		"\x1b[31mred":                          "(compound)",
		"/opt/thinlinc/bin/thinlinc-login xyz": "thinlinc-login",
	} {
		if got := programName(command); got != want {
			t.Errorf("programName(%q) = %q, want %q", command, got, want)
		}
	}
}
