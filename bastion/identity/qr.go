package identity

import (
	"fmt"
	"image/color"
	"net/url"
	"strings"
	"unicode"

	"github.com/boombuler/barcode"
	"github.com/boombuler/barcode/qr"

	"entry/bastion/identity/secret"
)

// quietZone is the light margin around the code, in modules. ISO/IEC 18004
// §9.1 asks for 4; 2 is what phones need, and keeps the prompt within 24 lines.
const quietZone = 2

// otpauthURI is what authenticator apps scan (Google's Key URI Format).
func otpauthURI(issuer, user string, seed []byte) string {
	q := "secret=" + secret.SeedText(seed) + "&issuer=" + url.QueryEscape(issuer)
	// QueryEscape writes a space as "+", which apps show as it stands.
	q = strings.ReplaceAll(q, "+", "%20")
	return "otpauth://totp/" + url.PathEscape(issuer) + ":" + url.PathEscape(user) + "?" + q
}

// encodeQR is the code of an authenticator, in as few modules as it takes: the
// issuer stands in the label, too, and where it makes the difference it stands there
// alone. A name of up to 17 characters then fits 40 columns.
func encodeQR(uri string) (barcode.Barcode, error) {
	code, err := qr.Encode(uri, qr.L, qr.Unicode)
	if short, _, ok := strings.Cut(uri, "&issuer="); ok && err == nil {
		if other, err := qr.Encode(short, qr.L, qr.Unicode); err == nil && other.Bounds().Dx() < code.Bounds().Dx() {
			return other, nil
		}
	}
	if err != nil {
		return nil, fmt.Errorf("draw QR code: %w", err)
	}
	return code, nil
}

// renderQR draws a QR code for a dark screen or a light one: what is light in it is
// light there, as scanners want it. Small, a character has two modules, one above the
// other; big, a module has two characters. No escape sequence: OpenSSH would print it
// in octal. Each line ends in a newline.
func renderQR(code barcode.Barcode, onLight, big bool) string {
	size := code.Bounds().Dx()
	drawn := func(x, y int) bool {
		light := x < 0 || y < 0 || x >= size || y >= size || color.GrayModel.Convert(code.At(x, y)).(color.Gray).Y > 127
		return light != onLight && y < size+quietZone
	}
	var b strings.Builder
	rows := 2
	if big {
		rows = 1
	}
	for y := -quietZone; y < size+quietZone; y += rows {
		for x := -quietZone; x < size+quietZone; x++ {
			top, bottom := drawn(x, y), drawn(x, y+1)
			switch {
			case big && top:
				b.WriteString("██")
			case big:
				b.WriteString("  ")
			case top && bottom:
				b.WriteString("█")
			case top:
				b.WriteString("▀")
			case bottom:
				b.WriteString("▄")
			default:
				b.WriteByte(' ')
			}
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// seedView is how a fresh seed is shown. It begins as text of ASCII in 40 columns:
// which screen and which characters a client has, nobody knows before its user says.
type seedView struct {
	issuer, user string
	seed         []byte

	picture, link, onLight, big bool
}

// choices are the letters that change the view.
const choices = "d dark, l light, b big, t text, u link"

// isLetter tells whether somebody typed one letter, which is no code.
func isLetter(typed string) bool {
	r := []rune(strings.TrimSpace(typed))
	return len(r) == 1 && unicode.IsLetter(r[0])
}

// switched changes the view by what was typed, and tells whether it was one of the
// letters for that.
func (v *seedView) switched(typed string) bool {
	switch strings.ToLower(strings.TrimSpace(typed)) {
	case "d":
		v.picture, v.link, v.onLight = true, false, false
	case "l":
		v.picture, v.link, v.onLight = true, false, true
	case "b":
		v.big = !v.big || !v.picture
		v.picture, v.link = true, false
	case "t":
		v.picture, v.link = false, false
	case "u":
		v.picture, v.link = false, true
	default:
		return false
	}
	return true
}

// prompt begins with a newline because OpenSSH writes "(user@host) " before it. A
// small picture, its help, the key and the question just fill a terminal of 24 lines.
func (v *seedView) prompt() (string, error) {
	uri := otpauthURI(v.issuer, v.user, v.seed)
	key := groupedSecret(v.seed) + v.issuer + " one-time code: "
	switch {
	case v.link:
		return "\nThe key as a link, for an app on this\ncomputer (t: back to the text):\n" + uri + "\n" + key, nil
	case !v.picture:
		return "\nAdd " + v.issuer + " to an authenticator app.\n" +
			"For a QR code type d on a dark screen,\nl on a light one, and press Enter\n(b: bigger, 45 lines; u: a link). Rows\nof numbers: no UTF-8 here, use the key.\n" +
			"Or type this key into the app. Then\nenter the six digits that it shows.\n" + key, nil
	}
	code, err := encodeQR(uri)
	if err != nil {
		return "", err
	}
	return "\n" + renderQR(code, v.onLight, v.big) + choices + "\n" + key, nil
}

// groupedSecret is the seed for typing: base32 in groups of four, four a line.
func groupedSecret(seed []byte) string {
	s := secret.SeedText(seed)
	var b strings.Builder
	for i := 0; i < len(s); i += 4 {
		switch {
		case i > 0 && i%16 == 0:
			b.WriteString("\n  ")
		case i > 0:
			b.WriteByte(' ')
		default:
			b.WriteString("  ")
		}
		b.WriteString(s[i:min(i+4, len(s))])
	}
	b.WriteByte('\n')
	return b.String()
}
