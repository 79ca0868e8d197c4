package access

// Seldom says which refusals get an event where a client could cause any
// number of them without waiting: the 1st, 2nd, 4th, 8th … of a kind.
type Seldom map[string]int

// maxKinds bounds the names that a client makes up.
const maxKinds = 64

// Due counts one of a kind and tells whether it gets an event. Its zero value is
// nil: make one. It isn't safe for concurrent use.
func (n Seldom) Due(kind string) bool {
	if _, ok := n[kind]; !ok && len(n) >= maxKinds {
		kind = "" // all the others
	}
	n[kind]++
	return n[kind]&(n[kind]-1) == 0
}
