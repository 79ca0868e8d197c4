package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// layers is the order of the packages, lowest first. A package imports only
// packages of lower layers: an edge that needs another order changes this
// table in the same commit, where a reviewer sees it.
var layers = [][]string{
	{"audit/plain", "audit/names", "audit/room"},
	{"audit/when", "audit/refusal", "audit/segment", "policy/strict", "policy/pubkey", "policy/ldapmatch", "session/group"},
	{"policy", "audit", "session/recording", "bastion/identity/secret", "configs"},
	{"session/fastconn", "session/transfer", "session/recording/spool", "session/recording/screen", "session/recording/auditors",
		"bastion/identity", "bastion/ca", "bastion/realm", "bastion/gateway", "bastion/guide", "policy/compare"},
	{"session/recording/control"},
	{"session", "session/recording/play", "bastion/access", "bastion/identity/takeover", "audit/evidence"},
	{"session/recording/rewrap"},
	{"bastion/admin", "bastion/portal", "bastion/store", "session/recording/find", "audit/witness", "audit/index", "audit/catalog"},
	{"bastion", "audit/bundle", "audit/logs", "audit/verdict"},
	{"bastion/site", "cmd/entry/demohome"},
	{"cmd/entry/demo"},
	{"cmd/entry", "e2e", "e2e/testkit", "e2e/testkit/wire"},
	{"e2e/bench", "e2e/testkit/logbook", "e2e/testkit/policies", "e2e/testkit/world"}, // nothing but tests is above testkit
}

// lowest are the layers of pure data: nothing in them speaks SSH, SQL or to a
// log of the server, and what they import beside the standard library is named
// in codecs. A public key is data too, but only the SSH library knows which ones
// it will take: policy/pubkey asks it, so that no policy passes with a key that
// every connection will refuse.
const lowest = 3

// codecs are the modules that the lowest layers may import beside the standard
// library: one codec each.
var codecs = map[string][]string{
	"audit/names":             {"golang.org/x/sys/unix"}, // two names at once are no call of the standard library
	"policy/strict":           {"go.yaml.in/yaml/v4"},
	"policy/pubkey":           {"golang.org/x/crypto/ssh", "filippo.io/edwards25519"},
	"policy/ldapmatch":        {"golang.org/x/text"},
	"audit/segment":           {"github.com/klauspost/compress/zstd"}, // sealed segments may be compressed
	"audit":                   {"golang.org/x/mod/sumdb"},
	"session/recording":       {"github.com/klauspost/compress", "filippo.io/age"},
	"bastion/identity/secret": {"golang.org/x/crypto", "github.com/pquerna/otp", "github.com/go-crypt/x", "golang.org/x/text"},
}

// only says which packages may import a module themselves, and from which
// layer up. A nil list means every package from that layer; below names those
// that may although they are in a lower one.
var only = []struct {
	module   string
	layer    int
	packages []string
	below    []string
}{
	{"golang.org/x/crypto/ssh", 3, nil, []string{"policy/pubkey"}},
	{"github.com/gliderlabs/ssh", 7, []string{"bastion"}, nil},
	{"github.com/pquerna/otp", 2, []string{"bastion/identity/secret"}, nil},
	{"github.com/go-ldap/ldap", 3, []string{"bastion/realm"}, nil},
	{"modernc.org/sqlite", 6, []string{"bastion/store", "audit/index", "e2e/testkit"}, nil},
	{"database/sql", 6, []string{"bastion/store", "audit/index", "e2e/testkit"}, nil},
	{"go.uber.org/zap", 6, nil, nil},
	{"log", 6, nil, nil},
	{"log/slog", 6, nil, nil},
	{"github.com/pkg/sftp", 8, []string{"cmd/entry/demohome"}, nil},
	{"github.com/creack/pty", 8, []string{"cmd/entry/demohome", "cmd/entry", "e2e", "e2e/testkit"}, nil},
}

// folders are the top-level ones; hidden ones but .ci are the tools' own.
var folders = []string{".ci", "audit", "bastion", "cmd", "configs", "docs", "e2e", "policy", "session"}

// listed is what `go list -json` says of one package.
type listed struct {
	ImportPath string
	Imports    []string
}

