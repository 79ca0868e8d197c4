package audit

// NoWitness says why the witness directory is none: it lies on the same file system as
// the log, which is named. It is "" where it lies elsewhere, or that can't be told.
func NoWitness(dir, witness string) string {
	log, there := whereIs(dir), whereIs(witness)
	if !log.same(there) {
		return ""
	}
	s := "its directory lies on the log's own file system"
	if at := there.String(); at != "" {
		s += " (" + at + ")"
	}
	return s
}
