package takeover

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

const (
	seedFile = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ\n\" TOTP_AUTH\n"
	seed     = "12345678901234567890"
	keyLine  = "ssh-ed25519 AAAA alice@laptop"
)

// files makes a tree and returns its root; a name that ends in "/" is a folder.
func files(t *testing.T, all map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range all {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(name, "/") {
			if err := os.MkdirAll(path, 0o700); err != nil {
				t.Fatal(err)
			}
		} else if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestHomes(t *testing.T) {
	t.Parallel()
	dir := files(t, map[string]string{
		"home/alice/.google_authenticator": seedFile,
		"home/alice/.ssh/authorized_keys":  "# laptop\n" + keyLine + "\n",
		"home/bob/google_authenticator":    "nonsense",
		"home/bob/authorized_keys":         strings.Repeat("x", 16<<10+1),
		"home/carol/":                      "",
		"home/dave/":                       "",
		"home/eve/.google_authenticator/":  "",
		"home/README":                      "not a folder",
		"elsewhere/authorized_keys":        "ssh-ed25519 stolen",
		"shadow":                           "carol:$6$x:1\nnobody:$6$y:1\n",
	})
	home := filepath.Join(dir, "home")
	// What users make of their files: a pipe, a link to somebody else's.
	if err := syscall.Mkfifo(filepath.Join(home, "dave", ".google_authenticator"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(dir, "elsewhere", "authorized_keys"), filepath.Join(home, "dave", "authorized_keys")); err != nil {
		t.Fatal(err)
	}
	all, err := Read(Sources{Homes: home, Shadow: filepath.Join(dir, "shadow")})
	if err != nil {
		t.Fatal(err)
	}
	want := []struct {
		name, crypt string
		seeds, keys int
		notes       []string
	}{
		{"alice", "", 1, 3, nil},
		{"bob", "", 0, 0, []string{"google_authenticator was left out: its first line", "authorized_keys was left out: it is larger than 16 KiB"}},
		{"carol", "$6$x", 0, 0, nil},
		{"dave", "", 0, 0, []string{".google_authenticator was left out: it is no regular file", "authorized_keys was left out: "}},
		{"eve", "", 0, 0, []string{".google_authenticator was left out: it is no regular file"}},
	}
	if len(all) != len(want) {
		t.Fatalf("%+v", all)
	}
	for i, w := range want {
		c := all[i]
		if c.Name != w.name || c.Crypt != w.crypt || len(c.Seeds) != w.seeds || len(c.KeyLines) != w.keys ||
			!slices.EqualFunc(c.Notes, w.notes, strings.HasPrefix) {
			t.Errorf("%+v, want %+v", c, w)
		}
		if strings.Contains(strings.Join(slices.Concat(c.KeyLines, c.Notes), " "), "stolen") {
			t.Errorf("a link was followed: %+v", c)
		}
	}
	if string(all[0].Seeds[0]) != seed || all[0].KeyLines[1] != keyLine {
		t.Errorf("%+v", all[0])
	}
}

func TestOneUser(t *testing.T) {
	t.Parallel()
	dir := files(t, map[string]string{
		"ga": seedFile, "keys": keyLine + "\n", "shadow": "alice:$6$x:1\n", "bad": "nonsense", "big": strings.Repeat("\n", 16<<10+1),
	})
	in := func(name string) string {
		if name == "" {
			return ""
		}
		return filepath.Join(dir, name)
	}
	for name, c := range map[string]struct {
		user, google, keys, shadow string
		wrong                      string // an *InputError's text; "-" for ErrNothing
	}{
		"everything":         {user: "alice", google: "ga", keys: "keys", shadow: "shadow"},
		"a hash alone":       {user: "alice", shadow: "shadow"},
		"keys alone":         {user: "bob", keys: "keys"},
		"nothing":            {user: "bob", shadow: "shadow", wrong: "-"},
		"no such file":       {user: "bob", google: "missing", wrong: "no such file"},
		"no such shadow":     {user: "bob", shadow: "missing", wrong: "no such file"},
		"no seed":            {user: "bob", google: "bad", wrong: "bad: its first line is no seed"},
		"no shadow":          {user: "bob", shadow: "bad", wrong: "bad: line 1 is none of a shadow file"},
		"too much":           {user: "bob", google: "big", wrong: "big: it is larger than 16 KiB"},
		"a folder":           {user: "bob", keys: ".", wrong: "it is no regular file"},
		"two things at once": {user: "bob", google: "bad", keys: "missing", wrong: "no such file"},
	} {
		all, err := Read(Sources{User: c.user, GoogleAuthenticator: in(c.google), AuthorizedKeys: in(c.keys), Shadow: in(c.shadow)})
		var input *InputError
		switch {
		case c.wrong == "-":
			if !errors.Is(err, ErrNothing) {
				t.Errorf("%s: %v", name, err)
			}
		case c.wrong != "":
			if !errors.As(err, &input) || !strings.Contains(err.Error(), c.wrong) {
				t.Errorf("%s: %v", name, err)
			}
		case err != nil || len(all) != 1 || all[0].Name != c.user || (c.google != "") != (len(all[0].Seeds) == 1) ||
			(c.keys != "") != (len(all[0].KeyLines) > 0) || (c.shadow != "") != (all[0].Crypt == "$6$x"):
			t.Errorf("%s: %+v %v", name, all, err)
		}
	}
	var input *InputError
	if _, err := Read(Sources{Homes: filepath.Join(dir, "missing")}); !errors.As(err, &input) {
		t.Errorf("no such folder: %v", err)
	}
	if _, err := Read(Sources{Homes: dir}); !errors.Is(err, ErrNothing) {
		t.Errorf("no folders: %v", err)
	}
}
