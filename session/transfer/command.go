package transfer

import (
	"errors"
	"path"
	"slices"
	"strings"
)

// Program is a transfer that a client asked for as a command.
type Program struct {
	Name   string      // "scp", "rsync", "git-upload-pack", …, "sftp-server"
	Needs  []Direction // the rights without which it isn't started
	Either bool        // one of Needs is enough: what it does is judged later

	paths     []string // the places at the target that it was given, as far as the line says
	line      string
	wholeLine string // instead of line where the client mayn't download; "" for the same
	decoder   func(may May) Decoder
}

// ErrNotTransfer says that a command line is none of a transfer: it runs some
// program, with what that may do, though a transfer can hide in it (`cd x; scp
// -t y`, `env X=1 rsync --server …`, /tmp/scp). Who lets it run can't say what
// moves.
var ErrNotTransfer = errors.New("not a transfer")

// BadCommand is a command line that begins as a transfer and asks for more than
// one may. Who has the right to run anything may run it like any other line.
type BadCommand struct {
	Program string
	Text    string // for the user, one line: what is wrong and what to do
}

func (b *BadCommand) Error() string { return b.Text }

// folders are where targets have the programs: one of the same name elsewhere
// may be the user's own.
var folders = map[string][]string{
	"scp":                {"", "/bin", "/usr/bin", "/usr/local/bin"},
	"rsync":              {"", "/bin", "/usr/bin", "/usr/local/bin"},
	"git":                {"", "/bin", "/usr/bin", "/usr/local/bin"},
	"git-upload-pack":    {"", "/bin", "/usr/bin", "/usr/local/bin", "/usr/lib/git-core", "/usr/libexec/git-core"},
	"git-receive-pack":   {"", "/bin", "/usr/bin", "/usr/local/bin", "/usr/lib/git-core", "/usr/libexec/git-core"},
	"git-upload-archive": {"", "/bin", "/usr/bin", "/usr/local/bin", "/usr/lib/git-core", "/usr/libexec/git-core"},
	"sftp-server": {"", "/usr/lib/openssh", "/usr/libexec/openssh", "/usr/lib/ssh", "/usr/lib/misc", "/usr/libexec", "/usr/lib",
		"/usr/local/lib", "/usr/local/libexec", "/usr/lib64/misc", "/usr/lib64/ssh"},
}

// grammars read the words after a program's name. They give nil, "" for what is
// no transfer.
var grammars = map[string]func(name word, args []word) (p *Program, bad string){
	"scp":                scpCommand,
	"rsync":              rsyncCommand,
	"git":                gitCommand,
	"git-upload-pack":    gitCommand,
	"git-receive-pack":   gitCommand,
	"git-upload-archive": gitCommand,
	"sftp-server":        sftpCommand,
}

// Command reads a command line that a client wants to run. It gives the transfer
// that it is, ErrNotTransfer, or a *BadCommand.
//
// What a transfer is, and what its options may be, stands at each program's
// grammar: a list of what is allowed, everything else isn't. Words are those of
// a POSIX shell; whatever else a shell would do with the line makes it bad.
// Line writes them anew, so that the target's shell finds these words and no
// others. Only where a program leaves it to the shell to find the files that it
// sends (scp -f, rsync --sender) does a word keep its unquoted * ? [ ]; a
// leading ~ or ~user stays too. A word that could be taken for an option, or
// become one, gets "./" in front.
func Command(line string) (*Program, error) {
	if line == psftpCommand {
		return sftpProgram(line), nil
	}
	words, bad := split(line)
	if len(words) == 0 {
		return nil, ErrNotTransfer
	}
	dir, name := path.Split(words[0].text)
	if dir != "/" {
		dir = strings.TrimSuffix(dir, "/")
	}
	if !slices.Contains(folders[name], dir) {
		return nil, ErrNotTransfer
	}
	p, wrong := grammars[name](words[0], words[1:])
	switch {
	case p == nil && wrong == "":
		return nil, ErrNotTransfer
	case bad != "":
		return nil, &BadCommand{name, "entry: " + name + ": the command has " + bad + ": ask for one program alone, and put names with special characters into single quotes"}
	case wrong != "":
		return nil, &BadCommand{name, "entry: " + name + ": " + wrong}
	}
	return p, nil
}

// Moves reports whether a program, by its base name, or a subsystem is one that moves files,
// if its command asks for that.
func Moves(program string) bool {
	_, ok := grammars[program]
	return ok || Subsystem(program) != nil
}

// Paths are the places at the target that it was given, as far as its command says.
func (p *Program) Paths() []string { return p.paths }

// Line is what goes to the target in the place of the client's line. What it is
// depends on whether the client may download: rsync's receiver tells of the files
// that it replaces, by checksums of their blocks, which for short blocks are as
// good as the content, and, with -vv, of the rules that it reads from any file. So under
// upload alone it is told to take whole files (-W), and to say little.
func (p *Program) Line(may May) string {
	if p.wholeLine != "" && may(Download) != "" {
		return p.wholeLine
	}
	return p.line
}

// Refused is why the program mayn't start: "" if it may, else may's reason.
func (p *Program) Refused(may May) string {
	refused := ""
	for _, d := range p.Needs {
		switch why := may(d); {
		case why == "" && p.Either:
			return ""
		case why != "" && refused == "":
			refused = why
		}
	}
	return refused
}

// Decoder is what follows the program's input and output. It asks may as long as
// they pass. Its errors are those of Decoder.Data, a *Stopped, and a *BadCommand
// of what comes inside the stream. One that is a Finisher is told how the program
// ended.
func (p *Program) Decoder(may May) Decoder { return p.decoder(may) }

// ListsFiles reports whether each file has an entry of its own, with its hash.
func (p *Program) ListsFiles() bool { return p.Name == "scp" || p.Name == "sftp-server" }

// Finisher is a Decoder that can't tell from the stream alone how what it
// followed came out. Its entries are complete only then.
type Finisher interface {
	// Finish is called once, last of all, after the End of both directions.
	// status is the program's exit status, -1 if it gave none: it was killed, or
	// the channel was cut.
	Finish(status int, r Ruling)
}

// Stopped is the error of a channel whose content may no longer move, at a place
// where its protocol has no words for it.
type Stopped struct {
	Direction Direction
	Reason    string // May's
}

func (s *Stopped) Error() string { return s.Reason }
