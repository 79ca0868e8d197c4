package find

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"sync/atomic"
	"time"

	"filippo.io/age"

	"entry/session/group"
	"entry/session/recording"
)

// Field is a part of recordings. The set is closed.
type Field string

// The fields.
const (
	Output   Field = "output"   // what could ever be read, in a terminal or without
	Input    Field = "input"    // what was sent, as far as that is kept, and environment variables
	Commands Field = "commands" // typed at prompts, run by exec, read as a script
	Files    Field = "files"    // the names of files that were moved or changed
)

// Fields are all of them.
func Fields() []Field { return []Field{Output, Input, Commands, Files} }

// Query is what is looked for. Its functions are called by several goroutines.
type Query struct {
	// Match returns where in a line the first match starts and ends, or nil.
	Match func(line []byte) []int
	In    []Field // none is all
	// Command says of a command whether its session is wanted; nil wants all.
	Command func(text []byte) bool
	// What was before Since, or from Until on, is no hit: of output what stood there
	// then alone, however long. Zero is no limit.
	Since, Until time.Time
}

// Hit is a line that matches.
type Hit struct {
	Session  recording.Info
	Channel  uint32
	Pane     string // tmux's name of it (%3), in control mode; "" is none
	Terminal bool   // the channel has one
	At       time.Duration
	Stood    time.Duration // for how long, of a line of output that was erased; for certain, of one as it was written
	In       Field
	Text     string // the line, as a peer wrote it
	From, To int    // the first match in it
	// Note says more of it: "erased" and the like of a line on the screen, what was
	// done to a file.
	Note string
	File *recording.File // of which Text is a name; nil of what is no file's
	// Alike is how many lines that passed and differ from this one in numbers alone are no
	// hits of their own.
	Alike int
	// Hidden says that what matches was written so that terminals don't show it, or the same
	// words were at that time.
	Hidden bool
}

// Unread is what wasn't looked at.
type Unread struct {
	Session  recording.Info // what is known of it
	Channels []uint32       // none is the whole session
	Why      string         // may quote a peer
	// Missing says that there should have been more to look at: something couldn't be
	// read, or is kept in part. Without it there is no more by what policy asks for.
	Missing bool
	// Sealed says that no identity opens the recording, Cut that the log says why
	// it has no end.
	Sealed, Cut bool
}

// Result is one of both.
type Result struct {
	Hit    *Hit
	Unread *Unread
}

// Options are how a search is done.
type Options struct {
	Dir        string // the spool
	Identities []age.Identity
	Workers    int // how many recordings are read at once, at least 1
	// Cut is what the log says of why a recording has no end; "" if it doesn't. Nil knows
	// of none.
	Cut func(recording.Info) (why string)
	// Progress hears how many bytes of the recordings were looked at, from several
	// goroutines; nil tells nobody.
	Progress func(done int64)
}

const (
	batch  = 64 // results that are handed over at once
	queued = 4  // batches of one recording that wait until they are taken
)

// Search looks for q in the recordings of list. It yields results in that order, an
// error last. The goroutines that it starts have ended when it returns.
func Search(ctx context.Context, o Options, list []recording.Info, q Query) iter.Seq2[Result, error] {
	return func(yield func(Result, error) bool) {
		g := group.New(ctx, nil)
		defer g.Wait()
		defer g.Cancel(nil)
		s := &searching{Options: o, q: q, ctx: g.Context()}
		lanes := make([]chan []Result, len(list))
		for i := range lanes {
			lanes[i] = make(chan []Result, queued)
		}
		var next atomic.Int64
		for range max(1, o.Workers) {
			g.Go("search", func() {
				for i := next.Add(1) - 1; i < int64(len(list)); i = next.Add(1) - 1 {
					s.session(list[i], lanes[i])
					close(lanes[i])
				}
			})
		}
		for _, lane := range lanes {
			for open := true; open; {
				var some []Result
				select {
				case some, open = <-lane:
				case <-g.Context().Done():
					yield(Result{}, fmt.Errorf("search: %w", context.Cause(g.Context())))
					return
				}
				for _, r := range some {
					if !yield(r, nil) {
						return
					}
				}
			}
		}
	}
}

// searching is a search that goes on. It is safe for concurrent use.
type searching struct {
	Options
	q    Query
	ctx  context.Context
	done atomic.Int64 // bytes
}

func (s *searching) progress(bytes int64) {
	if n := s.done.Add(bytes); s.Progress != nil {
		s.Progress(n)
	}
}

func (q *Query) looksIn(f Field) bool { return len(q.In) == 0 || slices.Contains(q.In, f) }
