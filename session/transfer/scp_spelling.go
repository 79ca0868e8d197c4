package transfer

import (
	"strconv"
	"strings"
)

// OpenSSH's scp sends a name that has a line feed as vis(3) spells it (VIS_NL): new\^Jline.
// No sink turns it back, so that an upload makes a file of the name as it is spelt; of a
// download it is what the target's scp made of the name there.

// scpSpells is how scp spells a name that has a line feed.
func scpSpells(name string) string {
	var b strings.Builder
	for _, c := range []byte(name) {
		low := c & 0x7f
		switch {
		case c == '\\':
			b.WriteString(`\\`)
		case c >= ' ' && c < 0x7f, c == '\t':
			b.WriteByte(c)
		case low == ' ':
			b.WriteString(`\240`)
		default:
			b.WriteByte('\\')
			if c >= 0x80 {
				b.WriteByte('M')
			}
			if low < ' ' || low == 0x7f {
				b.WriteString("^" + string(rune(low^0x40)))
			} else {
				b.WriteString("-" + string(rune(low)))
			}
		}
	}
	return b.String()
}

// scpSpelt is the name that scp spells as text; ok is false where it spells none so. A file
// may have the spelling for a name, too.
func scpSpelt(text string) (name string, ok bool) {
	if !strings.Contains(text, `\^J`) {
		return "", false
	}
	var b []byte
	for rest := text; rest != ""; {
		if rest[0] != '\\' {
			b, rest = append(b, rest[0]), rest[1:]
			continue
		}
		rest = rest[1:]
		if n, err := strconv.ParseUint(rest[:min(3, len(rest))], 8, 8); err == nil && len(rest) >= 3 {
			b, rest = append(b, byte(n)), rest[3:]
			continue
		}
		high := byte(0)
		if strings.HasPrefix(rest, "M") {
			high, rest = 0x80, rest[1:]
		}
		switch {
		case high == 0 && strings.HasPrefix(rest, `\`):
			b, rest = append(b, '\\'), rest[1:]
		case len(rest) > 1 && rest[0] == '^':
			b, rest = append(b, high|rest[1]^0x40), rest[2:]
		case len(rest) > 1 && rest[0] == '-':
			b, rest = append(b, high|rest[1]), rest[2:]
		default:
			return "", false
		}
	}
	name = string(b)
	return name, strings.Contains(name, "\n") && scpSpells(name) == text
}
