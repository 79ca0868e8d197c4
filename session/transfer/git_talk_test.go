package transfer

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
)

var (
	objectA  = strings.Repeat("a1", 20)
	objectB  = strings.Repeat("B2", 32) // of a repository of SHA-256
	noObject = strings.Repeat("0", 40)
)

func pktLine(text string) string { return fmt.Sprintf("%04x%s", len(text)+4, text) }

// TestGitTalks has what git's own programs don't say here: signed pushes, targets
// that fail, and what is no protocol of git's.
func TestGitTalks(t *testing.T) {
	advert := pktLine(objectA+" refs/heads/x\x00report-status side-band-64k push-cert=nonce\n") + "0000"
	cert := func(lines ...string) string {
		text := pktLine("push-cert\x00report-status\n")
		for _, l := range lines {
			text += pktLine(l)
		}
		return text
	}
	change := objectA + " " + objectA + " refs/heads/x"
	for name, tt := range map[string]struct {
		verb   string
		talk   scpTalk
		want   []string
		desync string
	}{
		"a signed push": {"git-receive-pack", scpTalk{{"t", advert},
			{"c", cert("certificate version 0.1\n", "pusher me\n", "\n", change+"\n", objectA+" "+noObject+" refs/tags/v\n", "-----BEGIN PGP SIGNATURE-----\n", "x y z\n", "push-cert-end\n") + "0000PACK"},
			{"t", pktLine("unpack ok\n") + pktLine("ok refs/heads/x\n") + pktLine("ng refs/tags/v deny deletes\n") + "0000"}},
			[]string{"push upload r refs/heads/x a1a1a1a..a1a1a1a ok", "push upload r refs/tags/v a1a1a1a..0000000 failed deny deletes", "pack upload r  .. ok"}, ""},
		"lines of a certificate in one pkt-line": {"git-receive-pack", scpTalk{{"t", advert}, {"c", cert("v\n\n"+change+"\n-----BEGIN \n", "push-cert-end\n") + "0000"}},
			[]string{"push upload r refs/heads/x a1a1a1a..a1a1a1a ok", "pack upload r  .. ok"}, ""},
		"a signed push of other things":      {"git-receive-pack", scpTalk{{"t", advert}, {"c", cert("v\n", "\n", "rm x\n", "-----BEGIN \n", "push-cert-end\n")}}, nil, "without old object"},
		"a signed push that doesn't end":     {"git-receive-pack", scpTalk{{"t", advert}, {"c", cert("v\n", "\n", change+"\n") + "0000"}}, nil, "doesn't end"},
		"a signed push without signature":    {"git-receive-pack", scpTalk{{"t", advert}, {"c", cert("v\n", "\n", change+"\n", "push-cert-end\n")}}, nil, "without signature"},
		"a push of SHA-256":                  {"git-receive-pack", scpTalk{{"t", advert}, {"c", pktLine(objectB+" "+objectB+" refs/heads/x\x00") + "0000"}}, []string{"push upload r refs/heads/x b2b2b2b..b2b2b2b ok", "pack upload r  .. ok"}, ""},
		"a pack that can't be unpacked":      {"git-receive-pack", scpTalk{{"t", advert}, {"c", pktLine(change+"\x00report-status side-band-64k") + "0000PACK"}, {"t", pktLine("\x01"+pktLine("unpack index-pack abnormal exit\n")+pktLine("ng refs/heads/x unpacker error\n")) + pktLine("\x01"+"0000") + "0000"}}, []string{"push upload r refs/heads/x a1a1a1a..a1a1a1a failed unpacker error", "pack upload r  .. failed unpack: index-pack abnormal exit"}, ""},
		"a target that gives up":             {"git-receive-pack", scpTalk{{"t", advert}, {"c", pktLine(change+"\x00side-band-64k") + "0000PACK"}, {"t", pktLine("\x03disk full\n")}}, []string{"push upload r refs/heads/x a1a1a1a..a1a1a1a failed disk full", "pack upload r  .. failed disk full"}, ""},
		"a target that knows no such thing":  {"git-upload-pack", scpTalk{{"t", pktLine("ERR no such repository\n")}}, []string{"list download r  .. failed no such repository"}, ""},
		"a push that is none":                {"git-receive-pack", scpTalk{{"t", advert}, {"c", pktLine("hello\n")}}, nil, "without old object"},
		"a push of a mark":                   {"git-receive-pack", scpTalk{{"t", advert}, {"c", "0001"}}, nil, "a mark that no push has"},
		"a shell's words":                    {"git-upload-pack", scpTalk{{"t", "Welcome!\n"}}, nil, "has no length"},
		"a length below the length":          {"git-upload-pack", scpTalk{{"t", "0003"}}, nil, "too long"},
		"a length above the longest":         {"git-upload-pack", scpTalk{{"t", "fff1"}}, nil, "too long"},
		"an answer to no command":            {"git-upload-pack", scpTalk{{"t", pktLine("version 2\n") + "0000" + pktLine("x")}}, nil, "an answer to no command"},
		"commands that don't wait":           {"git-upload-pack", scpTalk{{"t", pktLine("version 2\n") + "0000"}, {"c", strings.Repeat(pktLine("command=fetch")+"0000", maxGitCommands+1)}}, nil, "doesn't wait"},
		"a wanted ref":                       {"git-upload-pack", scpTalk{{"t", pktLine("version 2\n") + "0000"}, {"c", pktLine("command=fetch") + "0001" + pktLine("want-ref refs/heads/x\n") + pktLine("done\n") + "0000"}, {"t", pktLine("wanted-refs\n") + pktLine(objectA+" refs/heads/x\n") + "0001" + pktLine("packfile\n") + pktLine("\x01PACK") + "0000"}}, []string{"fetch download r refs/heads/x ..a1a1a1a ok", "pack download r  .. ok"}, ""},
		"a want with capabilities, uncased":  {"git-upload-pack", scpTalk{{"t", pktLine(objectB+" HEAD\x00x\n") + pktLine(objectB+" refs/heads/x\n") + "0000"}, {"c", pktLine("want "+strings.ToLower(objectB)+" thin-pack\n") + "0000" + pktLine("done")}, {"t", "0008NAK\nPACK"}}, []string{"fetch download r refs/heads/x ..b2b2b2b ok", "pack download r  .. ok"}, ""},
		"a fetch that a client wants of two": {"git-upload-pack", scpTalk{{"t", pktLine(objectA+" refs/heads/x\n") + "0000"}, {"c", pktLine("want "+objectA+"\n") + pktLine("want "+objectA+"\n") + pktLine("want "+objectB)}}, []string{"fetch download r refs/heads/x ..a1a1a1a ok", "fetch download r  ..b2b2b2b ok", "pack download r  .. ok"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, newGit(tt.verb, "r", anything))
			for _, s := range tt.talk {
				if b.err == nil {
					_ = b.data(s.who == "c", []byte(s.says)) // b.err
				}
			}
			var desync *Desync
			if got := errors.As(b.err, &desync); got != (tt.desync != "") || got && !strings.Contains(desync.Reason, tt.desync) {
				t.Errorf("error %v, want %q", b.err, tt.desync)
			}
			if b.err != nil {
				return
			}
			b.d.(Finisher).Finish(0, b.rulings[0])
			var got []string
			for _, e := range b.entries {
				got = append(got, gitLine(e))
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}

// TestGitHoldsLittle has a target advertise and a client push without end: what
// is kept stays small, and what isn't has a count and a digest.
func TestGitHoldsLittle(t *testing.T) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	fetch, push := newGit("git-upload-pack", "r", anything), newGit("git-receive-pack", "r", anything)
	r := &copying{}
	const many = 25_000
	long := strings.Repeat("n", 300)
	for i := range many {
		_ = fetch.Data(false, []byte(pktLine(fmt.Sprintf("%040x refs/heads/%s%d\n", i, long, i))), r)
		_ = fetch.Data(true, []byte(pktLine(fmt.Sprintf("want %040x\n", i))), r)
		_ = push.Data(true, []byte(pktLine(fmt.Sprintf("%s %s refs/heads/%s%d\n", noObject, objectA, long, i))), r)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if held := int64(after.HeapAlloc) - int64(before.HeapAlloc); held > 12<<20 {
		t.Errorf("%d bytes are held", held)
	}
	fetch.Finish(0, r)
	push.Finish(0, r)
	if len(r.entries) != 2*(maxGitRefs+2) {
		t.Fatal(len(r.entries))
	}
	for _, e := range []Entry{r.entries[maxGitRefs], r.entries[2*maxGitRefs+2]} {
		if want := fmt.Sprintf("%d refs more, in lines of SHA-256 ", many-maxGitRefs); !strings.HasPrefix(e.Detail, want) || len(e.Detail) != len(want)+64 {
			t.Errorf("%+v, want %s", e, want)
		}
	}
}
