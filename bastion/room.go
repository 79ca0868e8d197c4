package bastion

import (
	"net/netip"

	"go.uber.org/zap"

	"entry/audit"
	"entry/audit/room"
	"entry/bastion/access"
	"entry/configs"
)

// What one user may have open where nothing else is said; less where few files may be.
const (
	usualConnections = 100
	usualChannels    = 500
	fileShare        = 8 // of the files that may be open, a user's connections are one part, as channels are
	leastOpen        = 4 // of each, however few
)

// boundsOf are what one user may have open with these limits, where files may be open.
func boundsOf(l configs.Limits, files room.Files) access.Bounds {
	share := max(files.Usable()/fileShare, leastOpen)
	b := access.Bounds{Connections: l.Connections, Channels: l.Channels}
	if b.Connections == 0 {
		b.Connections = min(usualConnections, share)
	}
	if b.Channels == 0 {
		b.Channels = min(usualChannels, share)
	}
	return b
}

// bounds are what one user may have open here; the server's log says them, and what the
// process may.
func bounds(l configs.Limits, log *zap.Logger) (access.Bounds, error) {
	files, err := room.FilesNow()
	if err != nil {
		return access.Bounds{}, err
	}
	b := boundsOf(l, files)
	say := log.Info
	if b.Connections+b.Channels > files.Usable() {
		say = log.Warn // one user could have all files
	}
	say("what may be open", zap.Int("files", files.Most), zap.Int("files kept for the log, the database and operators", files.Kept),
		zap.Int("connections of a user without a rule", b.Connections), zap.Int("channels of a user to machines", b.Channels))
	return b, nil
}

// hasFiles tells whether the process may open files for something new. What has begun
// may use half of those that are kept for the log, the database and operators.
func (s *Server) hasFiles(begun bool) bool {
	files, err := room.FilesNow()
	if err != nil {
		return false
	}
	spare := files.Kept
	if begun {
		spare /= 2
	}
	if files.Left(spare) {
		return true
	}
	s.gate.FilesShort()
	return false
}

const filesText = "too many files are open at this server, so nothing new can be started; try again in some minutes, or tell your lab's administrator"

// noFiles refuses a connection for which no file is left, or nil where there is one.
func (s *Server) noFiles(source netip.AddrPort) (refused bool) {
	if s.hasFiles(false) {
		return false
	}
	s.connectionRefused(source, "files")
	return true
}

// without is the refusal of what e says for want of files.
func without(e audit.Event) *access.Refused {
	e.Type = audit.AccessRefused
	return access.Refuse("files", filesText, e)
}
