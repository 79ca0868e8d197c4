package pubkey_test

import (
	"bytes"
	"encoding/binary"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf16"

	"entry/e2e/testkit"
	"entry/policy/pubkey"
)

// ssh2Of is a key's line in the form of RFC 4716, with a header that goes on.
func ssh2Of(line string) string {
	f := strings.Fields(line)
	out := "---- BEGIN SSH2 PUBLIC KEY ----\nSubject: a\nComment: \"her \\\nkey\"\n"
	for body := f[1]; body != ""; {
		n := min(len(body), 70)
		out += body[:n] + "\n"
		body = body[n:]
	}
	return out + "---- END SSH2 PUBLIC KEY ----\n"
}

// utf16Of is text as PowerShell's > writes it.
func utf16Of(order binary.AppendByteOrder, text string) string {
	var b []byte
	for _, u := range utf16.Encode([]rune("\ufeff" + text)) {
		b = order.AppendUint16(b, u)
	}
	return string(b)
}

// A key is the same one in all the forms in which Windows' programs write it.
func TestFormsOfOneKey(t *testing.T) {
	for _, k := range testkit.PublicKeys(t) {
		want, _, err := pubkey.Parse(k.Line)
		if err != nil {
			continue
		}
		for form, text := range map[string]string{
			"SSH2": ssh2Of(k.Line), "SSH2 of Windows": strings.ReplaceAll(ssh2Of(k.Line), "\n", "\r\n"),
			"a byte order mark": "\ufeff" + k.Line + "\r\n", "UTF-16": utf16Of(binary.LittleEndian, k.Line+"\r\n"), "UTF-16, the other way": utf16Of(binary.BigEndian, k.Line),
			"SSH2 in UTF-16": utf16Of(binary.LittleEndian, ssh2Of(k.Line)),
		} {
			got, comment, err := pubkey.Parse(text)
			if err != nil || !bytes.Equal(got.Marshal(), want.Marshal()) {
				t.Errorf("%s in the form %s: %v", k.Name, form, err)
			}
			if strings.HasPrefix(form, "SSH2") && comment != "her key" {
				t.Errorf("%s in the form %s: comment %q", k.Name, form, comment)
			}
		}
	}
}

// What ssh-keygen and PuTTYgen write is read.
func TestFormsOfPrograms(t *testing.T) {
	file := filepath.Join(t.TempDir(), "k")
	testkit.MustRun(t, exec.Command("ssh-keygen", "-q", "-t", "rsa", "-b", "4096", "-N", "", "-C", "a comment", "-f", file))
	line := testkit.ReadFile(t, file+".pub")
	want, _, err := pubkey.Parse(line)
	testkit.Check(t, err)
	testkit.MustRun(t, exec.Command("puttygen", file+".pub", "-p", "-o", file+".ssh2"))
	for program, text := range map[string]string{
		"ssh-keygen -e": testkit.MustRun(t, exec.Command("ssh-keygen", "-e", "-f", file+".pub")).Stdout,
		"PuTTYgen":      testkit.ReadFile(t, file+".ssh2"),
	} {
		if got, _, err := pubkey.Parse(text); err != nil || !bytes.Equal(got.Marshal(), want.Marshal()) || !strings.HasPrefix(text, "---- BEGIN SSH2") {
			t.Errorf("%s: %v\n%s", program, err, text)
		}
	}
}

// FuzzForms: whatever is read is a key that its own line gives again.
func FuzzForms(f *testing.F) {
	for _, k := range testkit.PublicKeys(f) {
		if len(strings.Fields(k.Line)) < 2 {
			continue
		}
		f.Add([]byte(ssh2Of(k.Line)))
		f.Add([]byte(utf16Of(binary.LittleEndian, k.Line)))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		key, _, err := pubkey.Parse(string(b))
		if err != nil {
			return
		}
		if again, _, err := pubkey.Parse(pubkey.Line(key)); err != nil || !bytes.Equal(again.Marshal(), key.Marshal()) {
			t.Errorf("%q is read as what isn't read: %v", b, err)
		}
	})
}
