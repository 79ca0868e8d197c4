package session

import (
	"io"

	"entry/audit/plain"
	"entry/audit/refusal"
	"entry/session/transfer"
)

// maxAside is how much a program that moves files may say on its standard error, where
// the user may not download: it is a way down that no protocol bounds. OpenSSH's and
// rsync's programs say a line for each file that failed.
const maxAside = 64 << 10 // bytes

// aside is the standard error of a program that moves files.
type aside struct {
	io.Reader
	left int // of maxAside
	now  *rights
	over func() // ends the channel
}

// Read implements io.Reader. It gives no more than the bound, and then the end.
func (a *aside) Read(p []byte) (int, error) {
	n, err := a.Reader.Read(p)
	if n <= a.left {
		a.left -= n
		return n, err
	}
	if a.now.may(transfer.Download) == "" { // or it was granted since
		return n, err
	}
	n, a.left = a.left, 0
	a.over()
	if n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

// errors is the program's standard error, bounded where it is to be.
func (s *sessionChannel) errors() io.Reader {
	if s.content.moves == nil || s.content.now == nil {
		return s.up.Stderr()
	}
	return &aside{Reader: s.up.Stderr(), left: maxAside, now: s.content.now, over: func() {
		s.lease.end(s.r.o.Ref(), &refusal.Error{Code: "transfer-stderr",
			Text: "the program on " + s.r.target + " printed more than " + plain.Size(maxAside) + " beside the files, and you may not download there; ask your operator"}, "")
	}}
}
