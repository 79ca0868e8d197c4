package takeover

import (
	"maps"
	"strings"
	"testing"
)

func TestParsePasswd(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		text, refused string
		want          map[string]passwdLine
	}{
		"whole": {text: "# old\nalice:x:1000:1000:Alice,,,:/home/alice:/bin/bash\nbob:x:1001:1001::/home/bob:/usr/sbin/nologin\ncarol:x:1002:1002::/home/carol:/bin/false\ndave:*:1003:1003::/:\n",
			want: map[string]passwdLine{"alice": {}, "bob": {barred: "its shell is nologin"}, "carol": {barred: "its shell is false"}, "dave": {barred: "it is locked in the passwd file (*)"}}},
		"twice": {text: "a:x:1:1::/:/bin/sh\na:x:1:1::/:/bin/sh\n", want: map[string]passwdLine{"a": {barred: "it has more than one line in the passwd file"}}},
		"other shells": {text: "a:x:1:1::/:/bin/sync\nb:x:1:1::/:/dev/null\nc:x:1:1::/:\nd:x:1:1::/:/usr/bin/git-shell\n",
			want: map[string]passwdLine{"a": {barred: "its shell is sync"}, "b": {barred: "its shell is null"}, "c": {},
				"d": {note: "its shell was git-shell, which may have let it do less than a shell; here the policy alone says what it may"}}},
		"nis":          {text: "-a\na:x:1:1::/:/bin/sh\nb:x:1:1::/:/bin/sh\n-c::::::\n+\n+@staff::::::/bin/false\n", want: map[string]passwdLine{"a": {barred: "the passwd file bars it (-a)"}, "b": {}}},
		"a netgroup":   {text: "-@guests\n", refused: "line 1 bars a netgroup"},
		"a shadow":     {text: "alice:!:19000:0:99999:7:::\n", refused: "line 1 is none of a passwd file"},
		"another file": {text: "\nlabs\n", refused: "line 2 is none of a passwd file"},
	} {
		got, err := parsePasswd(c.text)
		if (err != nil) != (c.refused != "") || err != nil && !strings.HasPrefix(err.Error(), c.refused) || err == nil && !maps.Equal(got, c.want) {
			t.Errorf("%s: %q %v", name, got, err)
		}
	}
}

// TestPasswdBars: who has no shell there, or no line, is left, whatever the shadow
// file says.
func TestPasswdBars(t *testing.T) {
	t.Parallel()
	dir := files(t, map[string]string{
		"home/alice/.google_authenticator": seedFile, "home/bob/.google_authenticator": seedFile, "home/gone/.google_authenticator": seedFile,
		"shadow": "alice:aaaaaaaaaaaaE:1\nbob:bbbbbbbbbbbbE:1\ngone:ggggggggggggE:1\nnone:nnnnnnnnnnnnE:1\n",
		"passwd": "alice:x:1:1::/home/alice:/bin/bash\nbob:x:2:2::/home/bob:/usr/sbin/nologin\nnone:x:3:3::/:/bin/false\n",
	})
	all, _, err := Read(Sources{Homes: dir + "/home", Shadow: dir + "/shadow", Passwd: dir + "/passwd", Now: today})
	if err != nil {
		t.Fatal(err)
	}
	wantCandidates(t, all,
		candidate{name: "alice", crypt: "aaaaaaaaaaaaE", seeds: 1},
		candidate{name: "bob", crypt: "bbbbbbbbbbbbE", seeds: 1, left: "its shell is nologin"},
		candidate{name: "gone", crypt: "ggggggggggggE", seeds: 1, left: "it has no line in the passwd file"},
		candidate{name: "none", crypt: "nnnnnnnnnnnnE", left: "its shell is false", notes: []string{"has no folder"}},
	)
	if all, _, err := Read(Sources{User: "bob", GoogleAuthenticator: dir + "/home/bob/.google_authenticator", Passwd: dir + "/passwd", Now: today}); err != nil || all[0].Left == "" {
		t.Errorf("%+v %v", all, err)
	}
}

func FuzzParsePasswd(f *testing.F) {
	f.Add("root:x:0:0:root:/root:/bin/bash\nnobody:x:65534:65534::/:/usr/sbin/nologin\n")
	f.Fuzz(func(t *testing.T, s string) {
		all, _ := parsePasswd(s)
		const secret = "a-hash-of-old-times"
		if _, err := parsePasswd(strings.ReplaceAll(s, ":", ":"+secret)); err != nil && strings.Contains(err.Error(), secret) {
			t.Errorf("%v: quoted of %q", err, s)
		}
		for name := range all {
			if strings.ContainsAny(name, ":\n") {
				t.Errorf("%q gives %q", s, name)
			}
		}
	})
}
