package realm

import (
	"time"

	"github.com/go-ldap/ldap/v3"
)

// What Check's errors are, for tests.
var ErrUnavailable = errUnavailable

type BarredError = barredError

// Locked is locked of an entry with one attribute.
func Locked(attribute, value string, now time.Time) string {
	return locked(&ldap.Entry{Attributes: []*ldap.EntryAttribute{{Name: attribute, Values: []string{value}}}}, now)
}
