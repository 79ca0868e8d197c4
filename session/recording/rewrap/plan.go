package rewrap

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"

	"filippo.io/age"

	"entry/audit/evidence"
	"entry/audit/plain"
	"entry/session/recording"
	"entry/session/recording/auditors"
)

// Wish is to whom recordings are to be sealed beside those who are auditors by the
// configuration, and to whom of those not. The zero Wish is those.
type Wish struct {
	Add     []auditors.Auditor
	Remove  []auditors.Auditor
	Without []string // like Remove, by fingerprints
}

// Site is where recordings are planned for.
type Site struct {
	Dir  string                  // of the recordings
	Keys evidence.Keys           // what the log says of their keys
	File func(lab string) string // that says who a lab's auditors are
}

// ErrNoSuchKey says of a fingerprint that is to be removed that nobody has it.
var ErrNoSuchKey = errors.New("no key of the configuration or of these recordings has this fingerprint")

// Misfit is a wish, or a file of auditors, that can't be followed.
type Misfit struct {
	Err  error
	Todo string // what to do, as a phrase; "" if Err says it
}

func (m *Misfit) Error() string { return m.Err.Error() }
func (m *Misfit) Unwrap() error { return m.Err }

// Hint is what to do about it, or "".
func (m *Misfit) Hint() string { return m.Todo }

// Misused is true: what was asked for is wrong.
func (m *Misfit) Misused() bool { return true }

// Plan says which recordings are sealed anew, and to whom.
type Plan struct {
	Todo []Step
	Same int     // how many are sealed to the same keys already
	Bad  []error // why others aren't

	site  Site
	names map[string]string // of keys that are known, by fingerprint
}

// Step is one recording that is to be sealed anew.
type Step struct {
	ID, Lab string
	To      Target
	Before  []string // fingerprints of who can open it now; nil where that isn't known
}

// Plan plans for the recordings of list. What was removed, or has no key any more, is left
// out. The error is a *Misfit.
func (w Wish) Plan(s Site, list []recording.Info) (Plan, error) {
	p := Plan{site: s, names: map[string]string{}}
	p.name(w.Remove)
	p.name(w.Add)
	without := slices.Concat(w.Without, auditors.Fingerprints(w.Remove))
	targets := map[string]Target{} // by file
	met := map[string]bool{}       // keys that were to be removed, and could open something
	for _, i := range list {
		if i.State == recording.Damaged {
			p.Bad = append(p.Bad, fmt.Errorf("recording %s is damaged; entry audit verify says more", i.ID))
			continue
		}
		file := s.File(i.Lab)
		if _, ok := targets[file]; !ok {
			t, err := p.target(file, w.Add, without)
			if err != nil {
				return p, err
			}
			targets[file] = t
		}
		sealed, err := s.Keys.Of(s.Dir, i.Header)
		var m *evidence.Mismatch
		mends := errors.As(err, &m) && m.Mendable()
		switch {
		case mends: // who can open it now isn't known for certain
			p.Todo = append(p.Todo, Step{i.ID, i.Lab, targets[file], nil})
			continue
		case errors.Is(err, fs.ErrNotExist):
			continue // nobody can open it: it was removed, or its key was
		case errors.Is(err, evidence.ErrUnknownRecording):
			err = fmt.Errorf("recording %s: %w", i.ID, err)
			fallthrough
		case err != nil:
			p.Bad = append(p.Bad, err)
			continue
		}
		for _, f := range sealed.Auditors {
			met[f] = true
		}
		if t := targets[file]; sealed.Pending() || sealed.Set != t.Set {
			p.Todo = append(p.Todo, Step{i.ID, i.Lab, t, sealed.Auditors})
		} else {
			p.Same++
		}
	}
	for _, f := range without {
		if _, known := p.names[f]; !known && !met[f] {
			return p, &Misfit{fmt.Errorf("%s: %w", f, ErrNoSuchKey), "entry sessions show SESSION lists who can open one"}
		}
	}
	return p, nil
}

// target is who a file names, with some more and without some.
func (p *Plan) target(file string, add []auditors.Auditor, without []string) (Target, error) {
	base, err := auditors.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return Target{}, &Misfit{fmt.Errorf("%s isn't here, which says who the auditors are", file), "copy it from the server, and compare the keys in it with their owners'"}
	}
	if err != nil {
		return Target{}, &Misfit{Err: err}
	}
	p.name(base)
	all, err := auditors.With(base, add, without)
	if err != nil {
		return Target{}, &Misfit{Err: err}
	}
	return To(all), nil
}

func (p *Plan) name(all []auditors.Auditor) {
	for _, a := range all {
		p.names[a.Fingerprint()] = a.Short()
	}
}

// Tell says who will be able to open what, by the sets of keys: of which labs, who comes
// in and who goes out. It is to be read before Seal: the list of auditors may come from
// somebody who would like to be on it. What can't be written is lost.
func (p Plan) Tell(w io.Writer) {
	bySet := map[string][]Step{}
	for _, t := range p.Todo {
		bySet[t.To.Set] = append(bySet[t.To.Set], t)
	}
	for _, set := range slices.Sorted(maps.Keys(bySet)) {
		some := bySet[set]
		in, out, labs, unknown := map[string]bool{}, map[string]bool{}, map[string]bool{}, 0
		for _, t := range some {
			labs[t.Lab] = true
			if t.Before == nil {
				unknown++
				continue
			}
			i, o := t.To.Changes(t.Before)
			for _, f := range i {
				in[f] = true
			}
			for _, f := range o {
				out[f] = true
			}
		}
		fmt.Fprintf(w, "%s of %s will be open to\n", plain.Count(len(some), "recording"), plain.List(slices.Sorted(maps.Keys(labs)), 10))
		for _, a := range some[0].To.Auditors {
			fmt.Fprintf(w, "  %s%s\n", a.Short(), map[bool]string{true: "   NEW"}[in[a.Fingerprint()]])
		}
		if len(out) > 0 {
			fmt.Fprintln(w, "and no more to")
			for _, f := range slices.Sorted(maps.Keys(out)) {
				name, ok := p.names[f]
				if !ok {
					name = "the key with the fingerprint " + f
				}
				fmt.Fprintf(w, "  %s\n", name)
			}
		}
		if unknown > 0 {
			fmt.Fprintf(w, "To whom %d of them are sealed now isn't known.\n", unknown)
		}
	}
}

// Sealed is what became of a plan.
type Sealed struct {
	Sealed int
	Closed int     // how many the identities don't open
	Empty  int     // of how many nothing was recorded, so that they are left as they are
	Bad    []error // why others weren't
}

// ErrClosed says that the identities open none of the recordings.
var ErrClosed = errors.New("no recording opens")

// Seal opens the recordings' keys with ids and writes them, sealed anew, as a file to w;
// at hears before each how many are done. The error is one of writing, or ErrClosed.
func (p Plan) Seal(w io.Writer, ids []age.Identity, at func(done int)) (s Sealed, err error) {
	f, err := NewWriter(w)
	if err != nil {
		return s, err
	}
	for n, t := range p.Todo {
		at(n)
		k, err := t.To.Seal(p.site.Dir, t.ID, ids, t.Before)
		switch {
		case errors.Is(err, recording.ErrKey):
			s.Closed++
			continue
		case errors.Is(err, recording.ErrNothing):
			s.Empty++
			continue
		case err != nil:
			s.Bad = append(s.Bad, err)
			continue
		}
		s.Sealed++
		if err := f.Add(k); err != nil {
			return s, err
		}
	}
	if s.Sealed == 0 && s.Closed > 0 {
		return s, ErrClosed
	}
	return s, f.Close()
}
