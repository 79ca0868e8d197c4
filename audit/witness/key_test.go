//go:build linux

package witness

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"entry/configs"
	"entry/e2e/testkit"
)

// A mistyped key is no key. It was taken for one that cosigned nothing, so that verify said
// that the log could have been changed.
func TestMistypedKey(t *testing.T) {
	t.Parallel()
	key := testkit.Must(Init(filepath.Join(t.TempDir(), "w"), "w.example"))(t)
	if keys, err := ParseKeys([]string{" " + key + "\n"}); err != nil || len(keys) != 1 || keys[0].Name() != "w.example" {
		t.Fatalf("%v, %v", keys, err)
	}
	for n := range key {
		other := "A"
		if key[n] == 'A' {
			other = "B"
		}
		bad := key[:n] + other + key[n+1:]
		if _, err := ParseKeys([]string{bad}); !errors.Is(err, errTypo) && !errors.Is(err, errNoKey) {
			t.Errorf("%s: %v", bad, err)
		}
		if _, err := NewPeer(configs.Witness{URL: "https://w.example", Key: bad}); err == nil {
			t.Errorf("a server asks a witness by %s", bad)
		}
	}
	for _, bad := range []string{"", "w.example", "w.example+", "w.example+00000000", "w.example+00000000+", "w.example+00000000+!", strings.TrimSuffix(key, key[len(key)-4:])} {
		if _, err := ParseKeys([]string{bad}); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}
