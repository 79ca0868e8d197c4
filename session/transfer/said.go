package transfer

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"hash"
	"sync/atomic"
	"time"

	"entry/audit/plain"
)

// A target may be a program of its user's own, whatever answers to the name of scp or
// sftp-server there. So all that it says goes down by one of these ways: as the content
// of a file that has an entry; as words, within a bound; as what the decoder would have
// said itself; or as names and attributes, for which there is an entry as well once they
// are much, and a bound where the user may not download. What is little in each of
// many transfers is bounded for all of them by who rules, see [Ruling].
const (
	// MaxWords is how much a target may say in one transfer in words of its own: what
	// failed, a shell's greeting, standard error. OpenSSH's and rsync's programs say a
	// line for each file that failed.
	MaxWords = 64 << 10 // bytes
	// maxUnlisted is how much of a transfer's names and attributes may have no entry.
	maxUnlisted = 64 << 10 // bytes
	// listAlone is how much of names and attributes may come back where the user may
	// not download, beyond as much as was asked with. 100,000 files take 14 MB, of
	// which OpenSSH's server writes most twice.
	listAlone = 32 << 20 // bytes
)

// Words is what is left of MaxWords. It is safe for concurrent use; the zero value has
// all of it.
type Words struct{ said atomic.Int64 }

// Take gives how many of n bytes more may be said.
func (w *Words) Take(n int) int {
	before := w.said.Add(int64(n)) - int64(n)
	return int(max(0, min(int64(n), MaxWords-before)))
}

// listing is what a target told of its files beside their content: names, attributes,
// times, where links lead.
type listing struct {
	began   time.Time
	bytes   int64
	sum     hash.Hash // nil until the first
	names   int
	folders int
	folder  string // the first
	asked   int64  // bytes with which all was asked
}

func (l *listing) add(p []byte) {
	if l.sum == nil {
		l.sum, l.began = sha256.New(), time.Now()
	}
	l.bytes += int64(len(p))
	l.sum.Write(p)
}

// opened notes that a folder is to be listed.
func (l *listing) opened(path string) {
	l.folder = cmp.Or(l.folder, path)
	l.folders++
}

// over reports whether that is more than may come back where the user may not download.
func (l *listing) over() bool { return l.bytes > listAlone+l.asked }

// enter adds what there is to say of it, if it is much, or there was much of such before.
// Nothing is added to it any more.
func (l *listing) enter(protocol string, r Ruling) {
	n := l.bytes
	if l.bytes = 0; n == 0 || n <= maxUnlisted && r.Unlisted(n) {
		return
	}
	e := Entry{Protocol: protocol, Operation: "list", Direction: Download, Size: n, SHA256: l.sum.Sum(nil), Began: l.began, Ended: time.Now(), Outcome: OK,
		Detail: fmt.Sprintf("what the target told of its files: %s, and attributes", plain.Count(l.names, "name"))}
	if l.folders == 1 {
		e.Path = l.folder
	} else if l.folders > 1 {
		e.Detail += fmt.Sprintf(", in %d folders", l.folders)
	}
	r.Enter(e)
}
