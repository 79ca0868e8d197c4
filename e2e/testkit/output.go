package testkit

import (
	"bytes"
	"fmt"
	"regexp"
	"sync"
)

// Output is what a running program has written so far. It is safe for concurrent
// use.
type Output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *Output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

func (o *Output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// find looks for re if there is more than size bytes. It copies nothing but the
// match: some programs write megabytes.
func (o *Output) find(re *regexp.Regexp, size int) (m []string, now int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.buf.Len() > size {
		for _, b := range re.FindSubmatch(o.buf.Bytes()) {
			m = append(m, string(b))
		}
	}
	return m, o.buf.Len()
}

// Clip keeps failure messages readable when a command wrote megabytes.
func Clip(s string) string {
	const most = 4000
	if len(s) > most {
		return fmt.Sprintf("%s … (%d bytes)", s[:most], len(s))
	}
	return s
}

// Tail is the end of a log, for the same reason.
func Tail(s string) string {
	const most = 12000
	if len(s) > most {
		return "…" + s[len(s)-most:]
	}
	return s
}
