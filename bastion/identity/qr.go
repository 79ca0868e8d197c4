package identity

import (
	"fmt"
	"image/color"
	"net/url"
	"strings"

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

// renderQR draws text as a QR code, two modules a character, with light modules
// as blocks: terminals are dark more often than not, and most apps read the
// inverse too. No escape sequence: OpenSSH would print it in octal. Each line
// ends in a newline.
func renderQR(text string) (string, error) {
	code, err := qr.Encode(text, qr.L, qr.Unicode)
	if err != nil {
		return "", fmt.Errorf("draw QR code: %w", err)
	}
	size := code.Bounds().Dx()
	light := func(x, y int) bool {
		if x < 0 || y < 0 || x >= size || y >= size {
			return true
		}
		return color.GrayModel.Convert(code.At(x, y)).(color.Gray).Y > 127
	}
	var b strings.Builder
	for y := -quietZone; y < size+quietZone; y += 2 {
		for x := -quietZone; x < size+quietZone; x++ {
			top := light(x, y)
			bottom := y+1 < size+quietZone && light(x, y+1)
			switch {
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
	return b.String(), nil
}

// groupedSecret is the seed for typing: base32 in groups of four.
func groupedSecret(seed []byte) string {
	s := secret.SeedText(seed)
	var b strings.Builder
	for i := 0; i < len(s); i += 4 {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(s[i:min(i+4, len(s))])
	}
	return b.String()
}
