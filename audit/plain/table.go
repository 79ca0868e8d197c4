package plain

import (
	"io"
	"strings"
	"text/tabwriter"
)

// Table aligns columns. A cell with anything in it that isn't Visible is
// quoted, so that none can break out of its place. Make one with NewTable; it
// isn't safe for concurrent use.
type Table struct{ w *tabwriter.Writer }

// NewTable returns a table that Flush writes to w, its columns two spaces apart.
func NewTable(w io.Writer) *Table {
	return &Table{w: tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)}
}

// Row adds a row. Errors of writing come from Flush.
func (t *Table) Row(cells ...string) {
	safe := make([]string, len(cells))
	for i, c := range cells {
		safe[i] = c
		if strings.ContainsFunc(c, func(r rune) bool { return !Visible(r) }) {
			safe[i] = Quote(c)
		}
	}
	_, _ = io.WriteString(t.w, strings.Join(safe, "\t")+"\n") // Flush returns it
}

// Flush writes the rows and returns the first error of writing any.
func (t *Table) Flush() error { return t.w.Flush() }
