package bench

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// report is what a run has measured.
type report struct {
	Date    time.Time `json:"date"`
	Machine machine   `json:"machine"`
	Rounds  int       `json:"rounds"`
	Size    int64     `json:"size"` // of what is moved, in bytes
	Figures []*figure `json:"figures"`
	Skipped []skipped `json:"skipped,omitempty"`
}

// machine is what figures hold for.
type machine struct {
	Processor string `json:"processor"`
	Cores     int    `json:"cores"`
	Kernel    string `json:"kernel"`
	Go        string `json:"go"`
	OpenSSH   string `json:"openssh"`
	Load      string `json:"load"` // /proc/loadavg, before anything was measured
	Quiet     bool   `json:"quiet"`
}

// figure is one row: the same thing done by several sides, of which the first is what
// the others are held against.
type figure struct {
	Name  string  `json:"name"`
	Unit  string  `json:"unit"`
	Sides []*side `json:"sides"`
}

// side is one of those, with a value a round.
type side struct {
	Name   string    `json:"name"`
	Values []float64 `json:"values"`
	Median float64   `json:"median"`
	Ratio  float64   `json:"ratio"` // median of each round's ratio to the first side; 0 for none
}

// skipped is what couldn't be measured, and why.
type skipped struct {
	What   string `json:"what"`
	Reason string `json:"reason"`
}

// add notes a side's value of the next round.
func (r *report) add(name, unit, of string, value float64) {
	i := slices.IndexFunc(r.Figures, func(f *figure) bool { return f.Name == name && f.Unit == unit })
	if i < 0 {
		i = len(r.Figures)
		r.Figures = append(r.Figures, &figure{Name: name, Unit: unit})
	}
	f := r.Figures[i]
	at := slices.IndexFunc(f.Sides, func(s *side) bool { return s.Name == of })
	if at < 0 {
		at = len(f.Sides)
		f.Sides = append(f.Sides, &side{Name: of})
	}
	s := f.Sides[at]
	s.Values = append(s.Values, value)
	s.Median = median(s.Values)
	// What the machine does slowly is the same for both sides of one round.
	var ratios []float64
	for round, v := range s.Values {
		if base := f.Sides[0].Values; round < len(base) && base[round] > 0 {
			ratios = append(ratios, v/base[round])
		}
	}
	s.Ratio = median(ratios)
}

// skip notes what isn't measured.
func (r *report) skip(what, format string, args ...any) {
	r.Skipped = append(r.Skipped, skipped{what, fmt.Sprintf(format, args...)})
}

// median is the middle one, or the mean of the two; 0 of none.
func median(of []float64) float64 {
	if len(of) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(of))
	return (sorted[(len(sorted)-1)/2] + sorted[len(sorted)/2]) / 2
}

// table prints the figures, a line a side, with the ratio to the first one.
func (r *report) table(w io.Writer) error {
	m := r.Machine
	fmt.Fprintf(w, "%s, %d cores, Linux %s, %s, %s\n%s, %d rounds, %d MiB each, load before: %s\n",
		m.Processor, m.Cores, m.Kernel, m.Go, m.OpenSSH, r.Date.Format(time.DateOnly), r.Rounds, r.Size>>20, m.Load)
	if !m.Quiet {
		fmt.Fprintln(w, "THE MACHINE WASN'T QUIET: these figures say nothing.")
	}
	fmt.Fprintln(w)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "what\tunit\tside\tmedian\tfrom\tto\tratio")
	for _, f := range r.Figures {
		for i, s := range f.Sides {
			name, unit, ratio := f.Name, f.Unit, "1"
			if i > 0 {
				name, unit, ratio = "", "", "-" // to nothing there is none
				if s.Ratio > 0 {
					ratio = fmt.Sprintf("%.2f", s.Ratio)
				}
			}
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", name, unit, s.Name, short(s.Median), short(slices.Min(s.Values)), short(slices.Max(s.Values)), ratio)
		}
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, s := range r.Skipped {
		fmt.Fprintf(w, "not measured: %s: %s\n", s.What, s.Reason)
	}
	return nil
}

// short is a number with three figures that count.
func short(v float64) string {
	switch {
	case v >= 100:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case v >= 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	return strconv.FormatFloat(v, 'f', 2, 64)
}

// save writes the report as JSON.
func (r *report) save(path string) error {
	text, err := json.MarshalIndent(r, "", "\t")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(text, '\n'), 0o644)
}

// thisMachine looks at the machine. What it can't read it leaves out.
func thisMachine() machine {
	m := machine{Cores: runtime.NumCPU(), Go: runtime.Version(), OpenSSH: "OpenSSH"}
	for line := range strings.Lines(read("/proc/cpuinfo")) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			m.Processor = strings.TrimSpace(value)
			break
		}
	}
	m.Kernel = strings.TrimSpace(read("/proc/sys/kernel/osrelease"))
	m.Load = strings.TrimSpace(read("/proc/loadavg"))
	if out, err := exec.Command("ssh", "-V").CombinedOutput(); err == nil {
		m.OpenSSH, _, _ = strings.Cut(strings.TrimSpace(string(out)), ",")
	}
	minute, _, _ := strings.Cut(m.Load, " ")
	load, err := strconv.ParseFloat(minute, 64)
	m.Quiet = err == nil && load < 0.3*float64(m.Cores)
	return m
}

func read(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	return string(text)
}
