package evidence

import (
	"slices"
	"strings"

	"entry/session/recording"
	"entry/session/transfer"
)

// maxRuns and maxOpen bound what is known at a time of programs that move files: of how many
// channels without an end, and of how many open files of each.
const (
	maxRuns = 1 << 16
	maxOpen = 1 << 10
)

// runs are the programs that move files of which recordings have no end, by session and
// channel.
type runs map[runKey]*run

type runKey struct {
	session string
	channel uint32
}

// run is what a recording has of one: what its command says, and which files were open.
type run struct {
	direction string
	paths     []string
	open      []recording.Begun
}

// frame takes a frame of a session's recording.
func (r runs) frame(session string, f recording.Frame) {
	key := runKey{session, f.Channel}
	switch f.Kind {
	case recording.Request:
		switch q := f.Request(); q.Type {
		case "exec":
			r.begins(key, string(q.Command))
		case "channel-close":
			delete(r, key)
		}
	case recording.Transfer:
		if b, ok := f.Begun(); ok {
			r.add(key)
			if u := r[key]; u != nil && len(u.open) < maxOpen {
				u.open = append(u.open, b)
			}
		} else if line, ok := f.File(); ok && r[key] != nil {
			u := r[key]
			if i := slices.IndexFunc(u.open, func(b recording.Begun) bool { return b.Operation == line.Operation && b.Path == line.Path }); i >= 0 {
				u.open = slices.Delete(u.open, i, i+1)
			}
		}
	}
}

// begins notes what a command moves, if it is known for that.
func (r runs) begins(key runKey, command string) {
	p, err := transfer.Command(command)
	if err != nil {
		return
	}
	if r.add(key); r[key] == nil {
		return
	}
	u := r[key]
	u.paths = p.Paths()
	if !p.Either && len(p.Needs) > 0 {
		u.direction = p.Needs[0].String()
	}
}

func (r runs) add(key runKey) {
	if r[key] == nil && len(r) < maxRuns {
		r[key] = &run{}
	}
}

// known is f, a program without an end, with what its recording says of it: a file of its
// own for each that was open.
func (r runs) known(f File) []File {
	if f.Channel == nil {
		return []File{f}
	}
	u := r[runKey{f.Session, *f.Channel}]
	if u == nil {
		return []File{f}
	}
	f.Direction, f.Asked = u.direction, strings.Join(u.paths, ", ")
	if len(u.open) == 0 {
		return []File{f}
	}
	var all []File
	for _, b := range u.open {
		one := f
		one.Operation, one.Direction, one.Asked = b.Operation, b.Direction, string(b.Path)
		all = append(all, one)
	}
	return all
}
