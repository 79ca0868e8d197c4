//go:build !unix

package fastconn

import "net"

func newReader(c net.Conn) reader { return &plainReader{conn: c} }
