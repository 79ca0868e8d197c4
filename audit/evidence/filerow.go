package evidence

import (
	"cmp"
	"fmt"

	"entry/audit/plain"
)

// FileColumns are the columns of a table of files; hash is what is shown of contents.
func FileColumns(hash string) []string {
	return []string{"TIME", "SESSION", "USER", "TARGET", "WAY", "SIZE", "OUTCOME", hash, "FILE"}
}

// Cells are a file in a row of such a table.
func (f File) Cells() []string {
	name, sum := plain.Word(f.Protocol)+" "+plain.Word(f.Operation), cmp.Or(f.Content, "-")
	switch {
	case f.More > 0:
		name, sum = fmt.Sprintf("%d more, in the recording", f.More), "-"
	case f.Line != nil:
		name += " " + f.Line.Names()
		if sum = f.Line.SHA256; sum == "" && f.Line.Unknown != "" {
			sum = "unknown: " + plain.Line(f.Line.Unknown)
		}
	}
	if f.Unfinished != "" {
		sum = "-"
		switch name = plain.Word(f.Protocol) + ", " + f.Unfinished; {
		case f.Operation != "" && f.Asked != "":
			name += ": " + plain.Word(f.Operation) + " " + plain.Quote(f.Asked) + ", how much of it isn't known"
		case f.Asked != "":
			name += ", of " + plain.Quote(f.Asked) + ": what of it is moved, or was, isn't known"
		default:
			name += ": what it is at, or was, isn't known"
		}
	}
	if f.Elsewhere {
		sum = "its recording isn't here"
	}
	size := plain.Size(f.Size)
	if f.Size == Unsized {
		size = "-"
	}
	if f.Run+f.RunBack > 0 {
		name += fmt.Sprintf(" (%s and %s back in the whole run)", plain.Size(f.Run), plain.Size(f.RunBack))
	}
	outcome := "-"
	if f.Outcome != "" {
		outcome = plain.Word(f.Outcome)
	}
	return []string{plain.Time(f.At), f.Session, plain.Word(f.User), plain.Word(f.Target), cmp.Or(f.Direction, "-"), size, outcome, cmp.Or(sum, "-"), name}
}
