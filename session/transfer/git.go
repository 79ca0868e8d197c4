package transfer

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"hash"
	"regexp"
	"strings"
	"time"

	"entry/audit/plain"
)

const (
	// maxGitNames and maxGitNameBytes bound what is kept of the names that a target
	// advertises: what is fetched beyond them has none.
	maxGitNames     = 20_000
	maxGitNameBytes = 2 << 20
	// maxGitRefs and maxGitRefBytes bound the entries of one run; beyond, there is
	// one with a count and a digest.
	maxGitRefs     = 1_000
	maxGitRefBytes = 1 << 20
	// gitNameMemory and gitRefMemory are what one takes beside its bytes.
	gitNameMemory = 192
	gitRefMemory  = 320
	// maxGitWords bounds what is kept of texts.
	maxGitWords = 1 << 10 // bytes
	// maxGitCommands is how many of its commands a client of protocol 2 may have
	// under way. Git's waits for each.
	maxGitCommands = 16
	// maxGitCert bounds the text of a signed push.
	maxGitCert = 256 << 10 // bytes
)

var (
	gitObject  = `([0-9a-fA-F]{64}|[0-9a-fA-F]{40})`
	gitChange  = regexp.MustCompile(`(?s)^` + gitObject + ` ` + gitObject + ` ([^\x00]+)$`)
	gitShown   = regexp.MustCompile(`(?s)^` + gitObject + ` ([^\x00\n]+)`)
	gitWant    = regexp.MustCompile(`^want ` + gitObject)
	gitWantRef = regexp.MustCompile(`^want-ref ([^\x00]+)$`)
)

// git follows git's pack protocols 0, 1 and 2 as far as they name what is moved:
// which refs a push changes, from and to which objects, and what became of each;
// which objects a fetch wants, with the names that the target gave them. Packs
// pass uninspected. gitprotocol-pack(5), gitprotocol-v2(5).
type git struct {
	verb, repository string
	may              May
	began            time.Time
	sent             [2]int64 // bytes: from the target, towards it
	answered         int64    // of those from the target, what came behind a push's refs
	why              string   // it was stopped
	done             bool

	streams [2]gitStream      // likewise
	names   map[string]string // nil once they were given up
	named   int               // bytes in names

	refs     []gitRef
	refAt    map[string]int // by ref of a push, by object of a fetch
	refBytes int
	more     int       // refs beyond
	moreSum  hash.Hash // of them

	commands []string // of protocol 2: what the target is to answer
	command  string   // the one that is being sent
	cert     []byte   // of a signed push; nil without
	asked    string   // a push's capabilities; an archive's arguments
	report   packets  // in the bands
	failure  string   // what the target said of all
}

// gitStream is one direction.
type gitStream struct {
	packets
	stage gitStage
}

// gitStage is what comes next in a direction.
type gitStage uint8

const (
	gitFirst   gitStage = iota // the first pkt-line
	gitList                    // refs, or a client's words
	gitSecond                  // protocol 2: answers to commands; push: options, or the report
	gitOpaque                  // nothing that is looked at
	gitLetters                 // protocol 2: what the target can do
)

// gitRef is one line of the manifest.
type gitRef struct {
	name, old, new string
	outcome        Outcome
	detail         string
}

func newGit(verb, repository string, may May) *git {
	return &git{
		verb: verb, repository: repository, may: may, began: time.Now(),
		names: map[string]string{}, refAt: map[string]int{}, moreSum: sha256.New(),
	}
}

// Holds implements [Holder].
func (d *git) Holds() int {
	n := d.named + len(d.names)*gitNameMemory + 2*d.refBytes + len(d.refs)*gitRefMemory + 2*cap(d.cert) + cap(d.report.body)
	for i := range d.streams {
		n += cap(d.streams[i].body)
	}
	return n
}

// Spare implements [Holder]: what is fetched has no names then.
func (d *git) Spare() { d.names, d.named = nil, 0 }

func (d *git) direction() Direction {
	if d.verb == "git-receive-pack" {
		return Upload
	}
	return Download
}

// Data implements Decoder.
func (d *git) Data(toTarget bool, p []byte, r Ruling) error {
	if d.why = d.may(d.direction()); d.why != "" {
		d.Finish(-1, r)
		return &Stopped{d.direction(), d.why}
	}
	d.sent[index(toTarget)] += int64(len(p))
	s := &d.streams[index(toTarget)]
	if !toTarget && s.stage == gitSecond {
		d.answered += int64(len(p))
	}
	if !toTarget && d.saysTooMuch() {
		if d.why = d.may(Download); d.why != "" {
			d.why = "entry: git: the repository, or its hooks, say more than answers a push, and you may not download; ask your lab's administrator"
			d.Finish(-1, r)
			return &Stopped{Download, d.why}
		}
	}
	for rest := p; len(rest) > 0 && s.stage != gitOpaque; {
		used, kind, payload, whole, wrong := s.next(rest)
		rest = rest[used:]
		if wrong == "" && whole {
			wrong = d.read(toTarget, s, kind, payload)
		}
		if wrong != "" {
			d.Finish(-1, r)
			return &Desync{Protocol: "git", ToTarget: toTarget, Reason: wrong}
		}
	}
	r.Pass(p, false)
	return nil
}

