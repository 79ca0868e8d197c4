package pubkey_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"entry/e2e/testkit"
	"entry/policy/pubkey"
)

func TestKeysOfEveryKind(t *testing.T) {
	for _, k := range testkit.PublicKeys(t) {
		key, _, err := pubkey.Parse(k.Line)
		if (err == nil) != k.User {
			t.Errorf("%s: %v", k.Name, err)
		}
		if host, err := pubkey.ParseHost(k.Line); (err == nil) != k.Host || (host == nil) != (err != nil) {
			t.Errorf("%s as a host's: %v, %v", k.Name, host, err)
		}
		var no *pubkey.Error
		if err != nil && (!errors.As(err, &no) || no.Reason == 0 || no.Error() == "" || key != nil) {
			t.Errorf("%s: error %v of type %T beside %v", k.Name, err, err, key)
		}
		if err != nil {
			continue
		}
		if line := pubkey.Line(key); !strings.HasPrefix(k.Line, line) || pubkey.Check(key) != nil {
			t.Errorf("%s: read as %s", k.Name, line)
		}
		again, _, _, _, err := ssh.ParseAuthorizedKey([]byte(k.Line))
		if err != nil || !bytes.Equal(again.Marshal(), key.Marshal()) {
			t.Errorf("%s is another key to the library: %v", k.Name, err)
		}
	}
}

func TestReasons(t *testing.T) {
	keys := map[string]string{}
	for _, k := range testkit.PublicKeys(t) {
		keys[k.Name] = k.Line
	}
	good := keys["ed25519"]
	for _, tc := range []struct {
		name, line string
		reason     pubkey.Reason
		want       string
	}{
		{"nothing", "", pubkey.Malformed, `want "ssh-ed25519 AAAA…"`},
		{"a comment", "# " + good, pubkey.Malformed, `want "ssh-ed25519 AAAA…"`},
		{"two", good + "\n" + good, pubkey.MoreThanOne, "there is more than one public key"},
		{"a line behind it", good + "\n\n# that was it", pubkey.MoreThanOne, "there is more than one public key"},
		{"a private key", "-----BEGIN OPENSSH PRIVATE KEY-----\nabc", pubkey.Private, "this is a PRIVATE key: nobody else may have it"},
		{"PuTTY's private key", "PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none", pubkey.Private, "this is a PRIVATE key: nobody else may have it"},
		{"half of SSH2's form", "---- BEGIN SSH2 PUBLIC KEY ----\nAAAAC3NzaC1lZDI1NTE5AAAAI", pubkey.Malformed, "the key in the form of SSH2 is cut short"},
		{"nothing in SSH2's form", "---- BEGIN SSH2 PUBLIC KEY ----\n---- END SSH2 PUBLIC KEY ----", pubkey.Malformed, "the key in the form of SSH2 is not base64"},
		{"a length beyond it", "---- BEGIN SSH2 PUBLIC KEY ----\n//////8=\n---- END SSH2 PUBLIC KEY ----", pubkey.Malformed, "the key in the form of SSH2 is cut short"},
		{"two in SSH2's form", ssh2Of(good) + ssh2Of(good), pubkey.MoreThanOne, "there is something behind the key"},
		{"a long line of SSH2's", "---- BEGIN SSH2 PUBLIC KEY ----\n" + strings.Repeat("A", 73) + "\n---- END SSH2 PUBLIC KEY ----", pubkey.Malformed, "the key in the form of SSH2 has a line that is too long"},
		{"UTF-16 without its mark", "s\x00s\x00h\x00", pubkey.Malformed, "it isn't text in UTF-8"},
		{"endless", good + strings.Repeat(" ", 8<<10), pubkey.TooLong, "the line is longer than 8192 bytes"},
		{"small", keys["rsa 1024"], pubkey.Weak, "an RSA key of 1024 bits is too weak; want 2048 or more"},
		{"large", keys["rsa 6144"], pubkey.TooLarge, "an RSA key of 6144 bits is larger than 4096"},
		{"larger than the library takes", keys["rsa 16385"], pubkey.TooLarge, "an RSA key of 16385 bits is larger than 4096"},
		{"exponent 1", keys["rsa with exponent 1"], pubkey.Weak, "an RSA key with this exponent is too weak"},
		{"negative", keys["rsa with a negative modulus"], pubkey.Malformed, "the key is cut short or has something after its end"},
		{"zeros", keys["rsa with needless zeros in its modulus"], pubkey.Malformed, "the key isn't written as ssh-keygen does: a number in it has needless zeros"},
		{"dss", keys["dss"], pubkey.Weak, "ssh-dss is too weak; use ssh-ed25519"},
		{"certificate", keys["certificate"], pubkey.Certificate, "this is a certificate"},
		{"off its curve", keys["ecdsa-sha2-nistp384 off its curve"], pubkey.Malformed, "the key is no point on its curve"},
		{"cut short", keys["cut short"], pubkey.Malformed, "the key is cut short or has something after its end"},
		{"another's name", keys["another type's name"], pubkey.Malformed, "the line says ssh-rsa, the key itself something else"},
		{"known_hosts", keys["known_hosts"], pubkey.Prefixed, "this is a line of known_hosts; leave the name before the key out"},
		{"options", keys["options"], pubkey.Prefixed, "there are options before the key; leave them out"},
		{"one quoted option", `from="10.0.0.1" ` + good, pubkey.Prefixed, "there are options before the key; leave them out"},
		{"a marker", "@cert-authority *.lab " + good, pubkey.Prefixed, "there are options before the key; leave them out"},
		{"an unknown type", "ssh-foo AAAA", pubkey.Malformed, `"ssh-foo" is no key type that is accepted; want ssh-ed25519, ecdsa-sha2-nistp256, -384, -521 or ssh-rsa`},
	} {
		_, _, err := pubkey.Parse(tc.line)
		var no *pubkey.Error
		if !errors.As(err, &no) || no.Reason != tc.reason || no.Error() != tc.want {
			t.Errorf("%s: got %v, want %s", tc.name, err, tc.want)
		}
		if no != nil && (no.Bits != 0) != strings.Contains(tc.want, " bits ") {
			t.Errorf("%s: %d bits", tc.name, no.Bits)
		}
	}
	// What a machine has no use for is named.
	_, err := pubkey.ParseHost(keys["sk-ed25519"])
	var no *pubkey.Error
	if !errors.As(err, &no) || no.Reason != pubkey.Unaccepted || no.Type != ssh.KeyAlgoSKED25519 {
		t.Error(err)
	}
}

