package takeover

import (
	"strings"
	"testing"
	"time"
)

// today is the day 20000 of shadow files.
var today = time.Date(2024, 10, 4, 12, 0, 0, 0, time.UTC)

func TestParseShadow(t *testing.T) {
	t.Parallel()
	const hash = "$6$entryimport$6TiRO6eKt5C9nypTxk.kHpNENjOvZiVSLUMWSdCvbo8fKQ6R1bBudrsuxJMkR3BgYpeiUdwH1vKPyE0lDOyuy0"
	one := func(s standing) map[string]standing { return map[string]standing{"alice": s} }
	set := day(19990)
	for name, c := range map[string]struct {
		text    string
		want    map[string]standing
		refused string
	}{
		"whole":          {text: "alice:" + hash + ":19990:0:99999:7:::\n", want: one(standing{hash: hash, real: true, set: set})},
		"short, no end":  {text: "alice:" + hash, want: one(standing{hash: hash, real: true})},
		"Windows' lines": {text: "# old\n\nalice:" + hash + ":19990\nbob:" + hash + "\n", want: map[string]standing{"alice": {hash: hash, real: true, set: set}, "bob": {hash: hash, real: true}}},
		"locked": {text: "a:!:19990\nb:*:19990\nc:!!:19990\nd:!" + hash + ":19990\ne::19990\nf:*LK*\ng:x", want: map[string]standing{
			"a": {set: set, barred: "locked in the shadow file (!)"}, "b": {set: set, barred: "locked in the shadow file (*)"},
			"c": {set: set, barred: "locked in the shadow file (!)"}, "d": {set: set, real: true, barred: "locked in the shadow file (!)"},
			"e": {set: set}, "f": {real: true, barred: "locked"}, "g": {real: true, barred: "no passphrase fits"},
		}},
		"nis":                 {text: "+\nalice:" + hash + "\n-alice:\n", want: one(standing{real: true, barred: "bars it (-alice)"})},
		"a netgroup":          {text: "-@guests::\n", refused: "line 1 bars a netgroup"},
		"a hash of old":       {text: "alice:abJnggxhB/yWI", want: one(standing{hash: "abJnggxhB/yWI", real: true})},
		"twice":               {text: "alice:" + hash + "\nalice:other\n", want: one(standing{real: true, barred: "more than one line"})},
		"ends":                {text: "alice:" + hash + ":19990:0:99999:7::20010:", want: one(standing{hash: hash, real: true, set: set, ends: day(20010).Add(-time.Second)})},
		"ends tomorrow":       {text: "alice:" + hash + ":19990:0:99999:7::20001:", want: one(standing{hash: hash, real: true, set: set, ends: day(20001).Add(-time.Second)})},
		"has ended today":     {text: "alice:" + hash + ":19990:0:99999:7::20000:", want: one(standing{hash: hash, real: true, set: set, ends: day(20000).Add(-time.Second), barred: "it ended on 2024-10-04"})},
		"ended in 1970":       {text: "alice:" + hash + ":19990:0:99999:7::0:", want: one(standing{hash: hash, real: true, set: set, ends: day(0).Add(-time.Second), barred: "it ended"})},
		"ended, and locked":   {text: "alice:!" + hash + ":19990:0:99999:7::1:", want: one(standing{real: true, set: set, ends: day(1).Add(-time.Second), barred: "locked"})},
		"no end, spelt":       {text: "alice:" + hash + ":-1:-1:-1:-1:-1:-1:", want: one(standing{hash: hash, real: true})},
		"must change":         {text: "alice:" + hash + ":0:0:99999:7:::", want: one(standing{hash: hash, real: true, mustChange: true})},
		"old but not too old": {text: "alice:" + hash + ":19990:0:10:7:0::", want: one(standing{hash: hash, real: true, set: set, maxAge: 240 * time.Hour})},
		"too old":             {text: "alice:" + hash + ":19990:0:9:7:::", want: one(standing{hash: hash, real: true, set: set, maxAge: 216 * time.Hour, mustChange: true})},
		"too old, in grace":   {text: "alice:" + hash + ":19990:0:3:7:7::", want: one(standing{hash: hash, real: true, set: set, maxAge: 72 * time.Hour, mustChange: true})},
		"too old, no grace":   {text: "alice:" + hash + ":19990:0:3:7:6::", want: one(standing{hash: hash, real: true, set: set, maxAge: 72 * time.Hour, barred: "ended the account on 2024-10-04"})},
		"old at once":         {text: "alice:" + hash + ":19990:0:0:7:::", want: one(standing{hash: hash, real: true, set: set, maxAge: 24 * time.Hour, mustChange: true})},
		"set in the future":   {text: "alice:" + hash + ":20010:0:9:7:::", want: one(standing{hash: hash, real: true, maxAge: 216 * time.Hour})},
		"empty":               {},
		"another file":        {text: "# a comment\n\nlabs\n", refused: "line 3 is none of a shadow file: want NAME:HASH:…"},
		"passwd":              {text: "alice:x:1000:1000:Alice:/home/alice:/bin/sh\n", refused: "line 1 is none of a shadow file"},
		"a day of words":      {text: "alice:" + hash + ":soon:0:99999:7:::\n", refused: "line 1 is none"},
		"a day before days":   {text: "alice:" + hash + ":19990:0:99999:7::-2:\n", refused: "line 1 is none"},
		"an endless day":      {text: "alice:" + hash + ":19990:0:99999:7::99999999999999999999:\n", refused: "line 1 is none"},
	} {
		got, err := parseShadow(c.text, today)
		if (c.refused == "") != (err == nil) || (err != nil && !strings.HasPrefix(err.Error(), c.refused)) || len(got) != len(c.want) {
			t.Errorf("%s: %+v %v", name, got, err)
		}
		for user, want := range c.want {
			g := got[user]
			if !strings.Contains(g.barred, want.barred) || (g.barred == "") != (want.barred == "") {
				t.Errorf("%s: %s: barred %q, want %q", name, user, g.barred, want.barred)
			}
			if g.barred = want.barred; g != want {
				t.Errorf("%s: %s: %+v, want %+v", name, user, g, want)
			}
		}
	}
}

