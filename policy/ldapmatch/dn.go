package ldapmatch

import (
	"encoding/hex"
	"slices"
	"strings"
	"unicode/utf8"
)

// attribute is one of an RDN, as keys have it.
type attribute struct {
	kind   string
	known  bool   // kind is one of types
	value  string // prepared and escaped
	binary bool   // value is BER, and no text
}

// dnKey is the key of a distinguished name; ok tells whether name is one.
func dnKey(name string, prepare func(string) string, decode bool) (key string, ok bool) {
	all, ok := parseDN(name, prepare, decode)
	var rdns []string
	for _, rdn := range all {
		var parts []string
		for _, a := range rdn {
			parts = append(parts, a.kind+"="+a.value)
		}
		slices.Sort(parts)
		rdns = append(rdns, strings.Join(parts, "+"))
	}
	return strings.Join(rdns, ","), ok
}

// parseDN reads a distinguished name (RFC 4514, and the semicolons and quotes of RFC
// 2253 §4); ok tells whether name is one. With decode, a string in BER is what it says:
// some directories take it so, and OpenLDAP doesn't.
func parseDN(name string, prepare func(string) string, decode bool) (rdns [][]attribute, ok bool) {
	var parts []attribute // of the RDN at hand
	for rest, more := name, true; more; {
		kind, value, found := strings.Cut(rest, "=")
		kind, known, valid := attributeType(kind)
		if !found || !valid {
			return nil, false
		}
		coded := strings.HasPrefix(strings.TrimLeft(value, " "), "#")
		var end byte
		if value, rest, end, ok = cutValue(value); !ok {
			return nil, false
		}
		a := attribute{kind: kind, known: known}
		if b, err := hex.DecodeString(strings.TrimPrefix(value, "#")); coded && err == nil && len(b) > 0 {
			text, isText := berText(b)
			value, a.binary = text, !isText || !decode
			if a.binary {
				// A backslash stands before no other "#": it is no text that looks like it.
				a.value = `\#` + hex.EncodeToString(b)
			}
		}
		if !a.binary {
			a.value = escapes.Replace(prepare(value))
		}
		parts = append(parts, a)
		if end != '+' {
			rdns, parts = append(rdns, parts), nil
		}
		more = end != 0
	}
	return rdns, true
}

// berText is what a string says in BER (X.690): an OCTET STRING, as LDAP has values
// (RFC 4511 §4.1.5), or one of the kinds that are ASCII or UTF-8.
func berText(b []byte) (text string, ok bool) {
	if len(b) < 2 || !slices.Contains([]byte{0x04, 0x0c, 0x12, 0x13, 0x16, 0x1a}, b[0]) {
		return "", false
	}
	n, b := int(b[1]), b[2:]
	if n >= 0x80 { // so many bytes have the length; two are enough for any name
		more := n & 0x7f
		if more == 0 || more > 2 || len(b) < more {
			return "", false
		}
		n = 0
		for _, c := range b[:more] {
			n = n<<8 | int(c)
		}
		b = b[more:]
	}
	return string(b), len(b) == n && utf8.Valid(b)
}

// escapes keeps what ends a value out of values.
var escapes = strings.NewReplacer(`\`, `\\`, ",", `\,`, "+", `\+`)

// cutValue reads a value from s up to what ends it (',', ';', '+', or 0 for the
// end of s), without the spaces around it and without escapes.
func cutValue(s string) (value, rest string, end byte, ok bool) {
	var b strings.Builder
	quoted, kept := false, 0 // kept is as far as spaces count
	for s = strings.TrimLeft(s, " "); s != ""; {
		c := s[0]
		s = s[1:]
		switch {
		case c == '\\':
			if s == "" {
				return "", "", 0, false
			}
			if octet, err := hex.DecodeString(s[:min(2, len(s))]); err == nil && len(octet) == 1 {
				b.WriteByte(octet[0])
				s = s[2:]
			} else {
				b.WriteByte(s[0])
				s = s[1:]
			}
			kept = b.Len()
		case c == '"':
			quoted, kept = !quoted, b.Len()
		case !quoted && (c == ',' || c == ';' || c == '+'):
			value, end = b.String(), c
			value = value[:kept] + strings.TrimRight(value[kept:], " ")
			return value, s, end, utf8.ValidString(value)
		default:
			b.WriteByte(c)
		}
	}
	value = b.String()
	value = value[:kept] + strings.TrimRight(value[kept:], " ")
	return value, "", 0, !quoted && utf8.ValidString(value)
}
