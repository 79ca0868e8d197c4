package realm

import (
	"time"

	"github.com/go-ldap/ldap/v3"
)

// What Check's errors are, for tests.
var ErrUnavailable = errUnavailable

type BarredError = barredError

// Ended is ended of an entry with these attributes and values; "" for one that is let in.
func Ended(now time.Time, attributes ...string) string {
	e := &ldap.Entry{}
	for i := 0; i < len(attributes); i += 2 {
		e.Attributes = append(e.Attributes, &ldap.EntryAttribute{Name: attributes[i], Values: []string{attributes[i+1]}})
	}
	if why, over := ended(e, now); over {
		return why.String()
	}
	return ""
}
