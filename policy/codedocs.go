package policy

import (
	"slices"

	"entry/policy/strict"
)

// Codes documents every code that a problem of a policy may have, those of
// reading first, in their order.
func Codes() []strict.CodeDoc { return slices.Concat(strict.Codes(), codeDocs) }

var codeDocs = []strict.CodeDoc{
	{Code: codeName, Meaning: "A name of a user, lab, target, group, realm or rule has a wrong form.", Advice: "Use lower-case letters, digits and dashes, as the message says."},
	{Code: codeReserved, Meaning: "The name already means something else.", Advice: "Choose another."},
	{Code: codeTwice, Meaning: "The same lab, target, rule or list entry twice.", Advice: "Remove one; the message says where the first one is."},
	{Code: codeAddress, Meaning: "A target's address is none.", Advice: "Write host:port with a host name or an address."},
	{Code: codePort, Meaning: "A port that isn't one, or that needn't be listed.", Advice: "Use 1 to 65535; 22 of an ssh target is always there."},
	{Code: codeKey, Meaning: "Not a public key in the form of authorized_keys, or one that isn't accepted.", Advice: "Copy the line from /etc/ssh/ssh_host_ed25519_key.pub of the machine."},
	{Code: codeWeakKey, Meaning: "The key is too weak to vouch for a machine.", Advice: "Make an ed25519 key on the machine and use that."},
	{Code: codeNoKey, Meaning: "Nothing proves that an ssh target is the right machine.", Advice: "Give host_keys, or host_ca if an authority signs them."},
	{Code: codeKind, Meaning: "The setting has no meaning for a target of this kind.", Advice: "Remove it, or correct kind."},
	{Code: codeLogin, Meaning: "Not the name of an account on the target.", Advice: "Use letters, digits and ._@-, or {user}."},
	{Code: codeUnknownRef, Meaning: "No file defines this lab, group or target.", Advice: "Correct the spelling, or define it."},
	{Code: codeNotMember, Meaning: "The user isn't in that lab.", Advice: "Add the user to its members or admins, or drop the name here."},
	{Code: codeCapability, Meaning: "No such capability.", Advice: "Use one that the message lists."},
	{Code: codeDestination, Meaning: "A forward's destination or port that can't be meant.", Advice: `Write "host:port", a socket's path, or a wildcard.`},
	{Code: codeWildcardFull, Meaning: "A forward to anywhere where everything is recorded.", Advice: "List the destinations, or choose record: manifest or metadata."},
	{Code: codeMisplaced, Meaning: "The setting has no effect in this rule.", Advice: "Remove it, or add what it belongs to."},
	{Code: codeTCPRecord, Meaning: "More than metadata can't be recorded of a target of kind tcp.", Advice: "Give it a rule of its own with record: metadata."},
	{Code: codeTest, Meaning: "A test of the policy fails.", Advice: "Correct the rule or the test: the message says what was decided and by which rule."},
	{Code: codeTestForm, Meaning: "A test expects nothing, contradicts itself or lacks its time.", Advice: "Say what has to come out, and at what time."},
	{Code: codeTime, Meaning: "Not a day, hours, time or time zone.", Advice: "Write mon-fri, 08:00-18:00, 2026-03-02 or Europe/Oslo."},
	{Code: codeNever, Meaning: "A time that no clock or calendar ever shows, or that ends before it begins.", Advice: "Correct the date or the hours."},
	{Code: codeQuorum, Meaning: "More approvals are needed than there are approvers.", Advice: "Name more people, or need fewer."},
	{Code: codeMatchesNobody, Warning: true, Meaning: "A rule speaks of nobody, or of nothing.", Advice: "Remove it, or fill the lab or group that it names."},
	{Code: CodeUnreachable, Warning: true, Meaning: "No rule opens this target to anybody.", Advice: "Write a rule for it, or remove it."},
	{Code: codeHalfDenied, Warning: true, Meaning: "Upload or download is denied to somebody who keeps a shell, or exec of any command: whatever can be typed or shown can be carried. validate and apply refuse it; a start only warns.", Advice: "Deny shell and exec too, list the commands of exec, or mark the rule as advice: advisory: true."},
	{Code: codeNestedSSH, Warning: true, Meaning: "A forward to an SSH port where everything is recorded is refused when it is used.", Advice: "Make that machine a target."},
	{Code: codeStrangerLogin, Warning: true, Meaning: "The login map names a user who isn't in the lab and whom no rule names.", Advice: "Remove the entry, or add the user."},
	{Code: codeIgnoredContent, Warning: true, Meaning: "Something in the policy directory isn't read.", Advice: "Move it out, or put its files into the directory itself."},
	{Code: CodeShadowed, Warning: true, Meaning: "Another rule leaves this one without effect.", Advice: "Remove it, or narrow the other; the message says where that is."},
	{Code: codeNeverHolds, Warning: true, Meaning: "None of a rule's windows lies in its period.", Advice: "Correct when or valid."},
	{Code: codeLapsed, Warning: true, Meaning: "The rule's period is over.", Advice: "Remove the rule, or give it a new period."},
	{Code: codeEnvRuns, Warning: true, Meaning: "A variable that clients may set can have a listed command run others.", Advice: "Take it out of env, or give exec without a list."},
	{Code: codeEnvAcross, Warning: true, Meaning: "A variable that one rule lets clients set can have a command that another lists run others, for the same user and target. validate and apply refuse it; a start only warns.", Advice: "Take it out of env there: a variable reaches whatever runs."},
	{Code: codeAmbiguous, Warning: true, Meaning: "Targets of several labs have one name, and somebody may open more than one of them: the bare name is refused to them.", Advice: "Give them a default_lab, or have them ask for the full names, such as home.tinker."},
	{Code: codeOwnApproval, Warning: true, Meaning: "A rule asks for an approval that some of those whom it is for can't get: nobody approves what they ask for themselves.", Advice: "Name more approvers."},
}
