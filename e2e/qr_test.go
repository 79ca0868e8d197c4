package e2e

import (
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"entry/e2e/testkit"
)

// photographed is what a phone reads off a screen of so many columns that shows text:
// black on white or the reverse, two to one cells, lines broken where they end.
func photographed(t *testing.T, text string, columns int, onLight bool) string {
	t.Helper()
	const wide, high = 6, 12
	var screen [][]rune
	for line := range strings.SplitSeq(strings.ReplaceAll(text, "\r", ""), "\n") {
		r := []rune(line)
		for len(r) > columns {
			screen, r = append(screen, r[:columns]), r[columns:]
		}
		screen = append(screen, r)
	}
	back, ink := color.Gray{Y: 20}, color.Gray{Y: 230}
	if onLight {
		back, ink = ink, back
	}
	img := image.NewGray(image.Rect(0, 0, (columns+4)*wide, (len(screen)+2)*high))
	draw.Draw(img, img.Bounds(), image.NewUniform(back), image.Point{}, draw.Src)
	for row, line := range screen {
		for col, r := range line {
			x, y := (col+2)*wide, (row+1)*high
			cell := image.Rectangle{}
			switch r {
			case '█':
				cell = image.Rect(x, y, x+wide, y+high)
			case '▀':
				cell = image.Rect(x, y, x+wide, y+high/2)
			case '▄':
				cell = image.Rect(x, y+high/2, x+wide, y+high)
			case ' ':
			default: // some letter
				cell = image.Rect(x+1, y+2, x+wide-2, y+high-3)
			}
			draw.Draw(img, cell, image.NewUniform(ink), image.Point{}, draw.Src)
		}
	}
	path := filepath.Join(t.TempDir(), "screen.png")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := png.Encode(f, img); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	r := testkit.Run(t, command("zbarimg", "--quiet", "--raw", "-Sdisable", "-Sqrcode.enable", "-Stest-inverted=0", path))
	return strings.TrimSpace(r.Stdout)
}

// TestQRIsRead: on screens dark and light, of 80 and of 40 columns, a scanner reads
// what the key says; in a C locale nothing but letters is shown until a picture is
// asked for, and the enrolment goes on with the same key.
func TestQRIsRead(t *testing.T) {
	beside(t)
	s, _ := quickSite(t, recordAll())
	alice := s.add("alice")
	w := onTerminal(t, s.client(alice).byHand().exec("echo at-$((1+1)); exit 8"))
	w.resize(40, 24)
	w.expect(`entry passphrase: $`)
	w.sendLine(alice.temporary)
	w.expect(`New entry passphrase: $`)
	w.sendLine(alice.chosen())
	w.expect(`Repeat new entry passphrase: $`)
	w.sendLine(alice.chosen())
	asked := w.expect(`(?s)^.*` + groupedSecret.String() + `\s+entry one-time code: $`)
	alice.phone = newAuthenticator(asked[1])
	for line := range strings.SplitSeq(asked[0], "\n") {
		if line = strings.TrimRight(line, "\r "); len(line) > 40 && !strings.Contains(line, "(alice@") {
			t.Errorf("40 columns break %q", line)
		}
	}
	read := func(letter string, columns int, onLight bool) string {
		w.sendLine(letter)
		shown := w.expect(`(?s)^.*` + groupedSecret.String() + `\s+entry one-time code: $`)
		if newAuthenticator(shown[1]).secret != alice.phone.secret {
			t.Errorf("%s shows another key", letter)
		}
		got, err := url.Parse(photographed(t, shown[0], columns, onLight))
		if err != nil {
			t.Error(err)
			return ""
		}
		if label := "/entry:alice"; got.Scheme != "otpauth" || got.Host != "totp" || got.Path != label {
			return got.String()
		}
		return got.Query().Get("secret")
	}
	for _, c := range []struct {
		letter  string
		columns int
		onLight bool
		found   bool
	}{
		{"d", 80, false, true}, {"d", 40, false, true}, {"b", 80, false, true}, {"l", 80, true, true}, {"b", 40, true, true}, {"l", 40, true, true},
		{"d", 80, true, false}, {"l", 80, false, false}, // what a light screen made of the only one
	} {
		if got := read(c.letter, c.columns, c.onLight); (got == alice.phone.secret) != c.found {
			t.Errorf("%s, %d columns, light: %t: read %q", c.letter, c.columns, c.onLight, got)
		}
	}
	w.sendLine("u")
	w.expect(`otpauth://totp/entry:alice\?secret=` + alice.phone.secret + `&issuer=entry\s(?s:.*)entry one-time code: $`)
	w.sendLine(alice.phone.code(t))
	w.expect(`Press Enter when you have kept them, to go on with entry: $`)
	w.sendLine("")
	lands(w)

	bob := s.add("bob")
	c := s.client(bob).byHand().exec("echo at-$((1+1)); exit 8")
	c.Env = append(c.Env, "LANG=C", "LC_ALL=C")
	w = onTerminal(t, c)
	bob.firstLogin(w)
	lands(w)
	if text := w.text(); strings.Contains(text, `\3`) || regexp.MustCompile(`[^\x00-\x7f]`).MatchString(text) {
		t.Errorf("in a C locale: %q", text)
	}
}