func goList(t *testing.T, args ...string) []listed {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list", "-json=ImportPath,Imports"}, args...)...)
	cmd.Dir = ".."
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list %q: %v\n%s", args, err, errs.String())
	}
	var all []listed
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

// layerOf returns the layer of a package of this module, or -1.
func layerOf(name string) int {
	return slices.IndexFunc(layers, func(l []string) bool { return slices.Contains(l, name) })
}

// inside reports whether an import path is module or a package below it.
func inside(path, module string) bool {
	return path == module || strings.HasPrefix(path, module+"/")
}

func TestLayers(t *testing.T) {
	beside(t)
	there := map[string]bool{}
	defer func() {
		for _, name := range slices.Concat(layers...) {
			if !there[name] {
				t.Errorf("%s is in a layer and not there", name)
			}
		}
	}()
	for _, p := range goList(t, "-deps", "./...") {
		name, ours := strings.CutPrefix(p.ImportPath, "entry/")
		if !ours {
			continue
		}
		there[name] = true
		layer := layerOf(name)
		if layer < 0 {
			t.Errorf("%s stands in no layer: give it one in layers_test.go", name)
			continue
		}
		for _, imported := range p.Imports {
			if to, ours := strings.CutPrefix(imported, "entry/"); ours {
				if at := layerOf(to); at >= layer {
					t.Errorf("%s (layer %d) imports %s (layer %d): imports go strictly downward", name, layer, to, at)
				}
				if to == "cmd/entry/demohome" && name != "cmd/entry/demo" {
					t.Errorf("%s imports %s, which is the demo's alone", name, to)
				}
				continue
			}
			checkForeign(t, name, layer, imported)
		}
	}
}

// checkForeign holds one import of something that isn't ours to the rules.
func checkForeign(t *testing.T, name string, layer int, imported string) {
	t.Helper()
	if host, _, _ := strings.Cut(imported, "/"); layer < lowest && strings.Contains(host, ".") &&
		!slices.ContainsFunc(codecs[name], func(c string) bool { return inside(imported, c) }) {
		t.Errorf("%s (layer %d) imports %s: only the standard library and its codec %v may stand there", name, layer, imported, codecs[name])
	}
	for _, rule := range only {
		// "log" is the package alone; the others are modules with packages.
		if imported != rule.module && (rule.module == "log" || !inside(imported, rule.module)) {
			continue
		}
		if layer < rule.layer && !slices.Contains(rule.below, name) {
			t.Errorf("%s (layer %d) imports %s, which starts at layer %d", name, layer, imported, rule.layer)
		}
		if rule.packages != nil && !slices.Contains(rule.packages, name) {
			t.Errorf("%s imports %s, which belongs to %v", name, imported, rule.packages)
		}
	}
}

// keyed are those of the lowest layers that link SSH, for its public keys.
var keyed = []string{"policy/pubkey", "policy"}

// What is only linked counts as well: a driver or SSH reached through another
// module would pass a check of direct imports.
func TestLowestLayerLinksNoSSH(t *testing.T) {
	beside(t)
	for _, name := range slices.Concat(layers[:lowest]...) {
		for _, p := range goList(t, "-deps", "./"+name) {
			for _, module := range []string{"golang.org/x/crypto/ssh", "github.com/gliderlabs/ssh", "database/sql", "go.uber.org/zap"} {
				if inside(p.ImportPath, module) && !(module == "golang.org/x/crypto/ssh" && slices.Contains(keyed, name)) {
					t.Errorf("%s links %s", name, p.ImportPath)
				}
			}
		}
	}
}

func TestTopLevelFolders(t *testing.T) {
	beside(t)
	entries, err := os.ReadDir("..")
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, e := range entries {
		name := e.Name()
		if !e.IsDir() || strings.HasPrefix(name, ".") && name != ".ci" || name == "demo" {
			continue // demo is the state of `make demo`, which git ignores
		}
		found[name] = true
	}
	if got := slices.Sorted(maps.Keys(found)); !slices.Equal(got, folders) {
		t.Errorf("top-level folders are %v, not %v", got, folders)
	}
}
