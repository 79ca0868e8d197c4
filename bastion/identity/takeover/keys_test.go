package takeover

import (
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"math/big"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"entry/bastion/identity"
	"entry/policy/pubkey"
)

// rsaLine is a line with an RSA key of 4096 bits that nobody can sign by.
func rsaLine(t *testing.T) string {
	t.Helper()
	b := make([]byte, 512)
	_, _ = rand.Read(b)
	b[0], b[511] = b[0]|0x80, b[511]|1
	key, err := ssh.NewPublicKey(&rsa.PublicKey{N: new(big.Int).SetBytes(b), E: 65537})
	if err != nil {
		t.Fatal(err)
	}
	return pubkey.Line(key) + " somebody@a-machine-with-a-long-name.example.org"
}

func TestKeysWithoutOptions(t *testing.T) {
	t.Parallel()
	const bare = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdIk3Lk2bzLyYy/xKJ9HCdYm22B0ukIEuBHH6tjd5dN"
	for text, note := range map[string]string{
		bare:                         "",
		bare + " alice@laptop, from": "",
		`from="10.0.0.0/8" ` + bare:  "(from) restrict",
		`from="a b,c=\"d\" e",command="/bin/echo, it's \"me\"",no-pty,RESTRICT ` + bare: "(from, command, no-pty, restrict) restrict",
		`cert-authority,principals="alice" ` + bare:                                     "(cert-authority, principals) restrict",
		`expiry-time="20301231",verify-required ` + bare:                                "(expiry-time, verify-required) restrict",
		`no-touch-required,agent-forwarding,environment="X=canary" ` + bare + " c":      "(no-touch-required, agent-forwarding, environment) restrict",
		`tunnel="0",` + strings.Repeat("x", 50) + `,"\x1b[31m" ` + bare:                 "(tunnel) restrict",
		"@cert-authority * " + bare:                                                     "was left out: ",
		"home.example " + bare:                                                          "leave the name before the key out",
		"JBSWY3DPEHPK3PXP canary":                                                       "it is no public key",
		"canary":                                                                        "it is no public key",
		`from="canary`:                                                                  "it is no public key",
		"canary-type " + bare[12:]:                                                      "it is no public key",
		"ssh-ed25519-cert-v01@openssh.com AAAA":                                         "this is a certificate",
	} {
		c := Candidate{}
		if err := c.addKeys("authorized_keys", "\n# mine\n"+text+"\n"); err != nil {
			t.Fatal(err)
		}
		said := strings.Join(c.Notes, "|")
		if note == "" {
			if said != "" || len(c.KeyLines) != 1 || c.KeyLines[0] != text {
				t.Errorf("%q: %+v", text, c)
			}
			continue
		}
		if len(c.KeyLines) != 0 || len(c.Notes) != 1 || !strings.HasPrefix(said, "authorized_keys, line 3 was left out: ") || !strings.Contains(said, note) ||
			strings.ContainsAny(said, "\x1b") || strings.Contains(said, "canary") || strings.Contains(said, bare[20:]) {
			t.Errorf("%q: %+v", text, c)
		}
	}
}

// TestManyKeys: as many keys as an account may have come along, whatever their size,
// and fit into one request to the server.
func TestManyKeys(t *testing.T) {
	t.Parallel()
	file := ""
	for range identity.MaxKeys {
		file += rsaLine(t) + "\n"
	}
	dir := files(t, map[string]string{"home/alice/.ssh/authorized_keys": "# all of mine\n" + file + file + rsaLine(t) + "\n" + strings.Repeat("nonsense\n", 100)})
	all, _, err := Read(Sources{Homes: dir + "/home"})
	if err != nil || len(all) != 1 || len(all[0].KeyLines) != identity.MaxKeys {
		t.Fatalf("%+v %v", all, err)
	}
	if n := len(fmt.Sprintf("%q", all[0].KeyLines)); n > 40<<10 {
		t.Errorf("%d bytes of keys", n)
	}
	notes := all[0].Notes
	if len(notes) != mostNotes+1 || !strings.Contains(notes[0], "line 66 was left out: 32 keys are the most") || notes[mostNotes] != ".ssh/authorized_keys: 61 more lines were left out" {
		t.Errorf("%d: %q", len(notes), notes)
	}
}

func FuzzKeys(f *testing.F) {
	const bare = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdIk3Lk2bzLyYy/xKJ9HCdYm22B0ukIEuBHH6tjd5dN"
	f.Add(bare + "\n" + `from="x\"",no-pty ` + bare)
	f.Add("\"\\\n,= \t")
	f.Fuzz(func(t *testing.T, s string) {
		c := Candidate{}
		if err := c.addKeys("f", s); err != nil {
			t.Fatal(err)
		}
		for _, line := range c.KeyLines {
			if _, _, err := pubkey.Parse(line); err != nil || !strings.Contains(s, line) {
				t.Errorf("%q gives %q: %v", s, line, err)
			}
		}
		if len(c.KeyLines) > identity.MaxKeys || len(c.Notes) > mostNotes+1 {
			t.Errorf("%q gives %d keys, %d notes", s, len(c.KeyLines), len(c.Notes))
		}
	})
}
