package transfer

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
)

// Packets of SFTP version 3, draft-ietf-secsh-filexfer-02 §3.
const (
	fxpInit     = 1
	fxpVersion  = 2
	fxpOpen     = 3
	fxpClose    = 4
	fxpRead     = 5
	fxpWrite    = 6
	fxpLstat    = 7
	fxpFstat    = 8
	fxpSetstat  = 9
	fxpFsetstat = 10
	fxpOpendir  = 11
	fxpReaddir  = 12
	fxpRemove   = 13
	fxpMkdir    = 14
	fxpRmdir    = 15
	fxpRealpath = 16
	fxpStat     = 17
	fxpRename   = 18
	fxpReadlink = 19
	fxpSymlink  = 20
	fxpExtended = 200

	fxpStatus        = 101
	fxpHandle        = 102
	fxpData          = 103
	fxpName          = 104
	fxpAttrs         = 105
	fxpExtendedReply = 201
)

// Codes of STATUS, §7.
const (
	fxOK               = 0
	fxEOF              = 1
	fxPermissionDenied = 3
	fxFailure          = 4
	fxBadMessage       = 5
	fxOpUnsupported    = 8
)

// Flags of OPEN, §6.3.
const (
	fxfRead   = 0x01
	fxfWrite  = 0x02
	fxfAppend = 0x04
	fxfCreat  = 0x08
	fxfTrunc  = 0x10
	fxfExcl   = 0x20
	fxfAll    = 0x3f
)

// Flags of attributes, §5.
const (
	attrSize        = 0x01
	attrOwner       = 0x02
	attrPermissions = 0x04
	attrTimes       = 0x08
	attrExtended    = 0x80000000
	attrAll         = attrSize | attrOwner | attrPermissions | attrTimes | attrExtended
)

const (
	version    = 3
	packetHead = 9         // bytes: length, type, id or version
	maxPacket  = 256 << 10 // bytes after the length; OpenSSH's SFTP_MAX_MSG_LENGTH
	maxContent = maxPacket - 1024
	maxHandle  = 256  // bytes, §6.3
	maxPath    = 4096 // bytes; Linux' PATH_MAX
	maxText    = 256  // bytes of what the target says that are kept
)

// need is what a request's sender must be allowed.
type need uint8

const (
	nothing need = iota
	either       // upload or download
	download
	upload
	byFlags // as the flags of OPEN say
)

// operation is what there is to know of a kind of request.
type operation struct {
	name string
	// args are its fields: p path, h handle, a attributes, u and q numbers of 32
	// and 64 bits, s string.
	args    string
	needs   need
	answer  byte // the packet that answers it beside STATUS
	listed  bool // in the manifest, also if nobody refuses it
	renames bool // afterwards a path may lead to another file
}

// operations are the requests of §6 by their type.
var operations = [256]*operation{
	fxpOpen:     {name: "open", args: "pua", needs: byFlags, answer: fxpHandle},
	fxpClose:    {name: "close", args: "h"},
	fxpRead:     {name: "read", args: "hqu", needs: download, answer: fxpData},
	fxpWrite:    {name: "write", args: "hqu", needs: upload}, // and the data
	fxpLstat:    {name: "lstat", args: "p", needs: either, answer: fxpAttrs},
	fxpFstat:    {name: "fstat", args: "h", needs: either, answer: fxpAttrs},
	fxpSetstat:  {name: "setstat", args: "pa", needs: upload, listed: true},
	fxpFsetstat: {name: "setstat", args: "ha", needs: upload, listed: true},
	fxpOpendir:  {name: "opendir", args: "p", needs: either, answer: fxpHandle},
	fxpReaddir:  {name: "readdir", args: "h", needs: either, answer: fxpName},
	fxpRemove:   {name: "remove", args: "p", needs: upload, listed: true, renames: true},
	fxpMkdir:    {name: "mkdir", args: "pa", needs: upload, listed: true},
	fxpRmdir:    {name: "rmdir", args: "p", needs: upload, listed: true, renames: true},
	fxpRealpath: {name: "realpath", args: "p", needs: either, answer: fxpName},
	fxpStat:     {name: "stat", args: "p", needs: either, answer: fxpAttrs},
	fxpRename:   rename,
	fxpReadlink: {name: "readlink", args: "p", needs: either, answer: fxpName},
	fxpSymlink:  symlink,
}

var (
	rename   = &operation{name: "rename", args: "pp", needs: upload, listed: true, renames: true}
	symlink  = &operation{name: "symlink", args: "pp", needs: upload, listed: true, renames: true}
	hardlink = &operation{name: "hardlink", args: "pp", needs: upload, listed: true, renames: true}
	posix    = &operation{name: "posix-rename", args: "pp", needs: upload, listed: true, renames: true}
	copyData = &operation{name: "copy-data", args: "hqqhq", needs: upload, listed: true}
	limits   = &operation{name: "limits", needs: either, answer: fxpExtendedReply}
)

// extensions are OpenSSH's, from its PROTOCOL §4. What isn't here is neither
// announced to the client nor passed on.
var extensions = map[string]*operation{
	"posix-rename@openssh.com":       posix,
	"statvfs@openssh.com":            {name: "statvfs", args: "p", needs: either, answer: fxpExtendedReply},
	"fstatvfs@openssh.com":           {name: "fstatvfs", args: "h", needs: either, answer: fxpExtendedReply},
	"hardlink@openssh.com":           hardlink,
	"fsync@openssh.com":              {name: "fsync", args: "h", needs: either},
	"lsetstat@openssh.com":           {name: "lsetstat", args: "pa", needs: upload, listed: true},
	"limits@openssh.com":             limits,
	"expand-path@openssh.com":        {name: "expand-path", args: "p", needs: either, answer: fxpName},
	"copy-data":                      copyData,
	"home-directory":                 {name: "home-directory", args: "s", needs: either, answer: fxpName},
	"users-groups-by-id@openssh.com": {name: "users-groups-by-id", args: "ss", needs: either, answer: fxpExtendedReply},
}

