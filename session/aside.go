package session

import (
	"io"
	"sync/atomic"

	"entry/audit/plain"
	"entry/audit/refusal"
	"entry/session/recording"
	"entry/session/transfer"
)

// Beside bounds what targets say beside the files that move, over all of one user's
// sessions: one transfer's bound is as good as none to who may have any number of them.
// It is safe for concurrent use.
type Beside interface {
	// Words gives how many of n bytes more they may still say in words today.
	Words(n int) int
	// Unlisted reports whether n bytes of names and attributes may do without a line in
	// the manifest today.
	Unlisted(n int64) bool
	// Back hears of n bytes that came back, with or without a line, to who may not
	// download.
	Back(n int64)
}

// spoken is what a target says in one transfer beside its files. It is safe for
// concurrent use.
type spoken struct {
	words transfer.Words
	user  Beside       // nil: nothing bounds what the user's transfers say together
	bytes atomic.Int64 // words, and names without a line in the manifest
}

// take gives how many of n bytes more may be said. spent says that it is the user's
// bound that leaves no more.
func (s *spoken) take(n int) (fits int, spent bool) {
	fits = s.words.Take(n)
	if s.user != nil {
		if left := s.user.Words(fits); left < fits {
			fits, spent = left, true
		}
	}
	s.bytes.Add(int64(fits))
	return fits, spent
}

// unlisted reports whether n bytes of names may do without a line.
func (s *spoken) unlisted(n int64) bool {
	if s.user != nil && !s.user.Unlisted(n) {
		return false
	}
	s.bytes.Add(n)
	return true
}

// aside is the standard error of a program that moves files. It is a way down that no
// protocol bounds: where it isn't recorded, or the user may not download, it has what is
// left of the words that the target may say.
type aside struct {
	io.Reader
	now     *rights
	over    func()      // ends the channel
	missing func(n int) // takes how many bytes came beyond the words; nil where they are recorded
	leftOut string      // stands for what today's words don't cover
	told    bool        // that something is left out
}

// Read implements io.Reader. It gives no more than the bound, and then the end; beyond
// the bound of the day nothing until that.
func (a *aside) Read(p []byte) (int, error) {
	for {
		n, err := a.Reader.Read(p)
		may := a.now.may(transfer.Download) == ""
		if may && a.missing == nil {
			return n, err
		}
		fits, spent := a.now.said.take(n)
		switch {
		case fits == n:
			return n, err
		case may:
			a.missing(n - fits)
			return n, err
		case !spent:
			a.over()
			if fits == 0 {
				return 0, io.EOF
			}
			return fits, nil
		case !a.told:
			a.told = true
			return copy(p, a.leftOut), err
		case err != nil:
			return 0, err
		}
	}
}

// errors is the program's standard error, bounded where it is to be.
func (s *sessionChannel) errors() io.Reader {
	if s.content.moves == nil || s.content.now == nil {
		return s.up.Stderr()
	}
	a := &aside{Reader: s.up.Stderr(), now: s.content.now, over: func() {
		s.lease.end(s.r.o.Ref(), &refusal.Error{Code: "transfer-stderr",
			Text: "the program on " + s.r.target + " printed more than " + plain.Size(transfer.MaxWords) + " beside the files, and you may not download there; ask your lab's administrator"}, "")
	}}
	a.leftOut = s.line("entry: your share of what programs may print beside files is used up for today; the rest is left out")
	if s.stderr.tap == nil || s.stderr.tap.shut { // which is when nothing is left of it but a count
		a.missing = func(n int) { s.omits.add(recording.Error, wordsOmitted, int64(n)) }
	}
	return a
}
