//go:build !linux

package audit

// where can't be told here: logs are written on Linux, what is read here are copies.
type where struct{}

func whereIs(string) where { return where{} }

func (where) same(where) bool { return false }

func (where) String() string { return "" }
