package identity

import (
	"encoding/base32"
	"strings"
	"testing"

	"github.com/boombuler/barcode/qr"
)

// TestRenderQR reads the modules back from the text and compares them with the
// encoder's.
func TestRenderQR(t *testing.T) {
	uri := otpauthURI("entry", "alice", []byte("12345678901234567890"))
	if want := "otpauth://totp/entry:alice?secret=" + base32.StdEncoding.EncodeToString([]byte("12345678901234567890")) + "&issuer=entry"; uri != want {
		t.Errorf("uri %q", uri)
	}
	if got := otpauthURI("Lab entry", "a.b_c", nil); got != "otpauth://totp/Lab%20entry:a.b_c?secret=&issuer=Lab%20entry" {
		t.Errorf("uri %q", got)
	}
	code, err := encodeQR(uri)
	if err != nil {
		t.Fatal(err)
	}
	if whole, err := qr.Encode(uri, qr.L, qr.Unicode); err != nil || whole.Bounds().Dx() <= code.Bounds().Dx() || code.Bounds().Dx() > 36 {
		t.Errorf("%v: %v, and %v with the issuer twice", err, code.Bounds(), whole.Bounds())
	}
	if code, err := encodeQR(otpauthURI("entry", "al", []byte("12345678901234567890"))); err != nil || !strings.HasSuffix(code.Content(), "&issuer=entry") {
		t.Errorf("%v: the issuer was left out for nothing", err)
	}
	text := renderQR(code, false, false)
	size := code.Bounds().Dx()
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if len(lines) != (size+2*quietZone+1)/2 {
		t.Fatalf("%d lines for %d modules", len(lines), size)
	}
	light := map[rune][2]bool{'█': {true, true}, '▀': {true, false}, '▄': {false, true}, ' ': {}}
	for row, line := range lines {
		runes := []rune(line)
		if len(runes) != size+2*quietZone {
			t.Fatalf("line %d has %d characters", row, len(runes))
		}
		for col, r := range runes {
			for half, got := range light[r] {
				x, y := col-quietZone, 2*row+half-quietZone
				if y >= size+quietZone {
					continue
				}
				want := true
				if x >= 0 && y >= 0 && x < size && y < size {
					red, _, _, _ := code.At(x, y).RGBA()
					want = red > 0x7fff
				}
				if got != want {
					t.Fatalf("module %d,%d", x, y)
				}
			}
		}
	}
}
