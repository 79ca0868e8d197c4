package transfer

import (
	"regexp"
	"strings"

	"entry/audit/plain"
)

// rsyncLetters are the short options that an rsync's client sends, without
// values: what to keep of files, how to follow links, what to skip. -e has
// another meaning behind --server: what the client can do. Not here: -f, -F, -M,
// -T, -P, -0, -h, which the far end isn't sent; -s, see rsyncCommand.
var rsyncLetters = regexp.MustCompile(`^-([ACDEHIJKLNORSUWXbcdgklmnopqrtuvxyz]+(e[0-9]*\.[a-zA-Z0-9]*)?|e[0-9]*\.[a-zA-Z0-9]*)$`)

// rsyncSwitches are the long options without a value, of what the options.c of
// rsync 2.6 to 3.4 sends to a server. What they can do is within the right to
// upload (delete, replace, keep what is there) or to download.
var rsyncSwitches = set(`append copy-unsafe-links delay-updates delete delete-after delete-before
	delete-delay delete-during delete-excluded delete-missing-args dirs existing force from0 fsync fuzzy group
	hard-links ignore-errors ignore-existing ignore-missing-args ignore-times inplace links list-only mkpath
	msgs2stderr munge-links new-compress no-W no-implied-dirs no-msgs2stderr no-r no-relative no-specials
	numeric-ids old-compress one-file-system open-noatime owner partial perms preallocate recursive
	remove-sent-files remove-source-files safe-links sender size-only specials stats super times use-qsort`)

var (
	rsyncNumber = regexp.MustCompile(`^-?[0-9]{1,19}$`)
	rsyncSize   = regexp.MustCompile(`^[0-9]{1,19}(\.[0-9]{1,19})?([bBkKmMgGtTpP]([iI]?[bB])?)?([+-]1)?$`)
	rsyncNames  = regexp.MustCompile(`^[A-Za-z0-9._:,+-]{1,200}$`)
	// A character set in which ASCII is what it is everywhere: with -s the target
	// puts names and options into it, and from others they came out as options.
	rsyncCharset = regexp.MustCompile(`(?i)^(\.|(us-)?ascii|utf-?8(-mac)?|latin-?[0-9]{1,2}|iso-?8859-[0-9]{1,2}|cp125[0-9]|koi8-[ru]|euc-?(jp|kr|cn))$`)
	rsyncText    = regexp.MustCompile(`^[^/]+$`)
)

// rsyncValues are the long options with a value, and what that may be. None of
// them names a file.
var rsyncValues = map[string]*regexp.Regexp{
	"bwlimit": rsyncSize, "max-size": rsyncSize, "min-size": rsyncSize, "max-alloc": rsyncSize,
	"checksum-seed": rsyncNumber, "compress-level": rsyncNumber, "compress-threads": rsyncNumber,
	"max-delete": rsyncNumber, "modify-window": rsyncNumber, "timeout": rsyncNumber,
	"checksum-choice": rsyncNames, "compress-choice": rsyncNames, "debug": rsyncNames, "info": rsyncNames,
	"usermap": rsyncText, "groupmap": rsyncText, "suffix": rsyncText,
	"skip-compress": regexp.MustCompile(`^[^*?]+$`),         // suffixes, joined by /
	"log-format":    regexp.MustCompile(`^(X|%i|%i%I|%o)$`), // what the client shows of a file; no file is written
	"iconv":         rsyncCharset, "block-size": regexp.MustCompile(`^(7[0-9]{2}|[89][0-9]{2}|[0-9]{4,6})$`),
}

// rsyncFolders are the long options whose value is a folder at the target: those
// that an upload makes use of beside its own. They are among the paths.
var rsyncFolders = set("backup-dir compare-dest copy-dest link-dest partial-dir temp-dir")

// rsyncDeletes are those of the switches that have a target delete what its rules say.
var rsyncDeletes = set("delete delete-after delete-before delete-delay delete-during delete-excluded")

// rsyncAdvice says what to do without an option that isn't let through.
var rsyncAdvice = map[string]string{
	"files-from":    "keep the list of files on your side",
	"daemon":        "copy by host:path, with one colon",
	"secluded-args": "run rsync without it, and without RSYNC_PROTECT_ARGS",
	"protect-args":  "run rsync without it, and without RSYNC_PROTECT_ARGS",
	"block-size":    "leave it out, or give 700 or more",
}

