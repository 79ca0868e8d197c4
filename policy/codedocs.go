package policy

import "slices"

// CodeDoc documents one code of a [Problem].
type CodeDoc struct {
	Code    string
	Warning bool   // nothing is refused for it
	Meaning string // what was found
	Advice  string // what to do about it
}

// Codes documents every code, in their order.
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
	{codeName, false, "A name of a user, lab, target, group, realm or rule has a wrong form.", "Use lower-case letters, digits and dashes, as the message says."},
	{codeReserved, false, "The name already means something else.", "Choose another."},
	{codeTwice, false, "The same lab, target, rule or list entry twice.", "Remove one; the message says where the first one is."},
	{codeAddress, false, "A target's address is none.", "Write host:port with a host name or an address."},
	{codePort, false, "A port that isn't one, or that needn't be listed.", "Use 1 to 65535; 22 of an ssh target is always there."},
	{codeKey, false, "Not a public key in the form of authorized_keys.", "Copy the line from /etc/ssh/ssh_host_*_key.pub of the machine."},
	{codeWeakKey, false, "The key is too weak to vouch for a machine.", "Make an ed25519 key on the machine and use that."},
	{codeNoKey, false, "Nothing proves that an ssh target is the right machine.", "Give host_keys, or host_ca if an authority signs them."},
	{codeKind, false, "The setting has no meaning for a target of this kind.", "Remove it, or correct kind."},
	{codeLogin, false, "Not the name of an account on the target.", "Use letters, digits and ._@-, or {user}."},
	{codeUnknownRef, false, "No file defines this lab, group or target.", "Correct the spelling, or define it."},
	{codeNotMember, false, "The user isn't in that lab.", "Add the user to its members or admins, or drop the name here."},
	{codeCapability, false, "No such capability.", "Use one that the message lists."},
	{codeDestination, false, "A forward's destination or port that can't be meant.", `Write "host:port", a socket's path, or a wildcard.`},
	{codeWildcardFull, false, "A forward to anywhere where everything is recorded.", "List the destinations, or choose record: manifest or metadata."},
	{codeMisplaced, false, "The setting has no effect in this rule.", "Remove it, or add what it belongs to."},
	{codeTCPRecord, false, "More than metadata can't be recorded of a target of kind tcp.", "Give it a rule of its own with record: metadata."},
	{codeTest, false, "A test of the policy fails.", "Correct the rule or the test: the message says what was decided and by which rule."},
	{codeTestForm, false, "A test expects nothing, contradicts itself or lacks its time.", "Say what has to come out, and at what time."},
	{codeTime, false, "Not a day, hours, time or time zone.", "Write mon-fri, 08:00-18:00, 2026-03-02 or Europe/Oslo."},
	{codeNever, false, "A time that no clock or calendar ever shows, or that ends before it begins.", "Correct the date or the hours."},
	{codeQuorum, false, "More approvals are needed than there are approvers.", "Name more people, or need fewer."},
	{codeMatchesNobody, true, "A rule speaks of nobody, or of nothing.", "Remove it, or fill the lab or group that it names."},
	{codeUnreachable, true, "No rule opens this target to anybody.", "Write a rule for it, or remove it."},
	{codeHalfDenied, true, "Download is denied while a terminal stays open.", "Deny shell and exec too, if data must not leave."},
	{codeNestedSSH, true, "A forward to an SSH port where everything is recorded is refused when it is used.", "Make that machine a target."},
	{codeStrangerLogin, true, "The login map names a user who isn't in the lab and whom no rule names.", "Remove the entry, or add the user."},
	{codeIgnoredContent, true, "Something in the policy directory isn't read.", "Move it out, or put its files into the directory itself."},
	{codeShadowed, true, "Another rule leaves this one without effect.", "Remove it, or narrow the other; the message says where that is."},
	{codeNeverHolds, true, "None of a rule's windows lies in its period.", "Correct when or valid."},
	{codeLapsed, true, "The rule's period is over.", "Remove the rule, or give it a new period."},
}
