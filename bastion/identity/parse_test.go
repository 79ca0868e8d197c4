package identity

import (
	"context"
	"encoding/base32"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/boombuler/barcode/qr"
	"github.com/pquerna/otp"
	"github.com/pquerna/otp/totp"
)

// TestCodeAt against the test vectors of RFC 6238 appendix B (SHA-1, the last
// six digits) and against the library's own time handling.
func TestCodeAt(t *testing.T) {
	seed := []byte("12345678901234567890")
	for at, want := range map[int64]string{
		59: "287082", 1111111109: "081804", 1111111111: "050471", 1234567890: "005924", 2000000000: "279037", 20000000000: "353130",
	} {
		when := time.Unix(at, 0)
		got, err := codeAt(seed, stepAt(when))
		if err != nil || got != want {
			t.Errorf("at %d: %s, %v; want %s", at, got, err, want)
		}
		other, err := totp.GenerateCodeCustom(seedText.EncodeToString(seed), when, totp.ValidateOpts{Period: 30, Digits: otp.DigitsSix})
		if err != nil || other != want {
			t.Errorf("totp at %d: %s %v", at, other, err)
		}
	}
	if _, err := codeAt(seed, -1); err == nil {
		t.Error("a code from before 1970")
	}
}

func TestFindStep(t *testing.T) {
	seed, now := []byte("12345678901234567890"), time.Unix(1_700_000_000, 0)
	centre := stepAt(now)
	for d := int64(-12); d <= 12; d++ {
		code, err := codeAt(seed, centre+d)
		if err != nil {
			t.Fatal(err)
		}
		m, err := findStep(seed, code, now, 0, -1)
		if err != nil || m.found != (-10 <= d && d <= 10) || m.acceptable() != (-1 <= d && d <= 1) || (m.found && m.drift != d) {
			t.Errorf("drift %d: %+v %v", d, m, err)
		}
		if m, err = findStep(seed, code, now, 0, centre+d); err != nil || !m.acceptable() || m.step != centre+d {
			t.Errorf("kept %d: %+v %v", d, m, err)
		}
	}
	if m, err := findStep(seed, "", now, 0, -1); err != nil || m.found {
		t.Errorf("empty code: %+v %v", m, err)
	}
	if m, err := findStep(seed, "123456", time.Unix(0, 0), 0, -1); err != nil || m.found {
		t.Errorf("1970: %+v %v", m, err)
	}
}

func FuzzParseCode(f *testing.F) {
	for _, s := range []string{"123456", "123 456", " 123456 ", "12345", "１２３４５６", "123\n456", "1234567", "passphrase123456"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		c, ok := parseCode(s)
		if ok != isCode(c) || (ok && strings.ReplaceAll(s, " ", "") != c) {
			t.Errorf("%q: %q %v", s, c, ok)
		}
		p, c, ok := splitAnswer(s)
		if ok && (p+c != s || !isCode(c) || p == "") {
			t.Errorf("%q: %q %q", s, p, c)
		}
	})
}

func FuzzCanonicalSymbols(f *testing.F) {
	for _, s := range []string{"abcd-efgh-jkmn", "ABCD EFGH JKMN", "oOiIlL-0000-zzzz", "uuuu-uuuu-uuuu", "abcd-efgh-jkmn-pqrs", "----", "\xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, n := range []int{recoverySymbols, temporarySymbols} {
			c, ok := canonicalSymbols(s, n)
			if !ok {
				continue
			}
			if len(c) != n || strings.Trim(c, alphabet) != "" {
				t.Errorf("%q: %q", s, c)
			}
			if again, ok := canonicalSymbols(c, n); !ok || again != c {
				t.Errorf("%q is not a fixed point: %q", c, again)
			}
		}
	})
}

func FuzzParsePHC(f *testing.F) {
	h := newHasher(params{memory: 64, time: 1, threads: 1})
	good, err := h.hash(context.Background(), "a passphrase")
	if err != nil {
		f.Fatal(err)
	}
	for i := range len(good) + 1 {
		f.Add(good[:i])
	}
	f.Add(strings.Replace(good, "m=64", "m=4294967295", 1))
	f.Add(strings.Replace(good, "m=64", "m=064", 1))
	f.Add(strings.Replace(good, "t=1", "t=0", 1))
	f.Add(newHasher(recommended).dummy())
	f.Fuzz(func(t *testing.T, s string) {
		p, salt, sum, err := parsePHC(s)
		if err != nil {
			return
		}
		if p.memory > recommended.memory || p.time > recommended.time || p.threads > recommended.threads || p.memory*p.time*uint32(p.threads) == 0 {
			t.Errorf("%q: %+v", s, p)
		}
		if again := formatPHC(p, salt, sum); again != s {
			t.Errorf("%q becomes %q", s, again)
		}
	})
}

