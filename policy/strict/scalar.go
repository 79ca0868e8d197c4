package strict

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"entry/audit/plain"
)

// Raw is a single value as it is written, "" for anything else. It reports
// nothing: what it stands for has been read otherwise, or will be.
func (v Value) Raw() string {
	if v.node == nil || v.node.Kind != yaml.ScalarNode {
		return ""
	}
	return v.node.Value
}

// Scalar is Raw for a form that only the caller knows, called want where there is
// something else.
func (v Value) Scalar(want string) (string, bool) {
	return v.Raw(), v.is(yaml.ScalarNode, want)
}

// Text reads one line of text.
func (v Value) Text() string {
	s, _ := v.Want("text")
	return s
}

// Want is Text, called want where there is something else; ok is false where
// there is no such line, which is reported but for an absent Value.
func (v Value) Want(want string) (text string, ok bool) {
	if !v.is(yaml.ScalarNode, want) {
		return "", false
	}
	if v.node.Tag != "!!str" {
		v.Errorf(CodeType, "want %s, found %s; quote it if it is meant as text", want, v.found())
		return "", false
	}
	s := strings.TrimRight(v.node.Value, "\n")
	if i := strings.IndexFunc(s, func(r rune) bool { return !plain.Visible(r) }); i >= 0 {
		v.Errorf(CodeEncoding, "want one line of text without control characters")
		return "", false
	}
	return s, true
}

// Choice reads one of a closed set of words and gives its index, 0 if the value
// is absent or wrong.
func (v Value) Choice(words ...string) int {
	s, ok := v.Want("one of " + strings.Join(words, ", "))
	if !ok {
		return 0
	}
	i := slices.Index(words, s)
	if i < 0 {
		v.Errorf(CodeValue, "%q is not one of %s", s, strings.Join(words, ", "))
		return 0
	}
	return i
}

// Bool reads true or false; the YAML 1.1 spellings (yes, on) are reported.
func (v Value) Bool(def bool) bool {
	if !v.is(yaml.ScalarNode, "true or false") {
		return def
	}
	switch v.node.Value {
	case "true", "false":
		if v.node.Tag == "!!bool" {
			return v.node.Value == "true"
		}
	}
	v.WrongKind("true or false")
	return def
}

// Int reads a decimal number from least to most.
func (v Value) Int(def, least, most int64) int64 {
	if !v.is(yaml.ScalarNode, "a number") {
		return def
	}
	n, err := strconv.ParseInt(v.node.Value, 10, 64)
	if v.node.Tag != "!!int" || err != nil {
		v.WrongKind("a whole number")
		return def
	}
	if n < least || n > most {
		v.Errorf(CodeValue, "%d is out of range; want %d to %d", n, least, most)
		return def
	}
	return n
}

// Duration reads "90s", "10m", "12h" or a combination of those.
func (v Value) Duration(def, least, most time.Duration) time.Duration {
	const want = "a duration such as 30s, 10m or 12h"
	if !v.is(yaml.ScalarNode, want) {
		return def
	}
	d, err := time.ParseDuration(v.node.Value)
	if err != nil {
		v.WrongKind(want)
		return def
	}
	if d < least || d > most {
		v.Errorf(CodeValue, "%s is out of range; want %s to %s", v.node.Value, FormatDuration(least), FormatDuration(most))
		return def
	}
	return d
}

// Days reads "90d" as a whole number of days.
func (v Value) Days(def time.Duration, least, most int64) time.Duration {
	const want = "a number of days such as 90d"
	if !v.is(yaml.ScalarNode, want) {
		return def
	}
	number, ok := strings.CutSuffix(v.node.Value, "d")
	n, err := strconv.ParseInt(number, 10, 32)
	if !ok || err != nil {
		v.WrongKind(want)
		return def
	}
	if n < least || n > most {
		v.Errorf(CodeValue, "%s is out of range; want %dd to %dd", v.node.Value, least, most)
		return def
	}
	return time.Duration(n) * 24 * time.Hour
}

// units are the sizes that a file may use; powers of 1000 are left out, because
// half of their readers take them for powers of 1024.
var units = []struct {
	name  string
	bytes int64
}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40}}

// Size reads a number of bytes: "64KiB", "1GiB", or a plain number.
func (v Value) Size(def, least, most int64) int64 {
	const want = "a size such as 512MiB or 1GiB"
	if !v.is(yaml.ScalarNode, want) {
		return def
	}
	text, unit := v.node.Value, int64(1)
	for _, u := range units {
		if number, ok := strings.CutSuffix(text, u.name); ok {
			text, unit = strings.TrimSuffix(number, " "), u.bytes
			break
		}
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || unit > 1 && v.node.Tag != "!!str" {
		v.WrongKind(want)
		return def
	}
	if n > most/unit || n*unit < least {
		v.Errorf(CodeValue, "%s is out of range; want %s to %s", v.node.Value, FormatSize(least), FormatSize(most))
		return def
	}
	return n * unit
}

// FormatSize is n bytes as a file would have them: "512MiB".
func FormatSize(n int64) string {
	for i := len(units) - 1; i >= 0; i-- {
		if u := units[i]; n >= u.bytes && n%u.bytes == 0 {
			return fmt.Sprintf("%d%s", n/u.bytes, u.name)
		}
	}
	return strconv.FormatInt(n, 10)
}

// Network reads "192.0.2.0/24", "2001:db8::/32" or a single address. One way to
// write each: no bits beyond the prefix, no IPv4 inside IPv6, no zone.
func (v Value) Network() (netip.Prefix, bool) {
	s, ok := v.Want(`a network such as "192.0.2.0/24"`)
	if !ok {
		return netip.Prefix{}, false
	}
	if addr, err := netip.ParseAddr(s); err == nil && addr.Zone() == "" && !addr.Is4In6() {
		return netip.PrefixFrom(addr, addr.BitLen()), true
	}
	network, err := netip.ParsePrefix(s)
	switch {
	case err != nil || network.Addr().Is4In6():
		v.Errorf(CodeValue, "%q: want a network such as 192.0.2.0/24 or 2001:db8::/32, or one address", s)
	case network != network.Masked():
		v.Errorf(CodeValue, "%q: bits are set beyond the prefix; the network is %s", s, network.Masked())
	default:
		return network, true
	}
	return netip.Prefix{}, false
}

// FormatDuration is d without the zero units that time.Duration prints: "12h".
func FormatDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = s[:len(s)-2]
	}
	if strings.HasSuffix(s, "h0m") {
		s = s[:len(s)-2]
	}
	return s
}

func (v Value) found() string {
	switch v.node.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	}
	switch v.node.Tag {
	case "!!null":
		return "nothing"
	case "!!bool", "!!int", "!!float", "!!timestamp":
		return strings.TrimPrefix(v.node.Tag, "!!") + " " + strconv.Quote(v.node.Value)
	}
	return strconv.Quote(v.node.Value)
}
