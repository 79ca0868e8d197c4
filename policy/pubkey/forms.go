package pubkey

import (
	"encoding/base64"
	"encoding/binary"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// The markers around a key in the form of RFC 4716 §3, which PuTTYgen saves and
// ssh-keygen -e prints, and how wide its lines are at most.
const (
	ssh2Begin = "---- BEGIN SSH2 PUBLIC KEY ----"
	ssh2End   = "---- END SSH2 PUBLIC KEY ----"
	ssh2Line  = 72 // bytes; RFC 4716 §3
)

// Unfinished tells whether text begins a key of several lines and doesn't end it.
func Unfinished(text string) bool {
	return strings.HasPrefix(strings.TrimSpace(text), ssh2Begin) && !strings.Contains(text, ssh2End)
}

// UTF8 is what a file holds that was written as UTF-16 with its byte order mark, as
// PowerShell's > does; anything else stays as it is, without the mark of UTF-8.
func UTF8(file []byte) string {
	var order binary.ByteOrder
	switch text := string(file); {
	case strings.HasPrefix(text, "\xff\xfe"):
		order = binary.LittleEndian
	case strings.HasPrefix(text, "\xfe\xff"):
		order = binary.BigEndian
	default:
		return strings.TrimPrefix(text, "\ufeff")
	}
	file = file[2:]
	if len(file)%2 != 0 || len(file) > 2*maxLine {
		return string(file) // no key, and refused as such
	}
	units := make([]uint16, 0, len(file)/2)
	for i := 0; i < len(file); i += 2 {
		units = append(units, order.Uint16(file[i:]))
	}
	return string(utf16.Decode(units))
}

// oneLine is text in authorized_keys form where it is a key of RFC 4716; anything else
// but a private key stays as it is.
func oneLine(text string) (string, *Error) {
	text = UTF8([]byte(text))
	switch begin := strings.TrimSpace(text); {
	case !utf8.ValidString(text) || strings.Contains(text, "\x00"):
		return "", refuse(Malformed, "", "it isn't text in UTF-8")
	case strings.Contains(text, "PRIVATE KEY-----"), strings.HasPrefix(begin, "PuTTY-User-Key-File"):
		return "", refuse(Private, "", "this is a PRIVATE key: nobody else may have it")
	case strings.HasPrefix(begin, ssh2Begin):
		return fromSSH2(begin)
	}
	return text, nil
}

// fromSSH2 reads RFC 4716: one key, whose comment is that of its header.
func fromSSH2(text string) (string, *Error) {
	bad := func(why string) (string, *Error) {
		return "", refuse(Malformed, "", "the key in the form of SSH2 %s", why)
	}
	lines := strings.Split(strings.ReplaceAll(text, "\r\n", "\n"), "\n")
	if lines[0] != ssh2Begin {
		return bad("has something behind its first line")
	}
	lines = lines[1:]
	comment, body, ended := "", "", false
	for len(lines) > 0 && !ended {
		line := lines[0]
		lines = lines[1:]
		tag, value, header := strings.Cut(line, ": ")
		switch {
		case line == ssh2End:
			ended = true
		case len(line) > ssh2Line:
			return bad("has a line that is too long")
		case header && body == "":
			for strings.HasSuffix(value, `\`) && len(lines) > 0 {
				value, lines = strings.TrimSuffix(value, `\`)+lines[0], lines[1:]
			}
			if strings.EqualFold(tag, "comment") {
				comment = strings.Trim(value, `"`)
			}
		default:
			body += line
		}
	}
	switch {
	case !ended:
		return bad("is cut short")
	case strings.TrimSpace(strings.Join(lines, "")) != "":
		return "", refuse(MoreThanOne, "", "there is something behind the key")
	}
	raw, err := base64.StdEncoding.Strict().DecodeString(body)
	if err != nil || len(raw) < 4 {
		return bad("is not base64")
	}
	n := binary.BigEndian.Uint32(raw)
	if uint64(n) > uint64(len(raw)-4) {
		return bad("is cut short")
	}
	kind := string(raw[4 : 4+n])
	if strings.ContainsFunc(kind, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return bad("is of no type")
	}
	return strings.TrimRight(kind+" "+body+" "+strings.ReplaceAll(comment, "\n", " "), " "), nil
}
