package fastconn

import (
	"io"

	"golang.org/x/crypto/ssh"

	"entry/session/group"
)

// DropExtended drops what the peer sends as extended data on ch, the place of a
// program's standard error, where nobody reads that: x/crypto would keep as much of
// it as its window allows, 2 MiB a channel. It ends when the peer has closed the
// channel or the connection ends; the goroutine is g's.
func DropExtended(g *group.Group, ch ssh.Channel) {
	in := ch.Stderr()
	g.Go("extended data that nobody reads", func() { Drop(in) })
}

// Drop takes what still comes from r, so that it isn't kept, until nothing more can.
func Drop(r io.Reader) {
	var b [512]byte // thousands wait with one
	for {
		if _, err := r.Read(b[:]); err != nil {
			return
		}
	}
}
