package auditors

import (
	"bytes"
	"crypto/ecdh"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"filippo.io/age"
	"filippo.io/age/tag"
	"golang.org/x/crypto/ssh"

	"entry/e2e/testkit"
	"entry/session/recording"
)

// sshKey makes an auditor's SSH key, with a passphrase unless that is "".
func sshKey(t *testing.T, passphrase string) (secret, public string) {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	testkit.Check(t, err)
	var block *pem.Block
	if passphrase == "" {
		block, err = ssh.MarshalPrivateKey(key, "")
	} else {
		block, err = ssh.MarshalPrivateKeyWithPassphrase(key, "", []byte(passphrase))
	}
	testkit.Check(t, err)
	signer := testkit.Must(ssh.NewSignerFromKey(key))(t)
	return string(pem.EncodeToMemory(block)), strings.TrimSpace(string(ssh.MarshalAuthorizedKey(signer.PublicKey())))
}

// Each sort of key seals, and its secret half, in the form that its own tool writes, opens.
func TestSorts(t *testing.T) {
	t.Parallel()
	classic := testkit.Must(age.GenerateX25519Identity())(t)
	hybrid := testkit.Must(age.GenerateHybridIdentity())(t)
	plain, plainPub := sshKey(t, "")
	sealed, sealedPub := sshKey(t, "horse")
	for name, tt := range map[string]struct {
		public, secret string
		hybrid         bool
	}{
		"age":                   {classic.Recipient().String(), classic.String(), false},
		"post-quantum":          {hybrid.Recipient().String(), hybrid.String(), true},
		"ssh":                   {plainPub + " carol@laptop", plain, false},
		"ssh with a passphrase": {sealedPub, sealed, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			all := testkit.Must(Parse(strings.NewReader("# carol\r\n\n  " + tt.public + " \r\n")))(t)
			if len(all) != 1 || all[0].Hybrid != tt.hybrid || all[0].Line != 3 {
				t.Fatalf("%+v", all)
			}
			var b bytes.Buffer
			w := testkit.Must(age.Encrypt(&b, Recipients(all)...))(t)
			testkit.Must(io.WriteString(w, "key"))(t)
			testkit.Check(t, w.Close())
			asked := 0
			ids := testkit.Must(ParseIdentities(strings.NewReader("# x\n"+tt.secret+"\n"), func() ([]byte, error) { asked++; return []byte("horse"), nil }))(t)
			r := testkit.Must(age.Decrypt(&b, ids...))(t)
			if got := testkit.Must(io.ReadAll(r))(t); string(got) != "key" || asked != map[bool]int{true: 1}[tt.secret == sealed] {
				t.Errorf("%q, asked %d times", got, asked)
			}
		})
	}
	if _, err := ParseIdentities(strings.NewReader(sealed), nil); !errors.Is(err, ErrPassphrase) {
		t.Errorf("with nobody to ask: %v", err)
	}
	// A key in hardware is only sealed to here: its secret half opens where that is.
	point := testkit.Must(ecdh.P256().GenerateKey(rand.Reader))(t).PublicKey().Bytes()
	x := testkit.Must(tag.NewClassicRecipient(append([]byte{2 + point[64]&1}, point[1:33]...)))(t)
	all := testkit.Must(Parse(strings.NewReader(x.String())))(t)
	if len(all) != 1 || all[0].Hybrid {
		t.Errorf("%+v", all)
	}
	w := testkit.Must(age.Encrypt(io.Discard, Recipients(all)...))(t)
	testkit.Check(t, w.Close())
}

func TestWrongFiles(t *testing.T) {
	t.Parallel()
	a, b := testkit.Must(age.GenerateX25519Identity())(t), testkit.Must(age.GenerateX25519Identity())(t)
	pq := testkit.Must(age.GenerateHybridIdentity())(t)
	_, sshPub := sshKey(t, "")
	one, two, hybrid := a.Recipient().String(), b.Recipient().String(), pq.Recipient().String()
	for text, want := range map[string]struct {
		line int
		why  string
	}{
		"":                                    {0, "no auditor's public key"},
		"# nobody\n":                          {0, "no auditor's public key"},
		one + "\n" + one:                      {2, "the key of line 1 again"},
		one + "\n" + two + "\n" + hybrid:      {3, "a post-quantum key, and line 1 has a classic key"},
		hybrid + "\n\n" + sshPub:              {3, "a classic key, and line 1 has a post-quantum key"},
		a.String():                            {1, "a SECRET key"},
		pq.String():                           {1, "a SECRET key"},
		"-----BEGIN OPENSSH PRIVATE KEY-----": {1, "a SECRET key"},
		one[:len(one)-1]:                      {1, "a damaged key"},
		hybrid[:100]:                          {1, "a damaged key"},
		"age1yubikey1qwhatever":               {1, "a key of an age plugin"},
		"age1tag1qqqq":                        {1, "a damaged key"},
		"ssh-rsa AAAA":                        {1, "only ssh-ed25519"},
		"ssh-ed25519 AAAA":                    {1, "a damaged key"},
		"ssh-ed25519":                         {1, "only ssh-ed25519"},
		"carol":                               {1, "not an auditor's public key"},
		strings.Repeat("x", 100_000):          {0, "too long"},
		strings.Repeat("# x\n", 400_000):      {0, "too long"},
	} {
		_, err := Parse(strings.NewReader(text))
		var bad *BadAuditors
		if !errors.As(err, &bad) || bad.Line != want.line || !strings.Contains(bad.Error(), want.why) {
			t.Errorf("%.60q: %+v, want line %d: %s", text, err, want.line, want.why)
		}
		if err != nil && strings.Contains(err.Error(), a.String()[20:40]) {
			t.Errorf("a secret is quoted: %v", err)
		}
	}
	if added, removed := Changed([]Auditor{{Text: "a"}, {Text: "b"}}, []Auditor{{Text: "b"}, {Text: "c"}}); fmt.Sprint(added, removed) != "[{c 0 false <nil>}] [{a 0 false <nil>}]" {
		t.Errorf("%v %v", added, removed)
	}
}