// rsyncCommand reads the far end of rsync: --server first, then options, ".",
// then what is sent (--sender) or where things go. Options are allowed by name.
// Not among them, for the files that they write, read or run at the target
// beside what is copied: --log-file, --files-from but "-" (the client's list),
// --write-batch and its like, --rsh, --rsync-path, --daemon, --config, -M, and
// --copy-devices and --write-devices. With -s the rest of the line comes inside
// the stream, where the decoder reads it by the same grammar.
//
// --remove-source-files of a sender removes at the target: upload too. An upload
// with --append can be made to tell of the file that is there: download too.
// What a receiver says of its own is the same whoever asks: which files differ
// (-n, -i), which filter rule of a file it can't read.
//
// A dialect without --server is a client on the target: no transfer.
func rsyncCommand(name word, args []word) (*Program, string) {
	if !hasWord(args, "--server") {
		return nil, ""
	} else if args[0].text != "--server" {
		return nil, "--server isn't its first option: copy with a stock rsync"
	}
	o := rsyncOptions{rest: args[1:]}
	operands, bad := o.read()
	if bad != "" {
		return nil, bad
	}
	if o.secluded && (o.dot || len(o.rest) > 0) {
		return nil, "names stand on a line with -s, which has them inside: copy with a stock rsync"
	}
	p := &Program{Name: "rsync", Needs: o.needs()}
	head := []word{name, dead("--server")}
	p.line = asLine(append(append(head[:2:2], o.words...), operands...))
	switch {
	case o.sender || o.appends:
	case o.secluded: // -W comes inside
		p.wholeLine = asLine(append(head[:2:2], o.alone...))
	default:
		p.wholeLine = asLine(append(append(append(head[:2:2], o.alone...), dead("-W")), operands...))
	}
	run := rsyncRun{paths: texts(o.rest), needs: p.Needs, sender: o.sender, secluded: o.secluded, loud: o.loud, rules: o.rules}
	p.paths = append(texts(o.rest), o.folders...)
	p.decoder = func(may May) Decoder { return newRsync(run, may) }
	return p, ""
}

// rsyncOptions is what was read of a server's options.
type rsyncOptions struct {
	rest  []word // behind "." once next is false
	words []word
	alone []word // words for who may upload alone, but for -W
	loud  bool   // a -v is among those
	bad   string

	sender, removes, appends bool
	rules                    bool // a receiver is sent rules: --delete…, -m (send_filter_list in exclude.c)
	dot                      bool // the "." that ends them was there
	secluded                 bool // -s: the rest, dot and all, comes inside the stream
	inside                   bool // this is that rest
	folders                  []string
}

// read reads all: what stands behind the options is operands.
func (o *rsyncOptions) read() (operands []word, bad string) {
	for o.bad == "" && o.next() {
	}
	if o.bad != "" {
		return nil, o.bad
	}
	if !o.sender && len(o.rest) > 1 {
		return nil, "files go to one place: put a name with blanks into quotes"
	}
	if !o.secluded {
		operands = []word{dead(".")}
	}
	for _, w := range o.rest {
		if w.text == "" || !o.sender && w.globs() {
			return nil, "the place to copy to is empty or a pattern: write its name, in quotes if these are its characters"
		}
		operands = append(operands, w.path())
	}
	return operands, ""
}

// needs are the rights for what was read, the direction first.
func (o *rsyncOptions) needs() []Direction {
	switch {
	case o.sender && o.removes:
		return []Direction{Download, Upload}
	case o.sender:
		return []Direction{Download}
	case o.appends:
		return []Direction{Upload, Download}
	}
	return []Direction{Upload}
}

func texts(words []word) []string {
	var all []string
	for _, w := range words {
		all = append(all, w.text)
	}
	return all
}

