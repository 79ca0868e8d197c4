package recording

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"entry/audit/plain"
)

// File is one line of a manifest, the payload of a Transfer frame: a file that was
// moved, or an operation on the target's files. Its strings are a peer's.
type File struct {
	Protocol  string    `json:"protocol"`            // "sftp", "scp", "rsync", "git"
	Operation string    `json:"operation"`           // "put", "get", "rename", …
	Direction string    `json:"direction,omitempty"` // "upload", "download"; "" where no content moves
	Path      Text      `json:"path"`
	To        Text      `json:"to,omitzero"` // the other path, of a rename, a link, a copy
	Size      int64     `json:"size"`        // bytes of content; where the file's isn't known, of all the run moved in its direction
	Back      int64     `json:"back,omitempty"`
	Ref       Text      `json:"ref,omitzero"`  // of git
	Old       string    `json:"old,omitempty"` // likewise, the object that Ref named
	New       string    `json:"new,omitempty"` // and is to name
	SHA256    string    `json:"sha256,omitempty"`
	Unknown   string    `json:"unknown,omitempty"` // why there is no SHA256 of a file
	Began     time.Time `json:"began"`
	Ended     time.Time `json:"ended"`
	Outcome   string    `json:"outcome"` // "ok", "failed", "refused", "cut"
	Detail    Text      `json:"detail,omitzero"`
}

// File is the line of a manifest that a Transfer frame holds; ok is false for any
// other frame.
func (f Frame) File() (file File, ok bool) {
	if f.Kind != Transfer || json.Unmarshal(f.Data, &file) != nil {
		return File{}, false
	}
	return file, file.Protocol != ""
}

// Begun is the payload of a Transfer frame that says that a file was opened: its [File]
// comes once it is closed, or its channel ends, and never where the server ended first.
type Begun struct {
	Protocol  string `json:"begun"`               // "sftp", "scp"
	Operation string `json:"operation"`           // "put", "get"
	Direction string `json:"direction,omitempty"` // "upload", "download"
	Path      Text   `json:"path"`
}

// Begun is what a Transfer frame says that was opened; ok is false for any other frame.
func (f Frame) Begun() (b Begun, ok bool) {
	if f.Kind != Transfer || json.Unmarshal(f.Data, &b) != nil {
		return Begun{}, false
	}
	return b, b.Protocol != ""
}

// String is "sftp get "x" begins", fit for a terminal.
func (b Begun) String() string {
	return plain.Word(b.Protocol) + " " + plain.Word(b.Operation) + " " + plain.Quote(string(b.Path)) + " begins"
}

// Streamed reports whether the file's own size isn't known: rsync's and git's protocols
// carry what the files of a run, or its objects, have in common. Size and Back of the
// run's first line are those of all of it, and 0 in its other lines.
func (f File) Streamed() bool { return f.Protocol == "rsync" || f.Protocol == "git" }

// Sizes says how large the file is, or how much the run moved that it was part of; ""
// where neither is known.
func (f File) Sizes() string {
	switch {
	case f.Direction == "":
		return ""
	case !f.Streamed():
		return plain.Size(f.Size)
	case f.Size+f.Back == 0:
		return ""
	}
	return plain.Size(f.Size) + " and " + plain.Size(f.Back) + " back in the whole run"
}

// Names are the file's name or names, of what can be seen in them as they are, quoted:
// "a.csv" to "März.csv".
func (f File) Names() string {
	names := plain.Said(string(f.Path))
	switch {
	case f.To == "":
	case f.Protocol == "scp" && f.Operation == "put": // it doesn't say which
		names += " (or " + plain.Said(string(f.To)) + ", if that is a folder)"
	default:
		names += " to " + plain.Said(string(f.To))
	}
	if f.Ref != "" {
		names += fmt.Sprintf(" %s %s..%s", plain.Said(string(f.Ref)), plain.Word(f.Old), plain.Word(f.New))
	}
	return names
}

// String is one line, in which what a peer chose is quoted.
func (f File) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s %s", plain.Word(f.Protocol), plain.Word(f.Operation), f.Names())
	if sizes := f.Sizes(); sizes != "" {
		b.WriteString(", " + sizes)
	}
	switch {
	case f.SHA256 != "":
		b.WriteString(", sha256 " + plain.Word(f.SHA256))
	case f.Unknown != "":
		b.WriteString(", hash unknown: " + plain.Line(f.Unknown))
	}
	b.WriteString(", " + plain.Word(f.Outcome))
	if f.Detail != "" {
		b.WriteString(": " + plain.Line(string(f.Detail)))
	}
	return b.String()
}
