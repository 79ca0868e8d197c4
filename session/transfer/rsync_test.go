package transfer

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"entry/e2e/testkit"
)

// TestRsyncMeansTheSame runs rsync's client with its options, each time with its
// own line and with the one that is written anew: it has to come to the same.
func TestRsyncMeansTheSame(t *testing.T) {
	for _, args := range []string{
		"-a . home:x", "-avzP sub home:x/", "-av home:a home:sp\\ ace back/", "-rc . home:'x y'", "-a --old-args home:sp\\ ace back",
		"-a --delete-after --exclude=*.csv sub/ home:sub", "-a --max-delete=1 --force --ignore-errors --delete-excluded sub/ home:sub",
		"-a home:*.nothing back", "-av home:sub/*.csv home:sub/[a-c]* home:-x back/", "-rR home:sub/./deep back", "-a a home:-y", "home:",
		"-avn . home:x", "-aHSx --numeric-ids --inplace --size-only . home:x", "-ab --backup-dir=old --suffix=.was --temp-dir=sub --fsync sub home:",
		"-a --partial-dir=.part --delay-updates --block-size=1000 -W a home:x", "-a --append a home:sub/b.csv", "-a --append-verify a home:sub/b.csv",
		"-a --link-dest=../sub sub/ home:linked", "-aU --copy-dest=../sub --open-noatime sub/ home:copied",
		"-a --chmod=u+w --usermap=*:root --groupmap=*:root --iconv=utf8,latin1 --max-size=1m --min-size=1 . home:x",
		"-a --remove-source-files home:sub/b.csv back/", "-a --ignore-existing --existing -u . home:",
		"-az --compress-choice=zlib --compress-level=3 --checksum-choice=md5 --checksum-seed=5 --modify-window=1 --timeout=30 --bwlimit=100m a home:x",
		"-i --info=stats2 --debug=flist1 --stats a home:x", "-a --files-from=list home:. back", "-aKkLOJ --safe-links --munge-links . home:x",
		"-as sub home:'x y'", "-as home:sub/[a-c]* home:-x 'home:sp ace' back", "-rs --backup --backup-dir=old --delete --groupmap=*:root sub/ home:sub",
		"-aE --preallocate --mkpath a home:p/q/r/a", "-dq --no-r --protocol=29 . home:x",
	} {
		t.Run(args, func(t *testing.T) {
			t.Parallel()
			var came [2]map[string]string
			var codes [2]int
			for i, may := range []string{"as it is", "upload,download"} {
				here, g := t.TempDir(), newTarget(t, may)
				for _, dir := range []string{here, g.dir} {
					plant(t, dir, 64<<10)
					testkit.WriteFile(t, filepath.Join(dir, "-x"), "dash")
				}
				testkit.WriteFile(t, filepath.Join(here, "list"), "a\nsub/b.csv\n")
				testkit.WriteFile(t, filepath.Join(g.dir, "sub/gone"), "not at the client")
				age(t, here, 1)
				age(t, g.dir, 2)
				words, _ := split(args)
				command := []string{"rsync", "-e", g.ssh(t)}
				for _, w := range words {
					command = append(command, w.text)
				}
				result, runs := g.run(t, here, command...)
				codes[i], came[i] = result.Code, sumsBelow(t, here)
				for path, sum := range sumsBelow(t, g.dir) {
					came[i]["target:"+path] = sum
				}
				if len(runs) != 1 || runs[0].Refused != "" || runs[0].Error != "" {
					t.Fatalf("%s %+v", result, runs)
				}
				if want := map[bool]Outcome{true: OK, false: Failed}[runs[0].Status == 0]; i == 1 && (len(runs[0].Entries) == 0 || runs[0].Entries[0].Outcome != want) {
					t.Errorf("status %d: %+v", runs[0].Status, runs[0].Entries)
				}
			}
			if codes[0] != codes[1] {
				t.Errorf("status %d, was %d", codes[1], codes[0])
			}
			alike(t, "afterwards", came[1], came[0])
		})
	}
}

