package strict

import "slices"

// CodeDoc documents one code of a [Problem].
type CodeDoc struct {
	Code    string `json:"code"`
	Warning bool   `json:"warning,omitempty"` // nothing is refused for it
	Meaning string `json:"meaning"`           // what was found
	Advice  string `json:"advice"`            // what to do about it
}

// Codes documents every code of reading, in their order.
func Codes() []CodeDoc { return slices.Clone(codeDocs) }

var codeDocs = []CodeDoc{
	{CodeUnreadable, false, "The file or directory can't be read, or every account may write to it.", "Fix its owner and mode; whoever can write to it makes the policy."},
	{CodeTooLarge, false, "More files, bytes or levels of nesting than are accepted.", "Split the file; look for a mistake in indentation."},
	{CodeEncoding, false, "The file isn't UTF-8, or holds control or invisible characters.", "Remove them: a reviewer sees something else than the program reads."},
	{CodeSyntax, false, "The file isn't YAML.", "Look at the place named and the line before it: indentation, a missing quote or bracket."},
	{CodeEmpty, false, "The file says nothing.", "Fill it in or delete it."},
	{CodeSecondDoc, false, "A line of three dashes begins a second document.", "Use a file for each."},
	{CodeIndirect, false, "Anchors, aliases, merge keys and tags aren't read.", "Write the value out where it holds."},
	{CodeDuplicate, false, "A key stands twice in one mapping.", "Keep one; join their values if both are meant."},
	{CodeUnknownKey, false, "A key that nothing reads.", "Correct its spelling; the message lists the keys that are known there."},
	{CodeType, false, "Another kind of value is wanted there.", "Write what the message asks for; quote what is meant as text."},
	{CodeMissing, false, "A required key is missing, or a list is empty.", "Add it; leave an empty list out."},
	{CodeValue, false, "The right kind of value, but not an accepted one.", "Choose one from the range or list in the message."},
}
