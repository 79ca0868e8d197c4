package plain

import (
	"os/exec"
	"testing"
)

// What is quoted for a shell comes out of one as it was.
func TestShell(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{"/etc/entry-1.2_a+b": "/etc/entry-1.2_a+b", "": "''", "a b": "'a b'", "it's": `'it'\''s'`, "$(id)`id`;\n*": "'$(id)`id`;\n*'", "grün": "'grün'"} {
		got := Shell(in)
		if got != want {
			t.Errorf("%q: %s, want %s", in, got, want)
		}
		if out, err := exec.Command("sh", "-c", "printf %s "+got).Output(); err != nil || string(out) != in {
			t.Errorf("%q comes out as %q, %v", in, out, err)
		}
	}
}