// age sets the times of all files below dir: rsync looks at seconds.
func age(t *testing.T, dir string, days int) {
	t.Helper()
	when := time.Now().AddDate(0, 0, -days)
	for path := range sumsBelow(t, dir) {
		testkit.Check(t, os.Chtimes(filepath.Join(dir, path), when, when))
	}
}

// TestRsyncEntries has what a manifest says of an rsync.
func TestRsyncEntries(t *testing.T) {
	here, g := t.TempDir(), newTarget(t, "upload,download")
	plant(t, here, 256<<10)
	_, runs := g.run(t, here, "rsync", "-a", "-e", g.ssh(t), "sub", "home:in")
	up := runs[0].Entries[0]
	if up.Operation != "put" || up.Path != "in" || up.Size < 256<<10 || up.Back == 0 || up.Back > 64<<10 || up.Outcome != OK || up.SHA256 != nil || up.Unknown == "" {
		t.Errorf("%+v", up)
	}
	_, runs = g.run(t, here, "rsync", "-a", "-e", g.ssh(t), "home:in/sub/deep", "home:in/none", "back")
	down := runs[0].Entries
	if len(down) != 2 || down[0].Path != "in/sub/deep" || down[1].Path != "in/none" || down[0].Size < 256<<10 || down[1].Size != 0 || down[0].Outcome != Failed || down[0].Detail != "it ended with status 23" {
		t.Errorf("%+v", down)
	}
}

// TestRsyncUploadTellsNothing has rsync replace a file under upload alone: the
// target doesn't send checksums of its blocks.
func TestRsyncUploadTellsNothing(t *testing.T) {
	back := map[string]int64{}
	for _, may := range []string{"upload,download", "upload"} {
		here, g := t.TempDir(), newTarget(t, may)
		plant(t, here, 1<<20)
		testkit.WriteFile(t, filepath.Join(g.dir, "largest"), strings.Repeat("secret", 1<<20))
		result, runs := g.run(t, here, "rsync", "-e", g.ssh(t), "--no-W", "-B", "700", "sub/deep/largest", "home:")
		if result.Code != 0 || len(runs) != 1 || len(runs[0].Entries) != 1 {
			t.Fatal(result, runs)
		}
		back[may] = runs[0].Entries[0].Back
	}
	if back["upload"] > 1000 || back["upload,download"] < 10_000 {
		t.Errorf("came back: %v bytes", back)
	}
	for _, refused := range []string{"--append", "--append-verify"} {
		here, g := t.TempDir(), newTarget(t, "upload")
		plant(t, here, 1<<10)
		if result, _ := g.run(t, here, "rsync", "-e", g.ssh(t), refused, "a", "home:"); result.Code == 0 || !strings.Contains(result.Stderr, "you may not download") {
			t.Errorf("%s: %s", refused, result)
		}
	}
}

// TestRsyncSecluded has what may not stand in a line of -s, which comes inside.
func TestRsyncSecluded(t *testing.T) {
	for name, tt := range map[string]struct {
		sender bool
		line   string
		want   string // reaches the target; "" is refused
	}{
		"an upload":             {false, "rsync|--delete|--no-W|.|x y|", "rsync|--delete|-W|.|x y||then"},
		"a download":            {true, "rsync|-B1000|.|a|b*|-x|", "rsync|-B1000|.|a|b*|./-x||then"},
		"a map of groups":       {false, "rsync|--groupmap=*:x|.|x|", "rsync|--groupmap=*:x|-W|.|x||then"},
		"its rules":             {false, "rsync|-vtvv|-v|--debug=FILTER2|.|x|", "rsync|-vt|-W|.|x||then"},
		"rules of a download":   {true, "rsync|-vvv|--debug=FILTER2|.|x|", "rsync|-vvv|--debug=FILTER2|.|x||then"},
		"a log":                 {false, "rsync|--log-file=x|.|x|", ""},
		"a sender all at once":  {false, "rsync|--sender|.|x|", ""},
		"a program":             {false, "rsync|-e|sh|.|x|", ""},
		"another one's name":    {false, "sh|.|x|", ""},
		"a pattern to go to":    {false, "rsync|.|x*|", ""},
		"removes":               {true, "rsync|--remove-source-files|.|x|", ""},
		"tells of old files":    {false, "rsync|--append|.|x|", ""},
		"small blocks":          {false, "rsync|-B1|.|x|", ""},
		"names without a dot":   {false, "rsync|x|", ""},
		"a line without an end": {false, "rsync|" + strings.Repeat("x", maxRsyncLine), ""},
	} {
		for _, size := range []int{1 << 20, 1} {
			way := map[bool]Direction{true: Download, false: Upload}[tt.sender]
			run := rsyncRun{needs: []Direction{way}, sender: tt.sender, secluded: true}
			b := newBench(t, newRsync(run, only(way)))
			for piece := range slices.Chunk([]byte(strings.ReplaceAll(tt.line+"|then", "|", "\x00")), size) {
				if b.err == nil {
					_ = b.data(true, piece) // b.err
				}
			}
			if got := strings.ReplaceAll(string(b.passed[1]), "\x00", "|"); got != tt.want || (b.err == nil) != (tt.want != "") {
				t.Errorf("%s: %q, %v", name, got, b.err)
			}
			if b.err != nil && len(b.entries) == 0 {
				t.Errorf("%s: no entry", name)
			}
		}
	}
}