func FuzzParseShadow(f *testing.F) {
	f.Add("root:!:19000:0:99999:7:::\nalice:$6$abc$def:19000\n# x\n")
	f.Add("a:b\r\n:c\n\x00:\xff")
	f.Add("a:$6$x$y:0:1:2:3:4:5:6\nb:$6$x$y:2147483647:1:2147483647:3:2147483647:2147483647:6")
	f.Fuzz(func(t *testing.T, s string) {
		all, err := parseShadow(s, today)
		if err != nil {
			if strings.Contains(s, ":") && strings.Contains(err.Error(), s) {
				t.Errorf("the error quotes %q", s)
			}
			return
		}
		for name, a := range all {
			if a.hash == "" {
				continue
			}
			if a.hash[0] == '!' || a.hash[0] == '*' || strings.ContainsAny(name+a.hash, ":\n") || strings.HasPrefix(name, "#") ||
				!strings.Contains(s, name+":"+a.hash) || !a.real {
				t.Errorf("%q: %q has %+v", s, name, a)
			}
		}
	})
}

// TestSpoiltHashes: what no passphrase can have made is told from what crypt(3) makes,
// however it was spoilt.
func TestSpoiltHashes(t *testing.T) {
	t.Parallel()
	const (
		sha512 = "$6$entryimport$6TiRO6eKt5C9nypTxk.kHpNENjOvZiVSLUMWSdCvbo8fKQ6R1bBudrsuxJMkR3BgYpeiUdwH1vKPyE0lDOyuy0"
		sum43  = "oYZ0aZKdFZ8tBVeVWXzsGg9tSwoyECSzBrOgXPdIYJ5"
	)
	whole := map[string]string{
		"SHA-512": sha512, "without salt": "$6$$" + sha512[len("$6$entryimport$"):], "with rounds": "$6$rounds=5000$" + sha512[len("$6$"):],
		"SHA-256": "$5$salt$" + sum43, "yescrypt": "$y$j9T$F5Jx5fExrKuPp53xLKQ..1$" + sum43, "gost": "$gy$j9T$F5Jx5fExrKuPp53xLKQ..1$" + sum43,
		"MD5": "$1$salt$qJH7.N4xYta3aEG/dfqo/0", "bcrypt": "$2b$05$abcdefghijklmnopqrstuuQUE5NZPSyXcrFBbMzLMpKQBhGB7lzka",
		"DES": "abJnggxhB/yWI", "BSDi": "_J9..CCCCXBrJUJV154M", "SHA-1": "$sha1$40000$jtNX3nZ2$hBNaIXkt4wBI2o5rsi8KejSjNqIq",
		"scrypt": "$7$CU..../....2Q9obwLhin8qvQl6sisAO/$" + sum43, "NT": "$3$$8846f7eaee8fb117ad06bdd830b7586c", "argon2": "$argon2id$v=19$m=65536,t=3,p=4$c2FsdA$+AbC/0",
	}
	for name, hash := range whole {
		all, err := parseShadow("alice:"+hash+":19990", today)
		if s := all["alice"]; err != nil || s.barred != "" || s.hash != hash {
			t.Errorf("%s: %+v %v", name, s, err)
		}
		for _, spoil := range []string{"!", "*", "-disabled", "!!", ".!", "$", "$!"} {
			spoilt(t, name, hash+spoil)
		}
		spoilt(t, name, hash[:4]+"!"+hash[4:])
		spoilt(t, name, hash[:len(hash)-1]+"*")
		if known := name != "NT" && name != "argon2"; known {
			spoilt(t, name, hash+"disabled")
			spoilt(t, name, hash[:len(hash)-1])
		}
	}
	for _, text := range []string{"$6$", "$6$salt", "$6$salt$", "$6$salt$hash!", "$6$abcdefgh$*", "$6$salt$-", "$", "$$", "$y$", "x", "NP", "LOCKED", "accountlocked", "_", "_disabled", "-" + sha512, "#" + sha512} {
		spoilt(t, "word", text)
	}
}

func spoilt(t *testing.T, what, text string) {
	t.Helper()
	all, err := parseShadow("alice:"+text+":19990", today)
	if s := all["alice"]; err != nil || s.barred != "no passphrase fits what stands in the shadow file" || s.hash != "" || !s.real {
		t.Errorf("%s, %q: %+v %v", what, text, s, err)
	}
}
