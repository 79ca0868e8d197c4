package ldapmatch

import (
	"encoding/hex"
	"slices"
	"strings"
	"unicode/utf8"
)

// attributeTypes are the short names of the types that names are made of (RFC
// 4514 §3), by their others (RFC 4519).
var attributeTypes = map[string]string{
	"2.5.4.3": "cn", "commonname": "cn",
	"2.5.4.7": "l", "localityname": "l",
	"2.5.4.8": "st", "stateorprovincename": "st",
	"2.5.4.10": "o", "organizationname": "o",
	"2.5.4.11": "ou", "organizationalunitname": "ou",
	"2.5.4.6": "c", "countryname": "c",
	"2.5.4.9": "street", "streetaddress": "street",
	"0.9.2342.19200300.100.1.25": "dc", "domaincomponent": "dc",
	"0.9.2342.19200300.100.1.1": "uid", "userid": "uid",
}

func attributeType(s string) (string, bool) {
	s = strings.TrimPrefix(strings.ToLower(strings.Trim(s, " ")), "oid.") // as RFC 1779 wrote the dotted form
	if short, ok := attributeTypes[s]; ok {
		return short, true
	}
	return s, s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return r != '-' && r != '.' && (r < '0' || r > '9') && (r < 'a' || r > 'z')
	})
}

// dnKey is the key of a distinguished name (RFC 4514, and the semicolons and
// quotes of RFC 2253 §4); ok tells whether name is one. Values in BER, which
// begin with "#", are compared as they are written.
func dnKey(name string, prepare func(string) string) (key string, ok bool) {
	var rdns, parts []string // of the name, and of its RDN at hand
	for rest, more := name, true; more; {
		kind, value, found := strings.Cut(rest, "=")
		kind, valid := attributeType(kind)
		if !found || !valid {
			return "", false
		}
		var end byte
		if value, rest, end, ok = cutValue(value); !ok {
			return "", false
		}
		parts = append(parts, kind+"="+escapes.Replace(prepare(value)))
		if end != '+' {
			slices.Sort(parts)
			rdns, parts = append(rdns, strings.Join(parts, "+")), nil
		}
		more = end != 0
	}
	return strings.Join(rdns, ","), true
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