// saysTooMuch reports whether more came back from a push than refs, a report and what
// hooks say take. Nothing in such a stream can be left out.
func (d *git) saysTooMuch() bool {
	return d.verb == "git-receive-pack" && (d.sent[0]-d.answered > listAlone || d.answered > backAlone+d.sent[1])
}

// End implements Decoder.
func (d *git) End(bool, Ruling) error { return nil }

// read takes a pkt-line.
func (d *git) read(toTarget bool, s *gitStream, kind pktKind, payload []byte) (wrong string) {
	text := strings.TrimSuffix(string(payload), "\n")
	switch {
	case !toTarget && strings.HasPrefix(text, "ERR "):
		d.failure = clipped(text[len("ERR "):])
		return ""
	case d.verb == "git-receive-pack" && toTarget:
		return d.pushed(s, kind, text)
	case d.verb == "git-receive-pack":
		return d.pushAnswer(s, kind, payload, text)
	case toTarget:
		return d.fetches(kind, text)
	case d.verb == "git-upload-archive":
		s.stage = gitOpaque
		return ""
	}
	return d.fetchAnswer(s, kind, text)
}

// learn keeps a name that the target gave.
func (d *git) learn(text string) {
	m := gitShown.FindStringSubmatch(text)
	if m == nil {
		return
	}
	object := strings.ToLower(m[1])
	name, _, _ := strings.Cut(m[2], " ") // protocol 2 says more of it
	old, known := d.names[object]
	if d.names == nil || strings.HasSuffix(name, "^{}") || known && old != "HEAD" ||
		len(d.names) >= maxGitNames || d.named+len(name) > maxGitNameBytes {
		return
	}
	d.named += len(name) - len(old)
	d.names[object] = name
}

// add keeps a ref once.
func (d *git) add(key string, ref gitRef) {
	if _, ok := d.refAt[key]; ok {
		return
	}
	if len(d.refs) >= maxGitRefs || d.refBytes+len(ref.name) > maxGitRefBytes {
		d.more++
		fmt.Fprintf(d.moreSum, "%s %s %s\n", ref.old, ref.new, ref.name)
		return
	}
	d.refBytes += len(ref.name)
	d.refAt[key] = len(d.refs)
	d.refs = append(d.refs, ref)
}

// Finish implements Finisher.
func (d *git) Finish(status int, r Ruling) {
	if d.done {
		return
	}
	d.done = true
	outcome, detail := ended(status, d.why)
	if d.failure != "" {
		outcome, detail = Failed, d.failure
	}
	operation := map[string]string{"git-receive-pack": "push", "git-upload-pack": "fetch", "git-upload-archive": "archive"}[d.verb]
	all := Entry{
		Protocol: "git", Operation: operation, Direction: d.direction(), Path: d.repository, Began: d.began, Ended: time.Now(),
		Unknown: "packs aren't inspected", Outcome: outcome, Detail: detail,
	}
	for _, ref := range d.refs {
		e := all
		e.Ref, e.Old, e.New = ref.name, ref.old, ref.new
		if ref.outcome != 0 {
			e.Outcome, e.Detail = ref.outcome, ref.detail
		}
		r.Enter(e)
	}
	if d.more > 0 {
		e := all
		e.Detail = fmt.Sprintf("%s more, in lines of SHA-256 %x", plain.Count(d.more, "ref"), d.moreSum.Sum(nil))
		r.Enter(e)
	}
	if operation == "archive" {
		all.Ref = d.asked
	} else if all.Operation = "pack"; len(d.refs) == 0 {
		all.Operation = "list"
	}
	all.Size, all.Back = d.sent[1], d.sent[0]
	if all.Direction == Download {
		all.Size, all.Back = all.Back, all.Size
	}
	r.Enter(all)
}

func clipped(text string) string { return text[:min(len(text), maxGitWords)] }

// hasCapability looks for one in a list as clients send it.
func hasCapability(list, name string) bool {
	for _, c := range strings.Fields(list) {
		if c == name {
			return true
		}
	}
	return false
}

// band takes the first byte off a payload of side-band.
func band(payload []byte) (n byte, rest []byte) {
	if len(payload) == 0 {
		return 0, nil
	}
	return payload[0], payload[1:]
}

// withoutEnd is a line of a report.
func withoutEnd(p []byte) string { return string(bytes.TrimSuffix(p, []byte("\n"))) }
