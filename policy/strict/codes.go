package strict

// The codes of problems are stable: they may be searched for, quoted in tickets
// and matched by scripts. A retired one isn't given out again. Those of reading
// begin with Y; whoever judges what a file says has codes of its own.
const (
	CodeUnreadable = "Y001" // the file or directory can't be read, or others may write to it
	CodeTooLarge   = "Y002" // more files, bytes or levels than are accepted
	CodeEncoding   = "Y003" // not UTF-8, or characters that hide or reorder text
	CodeSyntax     = "Y004" // not YAML
	CodeEmpty      = "Y005" // a file without content
	CodeSecondDoc  = "Y006" // a second document in a file
	CodeIndirect   = "Y007" // anchor, alias, merge key or explicit tag
	CodeDuplicate  = "Y008" // a key twice in one mapping
	CodeUnknownKey = "Y009" // a key that nothing reads
	CodeType       = "Y010" // another kind of value is wanted
	CodeMissing    = "Y011" // a required key is missing or a list is empty
	CodeValue      = "Y012" // the right kind of value, but not an accepted one
)
