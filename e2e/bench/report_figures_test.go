package bench

import (
	"encoding/json"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"entry/e2e/testkit"
)

// TestReport: medians, ratios round by round, the table and the file.
func TestReport(t *testing.T) {
	r := &report{Rounds: 3, Size: 1 << 20, Machine: machine{Quiet: true}}
	for round, v := range [][2]float64{{100, 50}, {200, 100}, {10, 9}} { // the last one while something else ran
		r.add("down", "MB/s", "sshd", v[0])
		r.add("down", "MB/s", "entry", v[1])
		r.add("down", "cpu-s/GB", "sshd", float64(round+1))
	}
	r.skip("another", "it %s", "isn't here")
	down := r.Figures[0]
	if len(r.Figures) != 2 || len(down.Sides) != 2 {
		t.Fatalf("%d figures, the first with %d sides", len(r.Figures), len(down.Sides))
	}
	if s := down.Sides[1]; s.Median != 50 || s.Ratio != 0.5 {
		t.Errorf("%+v", s)
	}
	if even := median([]float64{4, 1, 2, 3}); even != 2.5 {
		t.Errorf("the median of four is %v", even)
	}
	var b strings.Builder
	testkit.Check(t, r.table(&b))
	for _, line := range []string{"down  MB/s      sshd   100     10.0  200   1\n", "                entry  50.0    9.00  100   0.50\n", "not measured: another: it isn't here\n"} {
		if !strings.Contains(b.String(), line) {
			t.Errorf("no %q in\n%s", line, b.String())
		}
	}
	if strings.Contains(b.String(), "QUIET") {
		t.Error("it says that the machine was busy")
	}
	path := filepath.Join(t.TempDir(), "f.json")
	testkit.Check(t, r.save(path))
	var back report
	testkit.Check(t, json.Unmarshal([]byte(testkit.ReadFile(t, path)), &back))
	if got := back.Figures[0].Sides[1].Ratio; math.Abs(got-0.5) > 1e-9 || len(back.Skipped) != 1 {
		t.Errorf("%+v", back)
	}
}

// TestWrongBytes: what arrived and isn't what was sent fails, and gives no figure.
func TestWrongBytes(t *testing.T) {
	sent := data{name: "random", sum: "aa"}
	if err := sent.sums("aa"); err != nil {
		t.Error(err)
	}
	if err := sent.sums("ab"); err == nil || !strings.Contains(err.Error(), "not aa") {
		t.Errorf("%v", err)
	}
}
