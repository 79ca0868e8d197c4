package guide

import (
	"bytes"
	"encoding/json"
	"html"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// chromium runs a headless browser on a page and returns what it prints.
func chromium(t *testing.T, page string, args ...string) string {
	t.Helper()
	cmd := exec.Command("chromium", append(append([]string{"--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
		"--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--user-data-dir=" + t.TempDir()}, args...), "file://"+page)...)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("chromium: %v\n%s", err, errs.String())
	}
	return string(out)
}

func pageFile(t *testing.T) string {
	t.Helper()
	var b bytes.Buffer
	if err := HTML(&b, sample()); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "guide.html")
	writeFile(t, path, b.String())
	return path
}

// The page needs nothing but itself.
func TestPageIsSelfContained(t *testing.T) {
	page, err := os.ReadFile(pageFile(t))
	if err != nil {
		t.Fatal(err)
	}
	if m := regexp.MustCompile(`(?i)<(script|link|img|iframe|object|embed|form|a)\b|\bsrc=|\bhref=|@import|url\(|\bon[a-z]+=`).Find(page); m != nil {
		t.Errorf("the page holds %q", m)
	}
	if !bytes.Contains(page, []byte(`default-src 'none'`)) {
		t.Error("the page doesn't forbid what it doesn't need")
	}
}

func TestPageInABrowser(t *testing.T) {
	dom := chromium(t, pageFile(t), "--dump-dom")
	for _, want := range []string{
		`<pre class="command" id="one-command">ssh -J entry home</pre>`, "@cert-authority entry,home,*.tinker,home.tailor,*.tailor,desktop ssh-ed25519 " + caBlob,
		"entry.example.org, port 2222", "two halves", "QR code", "Recovery codes", "only the auditors of your lab", "Your phone is lost", "the service desk, desk@example.org",
		"ProxyJump entry", "home.tailor", "desktop.tinker isn't open to you",
	} {
		if !strings.Contains(html.UnescapeString(dom), want) {
			t.Errorf("no %q in the page", want)
		}
	}
	if n := strings.Count(dom, "<h1"); n != 1 {
		t.Errorf("%d headings of the first level", n)
	}
}

// A page around the guide works its tabs, as the guide itself has no script.
func TestTabs(t *testing.T) {
	guide, err := os.ReadFile(pageFile(t))
	if err != nil {
		t.Fatal(err)
	}
	around := filepath.Join(t.TempDir(), "around.html")
	writeFile(t, around, `<!DOCTYPE html><iframe id="g" width="900" height="900" srcdoc="`+html.EscapeString(string(guide))+`"></iframe><pre id="result"></pre><script>
document.getElementById("g").addEventListener("load", () => {
	const d = document.getElementById("g").contentDocument, w = d.defaultView, out = [];
	const shown = () => [...d.querySelectorAll(".panel")].filter(p => w.getComputedStyle(p).display !== "none").map(p => p.id);
	out.push({tab: "start", shown: shown()});
	for (const r of d.querySelectorAll("input[name=os]")) {
		r.focus();
		const focused = d.activeElement === r;
		r.labels[0].click();
		out.push({tab: r.id, label: r.labels[0].textContent, focused, checked: r.checked, shown: shown(),
			group: r.closest("fieldset").querySelector("legend").textContent});
	}
	document.getElementById("result").textContent = JSON.stringify(out);
});</script>`)
	dom := chromium(t, around, "--virtual-time-budget=5000", "--dump-dom")
	m := regexp.MustCompile(`(?s)<pre id="result">(.*?)</pre>`).FindStringSubmatch(dom)
	if m == nil {
		t.Fatalf("no result in %s", dom)
	}
	var got []struct {
		Tab, Label, Group string
		Focused, Checked  bool
		Shown             []string
	}
	if err := json.Unmarshal([]byte(html.UnescapeString(m[1])), &got); err != nil {
		t.Fatalf("%v: %q", err, m[1])
	}
	if len(got) != 4 || len(got[0].Shown) != 1 || got[0].Shown[0] != "panel-windows" {
		t.Fatalf("%+v", got)
	}
	for i, os := range []string{"Windows", "macOS", "Linux"} {
		g := got[i+1]
		if g.Label != os || !g.Focused || !g.Checked || len(g.Shown) != 1 || g.Shown[0] != "panel-"+strings.ToLower(os) || g.Group == "" {
			t.Errorf("%s: %+v", os, g)
		}
	}
}

// On paper all of it is there: nobody can press a tab there.
func TestPrinted(t *testing.T) {
	pdf := filepath.Join(t.TempDir(), "guide.pdf")
	chromium(t, pageFile(t), "--no-pdf-header-footer", "--print-to-pdf="+pdf)
	b, err := os.ReadFile(pdf)
	if err != nil || !bytes.HasPrefix(b, []byte("%PDF-")) || len(b) < 10_000 {
		t.Fatalf("%v: %d bytes", err, len(b))
	}
	css, err := os.ReadFile("page.html")
	if err != nil {
		t.Fatal(err)
	}
	_, printed, ok := strings.Cut(string(css), "@media print {")
	if !ok || !strings.Contains(printed, ".panel { display: block; }") {
		t.Error("the print style doesn't show every panel")
	}
}
