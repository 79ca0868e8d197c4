package transfer

import (
	"encoding/binary"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"entry/e2e/testkit"
)

// TestRsyncRules runs rsync's client with rules for what the target deletes, under upload
// alone: they do what they say, but for those that say what is in the target's files.
func TestRsyncRules(t *testing.T) {
	for _, tt := range []struct {
		args    string
		refused bool
	}{
		{"-r --delete", false}, {"-rz --delete --exclude=private --exclude=x*", false}, {"-rm --exclude=private", false},
		{"-rcC --delete-after --exclude=private", false}, {"-r --delete-excluded -f ':- private'", false}, {"-r --protocol=29 --delete --exclude=private", false},
		{"-rs --delete-during -f 'P private'", false}, {"-r --protocol=30 --delete --exclude=private", false},
		{"-rz --compress-choice=zlib --checksum-choice=md5 --delete-delay --exclude=private", false}, {"-rn --delete --exclude=private", false},
		{"-r --delete -f ': private'", true}, {"-rF --delete", true}, {"-rs --delete -f 'dir-merge,e private'", true}, {"-rm -f ':n/ private'", true},
		{"-r --protocol=29 --delete -f ': private'", true}, {"-r -f ': private'", false}, // not sent
	} {
		t.Run(tt.args, func(t *testing.T) {
			t.Parallel()
			here, g := t.TempDir(), newTarget(t, "upload")
			plant(t, here, 1<<10)
			testkit.WriteFile(t, filepath.Join(g.dir, "private"), "patient anna\n")
			testkit.WriteFile(t, filepath.Join(g.dir, "gone"), "")
			words, _ := split(tt.args)
			command := []string{"rsync", "-e", g.ssh(t)}
			for _, w := range words {
				command = append(command, w.text)
			}
			result, _ := g.run(t, here, append(command, "./", "home:.")...)
			said := strings.Contains(result.Stderr, "you may not download")
			if said != tt.refused || (result.Code != 0) != tt.refused || strings.Contains(result.Stdout+result.Stderr, "anna") {
				t.Fatal(result)
			}
			files := sumsBelow(t, g.dir)
			if _, there := files["private"]; there != (tt.refused || tt.args != "-r --delete" && !strings.Contains(tt.args, "excluded")) {
				t.Errorf("%v: %s", files, result)
			}
			if _, there := files["gone"]; !tt.refused && there == (strings.Contains(tt.args, "--delete") && !strings.HasPrefix(tt.args, "-rn")) {
				t.Errorf("%v: %s", files, result)
			}
		})
	}
}

// A client that isn't rsync's gets no rule past, whatever it hides it in.
func TestRsyncRulesOfAnotherClient(t *testing.T) {
	version := func(n uint32) string { return string(binary.LittleEndian.AppendUint32(nil, n)) }
	rule := func(text string) string { return version(uint32(len(text))) + text }
	frame := func(text string) string { return string([]byte{byte(len(text)), byte(len(text) >> 8), 0, 7}) + text }
	const sums, packs = "\x0exxh128 md5 md4", "\x80\x04zstd"
	const end = "\x00\x00\x00\x00"
	for name, tt := range map[string]struct {
		server       uint32
		said         string
		merges, good bool
	}{
		"rules":                    {31, version(31) + sums + packs + frame(rule("- x")+end+"files"), false, true},
		"of an older one":          {30, version(31) + frame(rule("- x")+rule(":- y")+end), false, true},
		"without frames":           {29, version(31) + rule("- x") + end + "files", false, true},
		"a file of rules":          {31, version(31) + sums + frame(rule("- x")+rule(": y")+end), true, false},
		"in two frames":            {31, version(31) + sums + frame(rule("- x")+rule(": y")[:5]) + frame(rule(": y")[5:]+end), true, false},
		"behind an empty frame":    {31, version(31) + frame("") + frame(rule(". /etc/shadow")+end), true, false},
		"by a word":                {31, version(31) + frame(rule("merge y")), true, false},
		"without frames, too":      {29, version(31) + rule(":e y"), true, false},
		"with a name for modifier": {31, version(31) + frame(rule(": -y")), true, false},
		"in what is no string":     {31, version(31) + "\x04\x00\x00\x09" + rule(": y"), false, false},
		"in a third string":        {31, version(31) + sums + packs + sums + frame(end), false, false},
		"in a long frame":          {31, version(31) + "\x04\x00\x01\x07" + rule(": y"), false, false},
		"before the version":       {0, version(31) + frame(rule("- x")), false, false},
		"of an old version":        {28, version(31) + rule("- x"), false, false},
		"a long one":               {31, version(31) + frame(version(maxRsyncRule+1)), false, false},
	} {
		for _, size := range []int{1 << 20, 1} {
			b := newBench(t, newRsync(rsyncRun{paths: []string{"x"}, needs: []Direction{Upload}, rules: true}, only(Upload)))
			if tt.server != 0 {
				_ = b.data(false, []byte(version(tt.server))) // b.err
			}
			for rest := tt.said; rest != "" && b.err == nil; rest = rest[min(size, len(rest)):] {
				_ = b.data(true, []byte(rest[:min(size, len(rest))])) // b.err
			}
			var bad *BadCommand
			var desync *Desync
			if errors.As(b.err, &bad) != tt.merges || errors.As(b.err, &desync) == (tt.good || tt.merges) || tt.good && string(b.passed[1]) != tt.said {
				t.Errorf("%s: %v, %q", name, b.err, b.passed[1])
			}
			if tt.merges && strings.Contains(string(b.passed[1]), "y") {
				t.Errorf("%s: %q passed", name, b.passed[1])
			}
		}
	}
}