// TestRsyncSaysNoRules has rsync read its rules from a file of the target's, under upload
// alone, which it says with -vvv line by line (3.2.7; 3.5.0 says its place alone).
func TestRsyncSaysNoRules(t *testing.T) {
	for _, secluded := range []string{"--no-s", "-s"} {
		here, g := t.TempDir(), newTarget(t, "upload")
		plant(t, here, 1<<10)
		testkit.WriteFile(t, filepath.Join(g.dir, "private"), "patient anna\n")
		result, _ := g.run(t, here, "rsync", "-rvvv", secluded, "--delete", "-M--debug=FILTER2", "-f", ":- private", "-e", g.ssh(t), "sub/", "home:.")
		if result.Code != 0 || strings.Contains(result.Stdout, "enerator] add_rule") || strings.Contains(result.Stdout, "eceiver] add_rule") {
			t.Errorf("%s: %s", secluded, result)
		}
	}
}

// TestRsyncWithoutRight has rsync end where the right for its direction isn't
// there, or is lost.
func TestRsyncWithoutRight(t *testing.T) {
	for _, tt := range []struct {
		may  string
		args []string
	}{
		{"download", []string{"a", "home:"}},
		{"upload", []string{"home:a", "."}},
		{"download", []string{"--remove-source-files", "home:a", "."}},
		{"once upload", []string{"a", "home:"}},
	} {
		here, g := t.TempDir(), newTarget(t, tt.may)
		if slices.Contains(tt.args, "home:a") {
			plant(t, g.dir, 1<<10)
		} else {
			plant(t, here, 1<<10)
		}
		before := []map[string]string{sumsBelow(t, here), sumsBelow(t, g.dir)}
		result, _ := g.run(t, here, append([]string{"rsync", "-e", g.ssh(t)}, tt.args...)...)
		if result.Code == 0 || !strings.Contains(result.Stderr, "entry: you may not") {
			t.Errorf("%+v: %s", tt, result)
		}
		alike(t, "client", sumsBelow(t, here), before[0])
		alike(t, "target", sumsBelow(t, g.dir), before[1])
	}
}

// What comes back from a target is bound by what went up, where the user may not
// download.
func TestRsyncBringsNothingDown(t *testing.T) {
	for _, tt := range []struct {
		may  string
		up   int
		want bool
	}{{"", 0, true}, {"no", 0, false}, {"no", backAlone + 1, true}} {
		r := &takings{entries: &[]Entry{}}
		d := newRsync(rsyncRun{paths: []string{"x"}, needs: []Direction{Upload}}, func(way Direction) string {
			if way == Download {
				return tt.may
			}
			return ""
		})
		err := d.Data(true, make([]byte, tt.up), r)
		for n := 0; n <= backAlone && err == nil; n += 32 << 10 {
			err = d.Data(false, make([]byte, 32<<10), r)
		}
		var stopped *Stopped
		if (err == nil) != tt.want || err != nil && (!errors.As(err, &stopped) || !strings.Contains(stopped.Reason, "more came back than answers an upload")) {
			t.Errorf("%+v: %v", tt, err)
		}
	}
}