// next reads one option; false at the dot that ends them.
func (o *rsyncOptions) next() bool {
	if len(o.rest) == 0 && o.secluded {
		return false
	} else if len(o.rest) == 0 {
		o.bad = "it lacks the . before the names: copy with a stock rsync"
		return false
	}
	w := o.rest[0]
	o.rest = o.rest[1:]
	option, long := strings.CutPrefix(w.text, "--")
	option, value, has := strings.Cut(option, "=")
	switch {
	case w.text == ".":
		o.dot = true
		return false
	case w.globs() || len(w.text) < 2 || w.text[0] != '-':
		o.refuse(w.text, "")
	case !long:
		o.short(w.text)
	case rsyncFolders[option]:
		o.folder(option, value, has)
	case option == "files-from" && value == "-",
		rsyncValues[option] != nil && has && rsyncValues[option].MatchString(value),
		rsyncSwitches[option] && !has && !(o.inside && option == "sender"):
		o.sender = o.sender || option == "sender"
		o.removes = o.removes || option == "remove-source-files" || option == "remove-sent-files"
		o.appends = o.appends || option == "append"
		o.rules = o.rules || rsyncDeletes[option]
		o.add(dead(w.text))
	default:
		o.refuse("--"+option, option)
	}
	return o.bad == ""
}

// short reads options of one letter.
func (o *rsyncOptions) short(text string) {
	number := text[2:]
	letters, _, _ := strings.Cut(text, "e") // what stands behind it is no option
	switch {
	case text[1] == '@' && rsyncNumber.MatchString(number),
		text[1] == 'B' && rsyncValues["block-size"].MatchString(number),
		rsyncLetters.MatchString(text):
		o.rules = o.rules || strings.Contains(letters, "m")
		o.add(dead(text))
	case text[1] == 'B':
		o.refuse(text, "block-size")
	case !o.inside && (text == "-s" || rsyncLetters.MatchString(strings.Replace(text, "s", "", 1))):
		o.secluded, o.rules = true, o.rules || strings.Contains(letters, "m")
		o.add(dead(text))
	default:
		o.refuse(text, "")
	}
}

// folder reads an option whose value is a folder, which may be the next word: so
// that the shell sees a ~ in front.
func (o *rsyncOptions) folder(option, value string, has bool) {
	if has && value != "" {
		o.add(dead("--" + option + "=" + value))
		o.folders = append(o.folders, value)
		return
	}
	if has || len(o.rest) == 0 || o.rest[0].globs() || o.rest[0].text == "" || o.rest[0].text[0] == '-' {
		o.refuse("--"+option, option)
		return
	}
	o.add(dead("--" + option))
	o.words, o.alone = append(o.words, o.rest[0]), append(o.alone, o.rest[0])
	o.folders = append(o.folders, o.rest[0].text)
	o.rest = o.rest[1:]
}

func (o *rsyncOptions) add(w word) {
	o.words = append(o.words, w)
	if w.text == "--no-W" || w.text == "-W" || strings.HasPrefix(w.text, "--debug=") {
		return
	}
	if w.text = o.quieter(w.text); w.text != "" {
		o.alone = append(o.alone, dead(w.text))
	}
}

// quieter is an option without -v, but for the first of all: with more, or by --debug,
// rsync says each rule that it reads, and a client can name any file to read rules from.
func (o *rsyncOptions) quieter(text string) string {
	if text[0] != '-' || text[1] == '-' || text[1] == '@' || text[1] == 'B' {
		return text
	}
	letters, rest := text, ""
	if i := strings.IndexByte(text, 'e'); i >= 0 { // what stands behind it is no option
		letters, rest = text[:i], text[i:]
	}
	before, after, verbose := strings.Cut(letters, "v")
	if !verbose {
		return text
	}
	after = strings.ReplaceAll(after, "v", "")
	if !o.loud {
		o.loud = true
		after = "v" + after
	}
	if text = before + after + rest; text == "-" {
		return ""
	}
	return text
}

func (o *rsyncOptions) refuse(text, option string) {
	advice := rsyncAdvice[option]
	if advice == "" {
		advice = "leave it out"
	}
	o.bad = plain.Quote(plain.Clip(text, 40)) + " isn't let through: " + advice
}

func hasWord(words []word, text string) bool {
	for _, w := range words {
		if w.text == text {
			return true
		}
	}
	return false
}

func set(names string) map[string]bool {
	all := map[string]bool{}
	for _, name := range strings.Fields(names) {
		all[name] = true
	}
	return all
}
