package secret

import (
	"encoding/hex"
	"errors"
	"fmt"
	"testing"
)

func TestSeedsAreBoundToTheirRow(t *testing.T) {
	k, err := DeriveKeys([]byte("0123456789abcdef0123456789abcdef"))
	if err != nil {
		t.Fatal(err)
	}
	seed := NewSeed()
	sealed := k.SealSeed("a1", "d1", seed)
	if got, err := k.OpenSeed("a1", "d1", sealed); err != nil || string(got) != string(seed) {
		t.Errorf("%x %v", got, err)
	}
	for i := range sealed {
		bad := append([]byte(nil), sealed...)
		bad[i] ^= 1
		if _, err := k.OpenSeed("a1", "d1", bad); !errors.Is(err, errSeed) {
			t.Errorf("byte %d: %v", i, err)
		}
	}
	for _, row := range [][2]string{{"a2", "d1"}, {"a1", "d2"}} {
		if _, err := k.OpenSeed(row[0], row[1], sealed); !errors.Is(err, errSeed) {
			t.Errorf("moved to %v: %v", row, err)
		}
	}
	if string(sealed) == string(k.SealSeed("a1", "d1", seed)) {
		t.Error("a nonce came twice")
	}
}

// TestKeyedHashesStay: what databases and logs hold by now has to be found again.
func TestKeyedHashesStay(t *testing.T) {
	k, err := DeriveKeys([]byte("0123456789abcdef0123456789abcdef"))
	if err != nil {
		t.Fatal(err)
	}
	recovery, ok := k.HashRecovery("a1", "ABCD efgh-jkmn")
	other, formless := k.HashRecovery("a1", "abcd-efgh")
	if !ok || formless || recovery == other {
		t.Errorf("%v %v", ok, formless)
	}
	for name, c := range map[string]struct{ got, want string }{
		"recovery": {hex.EncodeToString(recovery[:]), "0d07bc7126e332af1bba5d92055de57edc87c3d1a5722344c0e7bb261500a143"},
		"name":     {k.HashName("alice"), "a0945f3fcc45591bc1f3082b75b3ab1c"},
		"tally":    {fmt.Sprintf("%x", k.HashTally("source|192.0.2.7/32")), "7e656c1067749b61fdda79b6652c1b7b"},
	} {
		if c.got != c.want {
			t.Errorf("%s: %s", name, c.got)
		}
	}
	if _, err := DeriveKeys([]byte("too short")); err == nil || err.Error() != "the secret has 9 bytes, not 32" {
		t.Errorf("short: %v", err)
	}
}
