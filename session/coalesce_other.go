//go:build !unix

package session

import "net"

func newReader(c net.Conn) reader { return &plainReader{conn: c} }
