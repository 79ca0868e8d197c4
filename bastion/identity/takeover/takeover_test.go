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
	keyLine  = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdIk3Lk2bzLyYy/xKJ9HCdYm22B0ukIEuBHH6tjd5dN alice@laptop"
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

// candidate is what is expected of one: its notes and why it is left begin so.
type candidate struct {
	name, crypt string
	seeds, keys int
	left        string
	notes       []string
}

func wantCandidates(t *testing.T, all []Candidate, want ...candidate) {
	t.Helper()
	if len(all) != len(want) {
		t.Fatalf("%+v", all)
	}
	for i, w := range want {
		c := all[i]
		if c.Name != w.name || c.Crypt != w.crypt || len(c.Seeds) != w.seeds || len(c.KeyLines) != w.keys ||
			!strings.HasPrefix(c.Left, w.left) || (c.Left == "") != (w.left == "") || !slices.EqualFunc(c.Notes, w.notes, strings.HasPrefix) {
			t.Errorf("%+v, want %+v", c, w)
		}
	}
}

func TestHomes(t *testing.T) {
	t.Parallel()
	dir := files(t, map[string]string{
		"home/alice/.google_authenticator": "\ufeff" + strings.ReplaceAll(seedFile, "\n", "\r\n"),
		"home/alice/.ssh/authorized_keys":  "\ufeff# laptop\r\n" + keyLine + "\r\n",
		"home/alice/.ssh/authorized_keys2": keyLine + "\n",
		"home/bob/google_authenticator":    "nonsense",
		"home/bob/authorized_keys":         strings.Repeat("x", 256<<10+1),
		"home/carol/":                      "",
		"home/dave/":                       "",
		"home/eve/.google_authenticator/":  "",
		"home/frank/.google_authenticator": seedFile,
		"home/gone/.google_authenticator":  seedFile,
		"home/lost+found/":                 "",
		"home/README":                      "not a folder",
		"elsewhere/authorized_keys":        "ssh-ed25519 stolen",
		"shadow": "\ufeffalice:aaaaaaaaaaaaE:19990:0:99999:7:::\r\nbob::1\r\ncarol:xxxxxxxxxxxxE:1\ndave:ddddddddddddE\neve:eeeeeeeeeeeeE\nfrank:!ffffffffffffE\nnobody:yyyyyyyyyyyyE:1\n" +
			"closed:!zzzzzzzzzzzzE:1\ndaemon:*:1\nsys:!*:1\nlost+found:!\n",
	})
	home := filepath.Join(dir, "home")
	// What users make of their files: a pipe, a link to somebody else's, to nothing.
	for _, err := range []error{
		syscall.Mkfifo(filepath.Join(home, "dave", ".google_authenticator"), 0o600),
		os.Symlink(filepath.Join(dir, "elsewhere", "authorized_keys"), filepath.Join(home, "dave", "authorized_keys")),
		os.Mkdir(filepath.Join(home, "dave", ".ssh"), 0o700),
		os.Symlink("nothing", filepath.Join(home, "dave", ".ssh", "authorized_keys")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	all, passed, err := Read(Sources{Homes: home, Shadow: filepath.Join(dir, "shadow"), Now: today})
	if err != nil {
		t.Fatal(err)
	}
	wantCandidates(t, all,
		candidate{name: "alice", crypt: "aaaaaaaaaaaaE", seeds: 1, keys: 1},
		candidate{name: "bob", notes: []string{"has no passphrase in the shadow file", "google_authenticator was left out: its first line", "authorized_keys was left out: it is larger than 256 KiB"}},
		candidate{name: "carol", crypt: "xxxxxxxxxxxxE"},
		candidate{name: "closed", left: "it is locked in the shadow file (!)", notes: []string{"has no folder"}},
		candidate{name: "dave", crypt: "ddddddddddddE", notes: []string{".google_authenticator was left out: it is no regular file", ".ssh/authorized_keys was left out: it is a link that leads nowhere here", "authorized_keys was left out: "}},
		candidate{name: "eve", crypt: "eeeeeeeeeeeeE", notes: []string{".google_authenticator was left out: it is no regular file"}},
		candidate{name: "frank", seeds: 1, left: "it is locked in the shadow file (!)"},
		candidate{name: "gone", seeds: 1, left: "it has no line in the shadow file"},
		candidate{name: "nobody", crypt: "yyyyyyyyyyyyE", notes: []string{"has no folder in " + home}},
	)
	for _, c := range all {
		if strings.Contains(strings.Join(slices.Concat(c.KeyLines, c.Notes), " "), "stolen") {
			t.Errorf("a link was followed: %+v", c)
		}
	}
	if string(all[0].Seeds[0]) != seed || all[0].KeyLines[0] != keyLine || !all[0].PassphraseSet.Equal(day(19990)) {
		t.Errorf("%+v", all[0])
	}
	if !slices.Equal(passed, []string{"lost+found"}) {
		t.Errorf("passed over: %q", passed)
	}
}

// TestHomesThatAreLinks: they are followed within the folder, and named otherwise.
func TestHomesThatAreLinks(t *testing.T) {
	t.Parallel()
	dir := files(t, map[string]string{
		"home/.disks/alice/.google_authenticator": seedFile,
		"home/.disks/bob/.google_authenticator":   seedFile,
		"home/carol/.google_authenticator":        seedFile,
		"home/README":                             "",
		"data/dave/.google_authenticator":         seedFile,
		"home/open/authorized_keys":               keyLine + "\n",
		"home/wide/.ssh/authorized_keys":          keyLine + "\n",
	})
	home := filepath.Join(dir, "home")
	for name, to := range map[string]string{
		"alice": ".disks/alice", "bob": filepath.Join(home, ".disks", "bob"), "karl": "carol", "dave": filepath.Join(dir, "data", "dave"), "dora": "../data/dave",
		"eve": "nowhere", "frank": "README", "round": "round", "whole": ".",
	} {
		if err := os.Symlink(to, filepath.Join(home, name)); err != nil {
			t.Fatal(err)
		}
	}
	// What everybody could write to opened nothing.
	for _, name := range []string{"open/authorized_keys", "wide/.ssh"} {
		if err := os.Chmod(filepath.Join(home, name), 0o777); err != nil {
			t.Fatal(err)
		}
	}
	all, passed, err := Read(Sources{Homes: home})
	if err != nil {
		t.Fatal(err)
	}
	const out = "its folder is a link "
	wantCandidates(t, all,
		candidate{name: "alice", seeds: 1},
		candidate{name: "bob", seeds: 1},
		candidate{name: "carol", seeds: 1},
		candidate{name: "dave", left: out + "out of " + home + ", which is not followed; name its files with --user dave"},
		candidate{name: "dora", left: out + "out of " + home},
		candidate{name: "eve", left: out + "that leads nowhere here"},
		candidate{name: "frank", left: out + "to README's"},
		candidate{name: "karl", left: out + "to carol's"},
		candidate{name: "open", notes: []string{"authorized_keys was left out: everybody may write to it (authorized_keys)"}},
		candidate{name: "round", left: out + "that leads nowhere here"},
		candidate{name: "whole", left: out + "out of "},
		candidate{name: "wide", notes: []string{".ssh/authorized_keys was left out: everybody may write to it (.ssh)"}},
	)
	if !slices.Equal(passed, []string{".disks"}) {
		t.Errorf("passed over: %q", passed)
	}
}

// TestFilesOfOthers: what sshd and PAM would not have taken, because somebody else may
// have written or read it, is left out and named.
func TestFilesOfOthers(t *testing.T) {
	t.Parallel()
	dir := files(t, map[string]string{
		"group/.ssh/authorized_keys":  keyLine + "\n",
		"known/.google_authenticator": seedFile,
		"ours/.google_authenticator":  seedFile,
		"own/.ssh/authorized_keys":    keyLine + "\n",
		"planted/authorized_keys":     keyLine + "\n",
	})
	at := func(name string) string { return filepath.Join(dir, name) }
	const staff, owner, other = 50, 1000, 1001
	chown := func(name string, uid, gid int) {
		t.Helper()
		if err := os.Chown(at(name), uid, gid); err != nil {
			t.Skip("only root gives files away: ", err)
		}
	}
	chmod := func(name string, mode os.FileMode) {
		t.Helper()
		if err := os.Chmod(at(name), mode); err != nil {
			t.Fatal(err)
		}
	}
	chown("group", owner, staff)
	chmod("group", 0o775)
	chmod("known/.google_authenticator", 0o604)
	chown("ours/.google_authenticator", owner, staff)
	chmod("ours/.google_authenticator", 0o640)
	for _, name := range []string{"own", "own/.ssh", "own/.ssh/authorized_keys"} {
		chown(name, owner, owner) // a group of one's own
		chmod(name, 0o775)
	}
	chown("planted", owner, owner)
	chown("planted/authorized_keys", other, other)
	all, _, err := Read(Sources{Homes: dir})
	if err != nil {
		t.Fatal(err)
	}
	wantCandidates(t, all,
		candidate{name: "group", notes: []string{".ssh/authorized_keys was left out: others of its group may write to it (.)"}},
		candidate{name: "known", notes: []string{".google_authenticator was left out: others may read it (mode 0604)"}},
		candidate{name: "ours", notes: []string{".google_authenticator was left out: others may read it (mode 0640)"}},
		candidate{name: "own", keys: 1},
		candidate{name: "planted", notes: []string{"authorized_keys was left out: it belongs to somebody else"}},
	)
}

func TestOneUser(t *testing.T) {
	t.Parallel()
	dir := files(t, map[string]string{
		"ga": seedFile, "keys": keyLine + "\n", "shadow": "alice:xxxxxxxxxxxxE:1\nlocked:!\n", "bad": "nonsense", "big": strings.Repeat("\n", 16<<10+1),
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
		left                       string // why nothing may be taken over
	}{
		"everything":         {user: "alice", google: "ga", keys: "keys", shadow: "shadow"},
		"a hash alone":       {user: "alice", shadow: "shadow"},
		"keys alone":         {user: "bob", keys: "keys"},
		"locked, with keys":  {user: "locked", keys: "keys", shadow: "shadow", left: "it is locked"},
		"gone, with keys":    {user: "bob", keys: "keys", shadow: "shadow", left: "it has no line"},
		"locked, no more":    {user: "locked", shadow: "shadow", wrong: "-"},
		"nothing":            {user: "bob", shadow: "shadow", wrong: "-"},
		"no such file":       {user: "bob", google: "missing", wrong: "no such file"},
		"no such shadow":     {user: "bob", shadow: "missing", wrong: "no such file"},
		"no seed":            {user: "bob", google: "bad", wrong: "bad: its first line is no seed"},
		"no shadow":          {user: "bob", shadow: "bad", wrong: "bad: line 1 is none of a shadow file"},
		"too much":           {user: "bob", google: "big", wrong: "big: it is larger than 16 KiB"},
		"a folder":           {user: "bob", keys: ".", wrong: "it is no regular file"},
		"two things at once": {user: "bob", google: "bad", keys: "missing", wrong: "no such file"},
	} {
		all, _, err := Read(Sources{User: c.user, GoogleAuthenticator: in(c.google), AuthorizedKeys: in(c.keys), Shadow: in(c.shadow), Now: today})
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
			(c.keys != "") != (len(all[0].KeyLines) > 0) || (c.shadow != "" && c.left == "") != (all[0].Crypt == "xxxxxxxxxxxxE") ||
			!strings.HasPrefix(all[0].Left, c.left) || (c.left == "") != (all[0].Left == ""):
			t.Errorf("%s: %+v %v", name, all, err)
		}
	}
	var input *InputError
	if _, _, err := Read(Sources{Homes: filepath.Join(dir, "missing")}); !errors.As(err, &input) {
		t.Errorf("no such folder: %v", err)
	}
	if _, _, err := Read(Sources{Homes: dir}); !errors.Is(err, ErrNothing) {
		t.Errorf("no folders: %v", err)
	}
}