func TestParsePHCTruncated(t *testing.T) {
	h := newHasher(params{memory: 64, time: 1, threads: 1})
	s, err := h.hash(t.Context(), "a passphrase")
	if err != nil {
		t.Fatal(err)
	}
	for i := range s {
		if _, _, _, err := parsePHC(s[:i]); !errors.Is(err, errPHC) {
			t.Errorf("%q: %v", s[:i], err)
		}
	}
	if _, err := h.verify(t.Context(), s[:40], "a passphrase"); err == nil {
		t.Error("verified against half a hash")
	}
}

// TestRecommendedHash checks the real costs once: 64 MiB, three passes.
func TestRecommendedHash(t *testing.T) {
	h := newHasher(recommended)
	s, err := h.hash(t.Context(), "a passphrase")
	if err != nil || !strings.HasPrefix(s, "$argon2id$v=19$m=65536,t=3,p=4$") {
		t.Fatalf("%q %v", s, err)
	}
	for p, want := range map[string]bool{"a passphrase": true, "a passphrase ": false, "": false} {
		if ok, err := h.verify(t.Context(), s, p); err != nil || ok != want {
			t.Errorf("%q: %v %v", p, ok, err)
		}
	}
}

func TestLongPassphraseIsNotTruncated(t *testing.T) {
	h := newHasher(params{memory: 64, time: 1, threads: 1})
	empty, err := h.hash(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	if ok, err := h.verify(t.Context(), empty, strings.Repeat("a", maxPassphrase+1)); err != nil || ok {
		t.Errorf("%v %v", ok, err)
	}
}

func TestQueueForHashes(t *testing.T) {
	h := newHasher(params{memory: 64, time: 1, threads: 1})
	h.wait = time.Millisecond
	for range atOnce {
		h.turn <- struct{}{}
	}
	if _, err := h.hash(t.Context(), "x"); !errors.Is(err, errBusy) {
		t.Errorf("full: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	h.wait = time.Hour
	if _, err := h.hash(ctx, "x"); !errors.Is(err, context.Canceled) {
		t.Errorf("client left: %v", err)
	}
}

func FuzzRefusePassphrase(f *testing.F) {
	for _, s := range []string{"three quiet otters paddle north", "password1234", "\xff\xfe", strings.Repeat("aB3", 400), "日本語のパスフレーズです十二", "ẞẞẞẞẞẞẞẞẞẞẞẞ"} {
		f.Add(s, "alice")
	}
	f.Fuzz(func(t *testing.T, p, user string) {
		why := refusePassphrase(p, user, "entry", nil)
		if why == "" && (len(p) > maxPassphrase || utf8.RuneCountInString(p) < minCharacters || !utf8.ValidString(p)) {
			t.Errorf("%q was accepted", p)
		}
		if strings.ContainsFunc(why, func(r rune) bool { return r < ' ' || r > '~' }) {
			t.Errorf("not ASCII: %q", why)
		}
	})
}

func TestTokens(t *testing.T) {
	seen := map[string]bool{}
	for range 1000 {
		s := newTemporary()
		c, ok := canonicalSymbols(s, temporarySymbols)
		if !ok || seen[c] || len(s) != 19 || hashTemporary(s) != hashTemporary(strings.ToUpper(c)) {
			t.Fatalf("%q", s)
		}
		seen[c] = true
	}
	if hashTemporary("abcd") != hashTemporary("") || hashTemporary("abcd") == hashTemporary(newTemporary()) {
		t.Error("what can't be a temporary passphrase must not match one")
	}
}

func TestSeedsAreBoundToTheirRow(t *testing.T) {
	k, err := deriveKeys([]byte("0123456789abcdef0123456789abcdef"))
	if err != nil {
		t.Fatal(err)
	}
	seed := newSeed()
	sealed := k.sealSeed("a1", "d1", seed)
	if got, err := k.openSeed("a1", "d1", sealed); err != nil || string(got) != string(seed) {
		t.Errorf("%x %v", got, err)
	}
	for i := range sealed {
		bad := append([]byte(nil), sealed...)
		bad[i] ^= 1
		if _, err := k.openSeed("a1", "d1", bad); !errors.Is(err, errSeed) {
			t.Errorf("byte %d: %v", i, err)
		}
	}
	for _, row := range [][2]string{{"a2", "d1"}, {"a1", "d2"}} {
		if _, err := k.openSeed(row[0], row[1], sealed); !errors.Is(err, errSeed) {
			t.Errorf("moved to %v: %v", row, err)
		}
	}
	if string(sealed) == string(k.sealSeed("a1", "d1", seed)) {
		t.Error("a nonce came twice")
	}
}

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
	text, err := renderQR(uri)
	if err != nil {
		t.Fatal(err)
	}
	code, err := qr.Encode(uri, qr.L, qr.Unicode)
	if err != nil {
		t.Fatal(err)
	}
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

func TestSourceOf(t *testing.T) {
	for in, want := range map[string]string{
		"192.0.2.7": "192.0.2.7/32", "::ffff:192.0.2.7": "192.0.2.7/32", "2001:db8:1:2:3::4": "2001:db8:1:2::/64", "fe80::1%eth0": "fe80::/64",
	} {
		if got := sourceOf(netip.MustParseAddr(in)).String(); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
	if got := sourceOf(netip.Addr{}); got != (netip.Prefix{}) {
		t.Errorf("no address: %v", got)
	}
}

// memory is a Counter for one goroutine.
type memory map[TallyKey]Tally

func (m memory) Tallies(_ context.Context, keys ...TallyKey) (all []Tally, _ error) {
	for _, k := range keys {
		all = append(all, m[k])
	}
	return all, nil
}

func (m memory) Count(ctx context.Context, _ time.Time, edit func([]Tally) bool, keys ...TallyKey) error {
	all, err := m.Tallies(ctx, keys...)
	if err == nil && edit(all) {
		for i, k := range keys {
			m[k] = all[i]
		}
	}
	return err
}

func TestRefundUndoesItsOwnLock(t *testing.T) {
	l := &lockout{limits: Limits{NameFailures: 2}.withDefaults(), store: memory{}}
	now := time.Unix(1_700_000_000, 0)
	p := l.pairOf("alice", netip.MustParseAddr("192.0.2.7"))
	charge := func(want bool) {
		t.Helper()
		if _, locks, err := l.charge(t.Context(), p, now); err != nil || locks != want {
			t.Errorf("locks %v, %v", locks, err)
		}
	}
	look := func(at time.Time) lockState {
		t.Helper()
		st, err := l.look(t.Context(), p, at)
		if err != nil {
			t.Error(err)
		}
		return st
	}
	charge(false)
	charge(true)
	if err := l.refund(t.Context(), p, now); err != nil {
		t.Error(err)
	}
	if st := look(now); st.locked() {
		t.Errorf("%+v", st)
	}
	charge(true)
	if st := look(now.Add(29 * time.Minute)); !st.locked() || st.judged() {
		t.Errorf("%+v", st)
	}
	if st := look(now.Add(30 * time.Minute)); st.locked() {
		t.Errorf("%+v", st)
	}
	if st := look(now.Add(-time.Hour)); !st.locked() {
		t.Error("a clock that went back lifted the lock")
	}
}

// TestTalliesAreKeptAsLongAsTheySay: a tally may be pruned at its Keep, so that
// must not come before its window, its lock or its trust has ended.
func TestTalliesAreKeptAsLongAsTheySay(t *testing.T) {
	m := memory{}
	l := &lockout{limits: Limits{NameFailures: 2, Window: time.Hour, Lock: 2 * time.Hour}.withDefaults(), store: m}
	now := time.Unix(1_700_000_000, 0)
	p := l.pairOf("alice", netip.MustParseAddr("192.0.2.7"))
	want := func(mine, all time.Duration) {
		t.Helper()
		if a, b := m[p.mine].Keep.Sub(now), m[p.all].Keep.Sub(now); a != mine || b != all {
			t.Errorf("kept for %v and %v, want %v and %v", a, b, mine, all)
		}
	}
	for _, mine := range []time.Duration{time.Hour, 2 * time.Hour} {
		if _, _, err := l.charge(t.Context(), p, now); err != nil {
			t.Fatal(err)
		}
		want(mine, time.Hour)
	}
	if err := l.succeeded(t.Context(), p, now); err != nil {
		t.Fatal(err)
	}
	want(trustFor, time.Hour)
}

func TestTallyKeysHideNames(t *testing.T) {
	l := &lockout{key: []byte("one")}
	other := &lockout{key: []byte("two")}
	a := netip.MustParseAddr("192.0.2.7")
	if l.pairOf("alice", a) != l.pairOf("alice", netip.MustParseAddr("::ffff:192.0.2.7")) {
		t.Error("an IPv4 client behind an IPv6 socket is another source")
	}
	if l.pairOf("alice", a).mine == l.pairOf("bob", a).mine || l.pairOf("alice", a).all != l.pairOf("bob", a).all ||
		l.pairOf("alice", a) == other.pairOf("alice", a) {
		t.Error("keys")
	}
}

func TestNewChecksOptions(t *testing.T) {
	for name, o := range map[string]Options{
		"nothing": {},
		"issuer":  {Issuer: "a:b"},
	} {
		if _, err := New(o); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
	for _, s := range []string{"a:b", "näme", "x\n", strings.Repeat("x", 33)} {
		if validIssuer(s) == nil {
			t.Errorf("issuer %q", s)
		}
	}
}