// A .pub file may begin with what its owner wrote about it.
func TestParseKeepsTheComment(t *testing.T) {
	line := testkit.Authorized(testkit.NewSigner(t).PublicKey())
	for _, text := range []string{line + " a  b\t ", "\n# mine\r\n \t" + line + " \ta  b\r\n\n", line + " a  b\n"} {
		key, comment, err := pubkey.Parse(text)
		if err != nil || comment != "a  b" || pubkey.Line(key) != line {
			t.Errorf("%q: %q, %v", text, comment, err)
		}
	}
}

func TestNothingCutShortPasses(t *testing.T) {
	for _, key := range []string{
		"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdIk3Lk2bzLyYy/xKJ9HCdYm22B0ukIEuBHH6tjd5dN",
		"ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBNqzduxB1tGganflMX3XzPt5EWjGgwRRsML6iE/3wiOzsNlpi2CRvmTEga9xMFmyl1s1nvq4NpmQTu28sP9O2Vs=",
		"ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQC6+1XdK5RyKbYbeImol7bV/jqo2/MBery7J+X9FYb3XYVhi9hDPK89D2fcsYuAAeEWvv/vTrqDTXV3o+f253umaJ4RGj8LVrAvxI2tnqcAgmiGVzEBOfcVkjB93h2k3BImrUTX0/w4+s+shEn7aUD9h+/gnh7taifsTajpNkluqr1ffZBAWo+rWG0fijB/nqKR9wkzmsfRN4aVDgWwa1StIlLynk6d+rwBEOcV7SviKTlb9aN9QcEsi12Awwejg5g0TUbKdjfTVqpGPm8dd+7TzX9TQq7cO1OUJBXk8jTB0WkIduml/dN1ogTh53ZLhdkD1P2TzD4bpOeJIw54Lgmx",
	} {
		got, err := pubkey.ParseHost(key + " comment here")
		if err != nil || pubkey.Line(got) != key {
			t.Errorf("%.30s…: %v", key, err)
		}
		for cut := range key {
			if _, _, err := pubkey.Parse(key[:cut]); err == nil {
				t.Errorf("%.30s… cut at %d is accepted", key, cut)
			}
		}
	}
}

// Before anybody is proven only what is dear counts.
func TestCheckCost(t *testing.T) {
	for _, k := range testkit.PublicKeys(t) {
		key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(k.Line))
		if err != nil {
			continue
		}
		dear := k.Name == "certificate" || strings.HasPrefix(k.Name, "rsa 4097") || k.Name == "rsa 6144" || k.Name == "rsa 8192" || k.Name == "rsa 16384"
		if err := pubkey.CheckCost(key); (err != nil) != dear {
			t.Errorf("%s: %v", k.Name, err)
		}
		if err := pubkey.Check(key); (err == nil) != k.User && pubkey.Line(key) == k.Line {
			t.Errorf("%s: %v", k.Name, err)
		}
	}
}

// What is accepted is one key in one spelling, the same to the library.
func FuzzParse(f *testing.F) {
	for _, k := range testkit.PublicKeys(f) {
		f.Add(k.Line)
	}
	f.Add("\n# a comment\n\nssh-ed25519 AAAA\n")
	f.Fuzz(func(t *testing.T, text string) {
		key, comment, err := pubkey.Parse(text)
		if err != nil {
			var no *pubkey.Error
			if !errors.As(err, &no) || no.Reason == 0 || strings.ContainsAny(no.Error(), "\x1b\n") {
				t.Fatalf("%q: %v", text, err)
			}
			return
		}
		line := pubkey.Line(key)
		again, _, err := pubkey.Parse(line)
		if err != nil || !bytes.Equal(again.Marshal(), key.Marshal()) || pubkey.Check(key) != nil || pubkey.CheckCost(key) != nil {
			t.Fatalf("%q doesn't survive a round trip: %v", text, err)
		}
		if !strings.Contains(text, strings.Fields(line)[1]) || !strings.Contains(text, comment) {
			t.Fatalf("%q is read as %q %q", text, line, comment)
		}
		library, _, options, _, err := ssh.ParseAuthorizedKey([]byte(text))
		if err != nil || len(options) > 0 || !bytes.Equal(library.Marshal(), key.Marshal()) {
			t.Fatalf("%q is read as %s, by the library as %v (%v)", text, line, library, err)
		}
	})
}
