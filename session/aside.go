package session

import (
	"io"

	"entry/audit/plain"
	"entry/audit/refusal"
	"entry/session/recording"
	"entry/session/transfer"
)

// aside is the standard error of a program that moves files. It is a way down that no
// protocol bounds: where the user may not download, it has what is left of the words
// that the target may say.
type aside struct {
	io.Reader
	words *transfer.Words
	now   *rights
	over  func()      // ends the channel
	more  func(n int) // takes how many bytes came beyond the words; nil where they are recorded
}

// Read implements io.Reader. It gives no more than the bound, and then the end.
func (a *aside) Read(p []byte) (int, error) {
	n, err := a.Reader.Read(p)
	fits := a.words.Take(n)
	if fits == n {
		return n, err
	}
	if a.now.may(transfer.Download) == "" { // or it was granted since
		if a.more != nil {
			a.more(n - fits)
		}
		return n, err
	}
	a.over()
	if fits == 0 {
		return 0, io.EOF
	}
	return fits, nil
}

// errors is the program's standard error, bounded where it is to be.
func (s *sessionChannel) errors() io.Reader {
	if s.content.moves == nil || s.content.now == nil {
		return s.up.Stderr()
	}
	a := &aside{Reader: s.up.Stderr(), words: &s.content.now.words, now: s.content.now, over: func() {
		s.lease.end(s.r.o.Ref(), &refusal.Error{Code: "transfer-stderr",
			Text: "the program on " + s.r.target + " printed more than " + plain.Size(transfer.MaxWords) + " beside the files, and you may not download there; ask your operator"}, "")
	}}
	if s.stderr.tap == nil || s.stderr.tap.shut { // which is when nothing is left of it but a count
		a.more = func(n int) { s.omits.add(recording.Error, wordsOmitted, int64(n)) }
	}
	return a
}