func TestIdentityErrorsHoldNoKey(t *testing.T) {
	t.Parallel()
	id, to, err := Generate()
	testkit.Check(t, err)
	testkit.Must(ParseIdentities(strings.NewReader(id+"\n"), nil))(t)
	testkit.Must(Parse(strings.NewReader("# auditors\n" + to + "\n")))(t)
	for _, bad := range []string{id[:40], "x" + id, id + "x", strings.Replace(id, "AGE", "EGA", 1)} {
		if _, err := ParseIdentities(strings.NewReader(bad), nil); err == nil || strings.Contains(err.Error(), id[20:35]) {
			t.Errorf("ParseIdentities = %v", err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("age1x\nssh-ed25519 AAAA\n")
	f.Fuzz(func(t *testing.T, text string) {
		all, err := Parse(strings.NewReader(text))
		if (err == nil) != (len(all) > 0) {
			t.Errorf("%d, %v", len(all), err)
		}
	})
}

// A list with keys more and less is one that a file could have, or none.
func TestWith(t *testing.T) {
	t.Parallel()
	parse := func(lines ...string) []Auditor {
		return testkit.Must(Parse(strings.NewReader(strings.Join(lines, "\n"))))(t)
	}
	x := func() string { return testkit.Must(age.GenerateX25519Identity())(t).Recipient().String() }
	a, b := parse(x()), parse(x())
	_, public := sshKey(t, "")
	carol := parse(public + " carol@laptop")
	hybrid := parse(testkit.Must(age.GenerateHybridIdentity())(t).Recipient().String())
	for what, tt := range map[string]struct {
		add     []Auditor
		without []Auditor
		want    []Auditor
		wrong   string
	}{
		"as it is":      {nil, nil, a, ""},
		"one more":      {carol, nil, append(a, carol...), ""},
		"the same":      {a, nil, a, ""},
		"another":       {b, a, b, ""},
		"in and out":    {b, b, a, ""},
		"not there":     {nil, b, a, ""},
		"nobody":        {nil, a, nil, "nobody would be left"},
		"a mix":         {hybrid, nil, nil, "is a post-quantum key, and age1"},
		"another sort":  {hybrid, a, hybrid, ""},
		"nobody at all": {b, append(b, a...), nil, "nobody would be left"},
	} {
		got, err := With(a, tt.add, Fingerprints(tt.without))
		if len(got) != len(tt.want) || len(got) > 0 && recording.SetOf(Fingerprints(got)) != recording.SetOf(Fingerprints(tt.want)) || (err != nil) != (tt.wrong != "") || err != nil && !strings.Contains(err.Error(), tt.wrong) {
			t.Errorf("%s: %+v, %v", what, got, err)
		}
	}
	if f := carol[0].Fingerprint(); f != parse(public)[0].Fingerprint() || !recording.IsFingerprint(f) || f == a[0].Fingerprint() {
		t.Errorf("%s", f)
	}
}

// What an operator names is a key, or a file of some; a file that is called like a key, as
// a copy from elsewhere could bring one, is no other key.
func TestNamed(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	key, other := testkit.Must(age.GenerateX25519Identity())(t).Recipient().String(), testkit.Must(age.GenerateX25519Identity())(t).Recipient().String()
	testkit.WriteFile(t, "carol.pub", key+"\n")
	testkit.WriteFile(t, key, other+"\n")
	for _, value := range []string{key, "carol.pub"} {
		if all, err := Named(value); err != nil || len(all) != 1 || all[0].Text != key {
			t.Errorf("%s: %+v, %v", value, all, err)
		}
	}
	if _, err := Named("dave.pub"); err == nil || !strings.HasSuffix(err.Error(), ", nor a file") {
		t.Errorf("neither: %v", err)
	}
	testkit.WriteFile(t, "carol", testkit.Must(age.GenerateX25519Identity())(t).String()+"\n")
	if _, err := Named("carol"); err == nil || !strings.HasPrefix(err.Error(), "carol has a SECRET key: name its public half") {
		t.Errorf("a secret key: %v", err)
	}
	testkit.WriteFile(t, "empty.pub", "\n")
	if _, err := Named("empty.pub"); err == nil || !strings.HasPrefix(err.Error(), "empty.pub") {
		t.Errorf("a file of none: %v", err)
	}
}
