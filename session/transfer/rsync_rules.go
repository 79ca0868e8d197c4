package transfer

import (
	"encoding/binary"
	"fmt"
	"strings"
)

const (
	// maxRsyncRule is beyond what rsync takes for a rule: MAXPATHLEN and 1 KiB.
	maxRsyncRule = 5 << 10 // bytes
	// rsyncData is the tag of a frame that has data, rsync's MPLEX_BASE.
	rsyncData = 7
)

// rsyncRules reads the rules that a client sends to a target that deletes: a rule may
// have the target read others from any of its files, and it says the first line of these
// that is none. So where the user may not download, it is no such rule, or one of files
// whose lines are all taken for names.
//
// They come behind the client's version and, since protocol 30, up to two strings that say
// which checksums and compressions it has, in frames. Whether the target expects such
// strings depends on its version; but what is taken for one here is no frame of rsync's,
// since it would be too long, nor is a frame a string: that would have to be printable.
// rsync has no document but its sources: compat.c, io.c, exclude.c.
type rsyncRules struct {
	target, client []byte // their versions, 4 bytes each
	head           []byte // of a frame or string, as far as it has come
	text           int    // bytes of a string that are to come
	strings        int    // how many came
	frame          int    // bytes of a frame that are to come
	rule           []byte // with its length, as far as it has come
	done           bool
}

// answers takes what the target sends.
func (d *rsyncRules) answers(p []byte) {
	d.target = append(d.target, p[:min(len(p), 4-len(d.target))]...)
}

// read takes what the client sends, before it goes on.
func (d *rsyncRules) read(p []byte) error {
	for len(p) > 0 && !d.done {
		n, err := d.step(p)
		if err != nil {
			return err
		}
		p = p[n:]
	}
	return nil
}

func (d *rsyncRules) step(p []byte) (n int, err error) {
	if n = min(len(p), 4-len(d.client)); n > 0 {
		d.client = append(d.client, p[:n]...)
		return n, nil
	}
	if len(d.target) < 4 {
		return 0, rsyncDesync("it doesn't wait for the target's version")
	}
	version := min(binary.LittleEndian.Uint32(d.client), binary.LittleEndian.Uint32(d.target))
	switch {
	case version < 29:
		return 0, rsyncDesync(fmt.Sprintf("version %d, of which no rules are known", version))
	case version < 30:
		return d.rules(p)
	case d.text > 0:
		n = min(len(p), d.text)
		d.text -= n
		return n, printable(p[:n])
	case d.frame > 0:
		n, err = d.rules(p[:min(len(p), d.frame)])
		d.frame -= n
		return n, err
	}
	n = min(len(p), 4-len(d.head))
	if d.head = append(d.head, p[:n]...); len(d.head) == 4 {
		err = d.begin(d.head)
		d.head = d.head[:0]
	}
	return n, err
}

// begin takes the first bytes of a frame or string.
func (d *rsyncRules) begin(head []byte) error {
	if head[3] == rsyncData {
		if head[2] != 0 {
			return rsyncDesync("a frame that is too long")
		}
		d.frame = int(binary.LittleEndian.Uint16(head))
		return nil
	}
	length, text := int(head[0]), head[1:]
	if length&0x80 != 0 {
		length, text = length&0x7f<<8|int(head[1]), head[2:]
	}
	if d.strings++; d.strings > 2 || length < len(text) {
		return rsyncDesync("what is no frame before its rules")
	}
	d.text = length - len(text)
	return printable(text)
}

func printable(text []byte) error {
	for _, c := range text {
		if c < ' ' || c > '~' {
			return rsyncDesync("what is no frame before its rules")
		}
	}
	return nil
}

// rules takes bytes of rules up to the end of one.
func (d *rsyncRules) rules(p []byte) (n int, err error) {
	want := 4
	if len(d.rule) >= 4 {
		want += int(binary.LittleEndian.Uint32(d.rule))
	}
	n = min(len(p), want-len(d.rule))
	if d.rule = append(d.rule, p[:n]...); len(d.rule) < want {
		return n, nil
	}
	if want == 4 {
		switch length := binary.LittleEndian.Uint32(d.rule); {
		case length == 0:
			d.done, d.rule = true, nil
		case length > maxRsyncRule:
			return n, rsyncDesync("a rule that is too long")
		}
		return n, nil
	}
	text := string(d.rule[4:])
	d.rule = d.rule[:0]
	if readsRules(text) {
		return n, &BadCommand{"rsync", "entry: rsync: a rule names a file of rules at the target (dir-merge, -F), which you may not download: write the rules themselves, or :- before its name"}
	}
	return n, nil
}

// readsRules reports whether a rule has rsync read others from a file, and take its lines
// for more than names.
func readsRules(rule string) bool {
	if strings.HasPrefix(rule, "merge") || strings.HasPrefix(rule, "dir-merge") || strings.HasPrefix(rule, ".") {
		return true
	}
	modifiers, merges := strings.CutPrefix(rule, ":")
	if i := strings.IndexAny(modifiers, " _"); i >= 0 {
		modifiers = modifiers[:i]
	}
	return merges && !strings.ContainsAny(modifiers, "-+C")
}

func rsyncDesync(reason string) error {
	return &Desync{Protocol: "rsync", ToTarget: true, Reason: reason}
}