// arguments are what stands in a request, in the order of the operation's args.
// The slices are the packet's.
type arguments struct {
	paths   [2][]byte
	handles [2][]byte
	numbers [3]uint64
	attrs   attributes
	count   int // of handles
}

// reject is a request that is answered and not passed on.
type reject struct {
	code uint32
	text string
}

var (
	malformed = &reject{fxBadMessage, "entry: a malformed request"}
	noHandle  = &reject{fxFailure, "entry: no file is open by that handle"}
	longPath  = &reject{fxFailure, fmt.Sprintf("entry: a path of more than %d bytes", maxPath)}
)

// parse reads the fields of a request. Bytes that are left over make it
// malformed: what they would be to the target isn't known.
func (o *operation) parse(f *fields) (a arguments, wrong *reject) {
	var paths, numbers int
	for _, arg := range o.args {
		switch arg {
		case 'p':
			p := f.bytes()
			switch {
			case len(p) > maxPath:
				return a, longPath
			case bytes.IndexByte(p, 0) >= 0: // which servers read to there only
				return a, malformed
			}
			a.paths[paths] = p
			paths++
		case 'h':
			a.handles[a.count] = f.bytes()
			a.count++
		case 'u':
			a.numbers[numbers] = uint64(f.uint32())
			numbers++
		case 'q':
			a.numbers[numbers] = f.uint64()
			numbers++
		case 'a':
			a.attrs = f.attributes()
		case 's':
			f.bytes()
		}
	}
	if f.bad || len(f.rest) > 0 {
		return a, malformed
	}
	return a, nil
}

// fields reads a packet from its front. What isn't there is zero, and bad is set
// from then on.
type fields struct {
	rest []byte
	bad  bool
}

func (f *fields) take(n uint32) []byte {
	if f.bad || uint64(n) > uint64(len(f.rest)) {
		f.bad, f.rest = true, nil
		return nil
	}
	p := f.rest[:n]
	f.rest = f.rest[n:]
	return p
}

func (f *fields) uint32() uint32 {
	if p := f.take(4); p != nil {
		return binary.BigEndian.Uint32(p)
	}
	return 0
}

func (f *fields) uint64() uint64 {
	if p := f.take(8); p != nil {
		return binary.BigEndian.Uint64(p)
	}
	return 0
}

// bytes reads a string, §3.
func (f *fields) bytes() []byte { return f.take(f.uint32()) }

// attributes are those of a file.
type attributes struct {
	flags uint32
	size  uint64
	mode  uint32
	owner [2]uint32 // user, group
}

func (f *fields) attributes() (a attributes) {
	a.flags = f.uint32()
	if a.flags&^attrAll != 0 {
		f.bad = true // where the next field begins isn't known
		return a
	}
	if a.flags&attrSize != 0 {
		a.size = f.uint64()
	}
	if a.flags&attrOwner != 0 {
		a.owner = [2]uint32{f.uint32(), f.uint32()}
	}
	if a.flags&attrPermissions != 0 {
		a.mode = f.uint32()
	}
	if a.flags&attrTimes != 0 {
		f.take(8)
	}
	if a.flags&attrExtended != 0 {
		for n := f.uint32(); n > 0 && !f.bad; n-- {
			f.bytes()
			f.bytes()
		}
	}
	return a
}

// names reads what answers a question for names, and gives the first, and how many
// there are.
func (f *fields) names() (first []byte, n int) {
	for left := f.uint32(); left > 0 && !f.bad; left-- {
		name, long := f.bytes(), f.bytes()
		f.attributes()
		f.bad = f.bad || len(name) > maxPath || len(long) > 2*maxPath
		if n++; n == 1 {
			first = name
		}
	}
	f.bad = f.bad || len(f.rest) > 0
	return first, n
}

// regular says that they are those of a regular file: modes are POSIX' since
// draft-02, §5.
func (a attributes) regular() bool {
	return a.flags&attrPermissions != 0 && a.mode&0o170000 == 0o100000
}

// String says what they set.
func (a attributes) String() string {
	var all []string
	if a.flags&attrSize != 0 {
		all = append(all, fmt.Sprintf("size %d", a.size))
	}
	if a.flags&attrOwner != 0 {
		all = append(all, fmt.Sprintf("owner %d:%d", a.owner[0], a.owner[1]))
	}
	if a.flags&attrPermissions != 0 {
		all = append(all, fmt.Sprintf("mode %04o", a.mode&0o7777))
	}
	if a.flags&attrTimes != 0 {
		all = append(all, "times")
	}
	if a.flags&attrExtended != 0 {
		all = append(all, "extended attributes")
	}
	return strings.Join(all, ", ")
}

func appendString[T string | []byte](b []byte, s T) []byte {
	return append(binary.BigEndian.AppendUint32(b, uint32(len(s))), s...)
}

// packet puts the length before what follows it.
func packet(kind byte, rest []byte) []byte {
	return append(append(binary.BigEndian.AppendUint32(nil, uint32(1+len(rest))), kind), rest...)
}

func status(id uint32, w *reject) []byte {
	b := binary.BigEndian.AppendUint32(nil, id)
	b = binary.BigEndian.AppendUint32(b, w.code)
	return packet(fxpStatus, appendString(appendString(b, w.text), "en"))
}
