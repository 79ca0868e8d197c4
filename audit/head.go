//go:build linux

package audit

import (
	"fmt"

	"golang.org/x/mod/sumdb/tlog"
)

// Head is the newest checkpoint that is durable: it covers every record that was
// acknowledged before the call.
func (l *Log) Head() (SignedHead, error) {
	h, err := readHead(l.dir, l.keys.Load())
	if err != nil { // it was read before the key was changed
		h, err = readHead(l.dir, l.keys.Load())
	}
	if err != nil {
		return h, fmt.Errorf("read the audit log's checkpoint: %w", err)
	}
	return h, nil
}

// Consistency proves to whoever knows the first from records that the first to ones
// begin with them: RFC 6962's consistency proof, which is empty where from is 0 or to.
func (l *Log) Consistency(from, to uint64) ([]tlog.Hash, error) {
	if from == 0 || from == to {
		return nil, nil
	}
	p, err := prove(l.dir, from, to)
	if err != nil {
		return nil, fmt.Errorf("prove the audit log's growth: %w", err)
	}
	return p, nil
}
