package verdict

import (
	"fmt"
	"strconv"
	"strings"

	"entry/audit/segment"
)

// ParseAbsent reads a range of records that aren't here, as an operator types it: the
// numbers of the first and the last, as 4711-9000.
func ParseAbsent(r string) (segment.Absent, error) {
	from, to, ok := strings.Cut(r, "-")
	a := segment.Absent{}
	var ferr, terr error
	a.From, ferr = strconv.ParseUint(from, 10, 63)
	a.To, terr = strconv.ParseUint(to, 10, 63)
	if !ok || ferr != nil || terr != nil || a.From < 1 || a.To < a.From {
		return segment.Absent{}, fmt.Errorf("%q: want the numbers of the first and the last record, such as 4711-9000", r)
	}
	return a, nil
}

// absentFlags are the flags with what ParseAbsent reads.
func absentFlags(all []segment.Absent) string {
	var flags []string
	for _, a := range all {
		flags = append(flags, fmt.Sprintf("--absent %d-%d", a.From, a.To))
	}
	return strings.Join(flags, " ")
}
