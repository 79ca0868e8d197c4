package session

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"hash"
	"sync/atomic"
	"time"

	"entry/session/recording"
)

// omission is why bytes of a stream aren't kept; "" where nobody asks for them.
type omission string

const (
	bulkOmitted  omission = "bulk"
	shareOmitted omission = "share"
	inputOmitted omission = "input"
	typedOmitted omission = "pasted"
	wordsOmitted omission = "words"
)

var omissions = [...]omission{bulkOmitted, shareOmitted, inputOmitted, typedOmitted, wordsOmitted}

// maskedLines is why lines are missing that answered password prompts.
const maskedLines = "masked"

// text stands in the recording where bytes are left out from; "" is none.
func (o omission) text() string {
	switch o {
	case bulkOmitted:
		return "more output than is kept: what follows is counted and digested, up to its last 64 KiB"
	case shareOmitted:
		return "the user's share of the day is used up: what follows is counted and digested"
	case inputOmitted:
		return "more input than is kept of a script: what follows is counted and digested"
	}
	return ""
}

// losses are how many bytes of a channel only a digest stands for, and what was
// masked. They are read while its streams still run.
type losses struct {
	bytes         [3][len(omissions)]atomic.Int64
	lines, masked atomic.Int64 // answers to password prompts, and their bytes
}

var lossStreams = [...]recording.Kind{recording.Output, recording.Error, recording.Input}

func (l *losses) add(k recording.Kind, why omission, n int64) {
	for i, stream := range lossStreams {
		for j, o := range omissions {
			if stream == k && o == why {
				l.bytes[i][j].Add(n)
			}
		}
	}
}

// mask counts a line of n bytes that was masked.
func (l *losses) mask(n int) {
	l.lines.Add(1)
	l.masked.Add(int64(n))
}

// list is what there is of them.
func (l *losses) list() []recording.Missing {
	var out []recording.Missing
	for i, stream := range lossStreams {
		for j, o := range omissions {
			if n := l.bytes[i][j].Load(); n > 0 {
				out = append(out, recording.Missing{Stream: stream.String(), Bytes: n, Why: string(o)})
			}
		}
	}
	if n := l.lines.Load(); n > 0 {
		out = append(out, recording.Missing{Stream: recording.Input.String(), Bytes: l.masked.Load(), Lines: n, Why: maskedLines})
	}
	return out
}

// piece is a run of bytes that are left out. Of bulk its end is kept.
type piece struct {
	open      bool
	why       omission
	digest    hash.Hash
	bytes     int64  // digested
	uncounted int64  // of them, those that add didn't return
	tail      []byte // what may yet be kept
}

// maxEnd is how much is kept of the end of a piece of bulk.
const maxEnd = 64 << 10 // bytes

// add returns how many bytes it digested.
func (p *piece) add(b []byte) int64 {
	before := p.bytes
	if p.why != bulkOmitted {
		p.hash(b)
	} else if p.tail = append(p.tail, b...); len(p.tail) > 2*maxEnd { // or each byte would be moved for each call
		over := len(p.tail) - maxEnd
		p.hash(p.tail[:over])
		p.tail = p.tail[:copy(p.tail, p.tail[over:])]
	}
	return p.bytes - before
}

func (p *piece) hash(b []byte) {
	if p.digest == nil {
		p.digest = sha256.New()
	}
	p.digest.Write(b)
	p.bytes += int64(len(b))
}

// cut digests all but the last n bytes of the tail, and returns those.
func (p *piece) cut(n int) []byte {
	if over := len(p.tail) - n; over > 0 {
		p.hash(p.tail[:over])
		p.uncounted += int64(over)
		p.tail = p.tail[over:]
	}
	return p.tail
}

// record has rec keep what stands for the piece, of a stream of that name; nothing
// does if all of it is kept.
func (p *piece) record(rec Recorder, channel uint32, stream string) error {
	if p.bytes == 0 {
		return nil
	}
	b, err := json.Marshal(recording.Omitted{Stream: stream, Bytes: p.bytes, SHA256: hex.EncodeToString(p.digest.Sum(nil)), Why: string(p.why)})
	if err != nil {
		return err
	}
	return rec.Frame(recording.Transfer, channel, b)
}

// readable is how many bytes a second of a stream somebody may be reading: a
// screen of 200 columns is drawn anew three times a second.
const readable = 64 << 10 // bytes

// pace tells bulk from what somebody reads, once more has come than is kept at
// whatever pace. Bulk ends with two seconds in each of which less than readable
// bytes came.
type pace struct {
	known  bool
	second int64 // since 1970, that n is of
	n      int
	quiet  int64 // seconds on end before it with less than readable
	bulk   bool
}

// take returns how many of n bytes, from the first on, are kept.
func (p *pace) take(n int) int {
	now := time.Now().Unix()
	if !p.known { // what came before was more than is kept
		*p = pace{known: true, second: now, n: readable, bulk: true}
	}
	if passed := now - p.second; passed != 0 {
		if p.n >= readable || passed < 0 {
			p.quiet = -1
		}
		p.second, p.n, p.quiet = now, 0, p.quiet+max(passed, 1)
	}
	if p.quiet >= 2 {
		p.bulk = false
	}
	before := p.n
	if p.n += n; p.n >= readable && !p.bulk {
		p.bulk, p.quiet = true, 0
		return max(0, readable-before)
	}
	if p.bulk {
		return 0
	}
	return n
}
