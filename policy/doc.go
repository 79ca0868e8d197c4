// Package policy turns policy files and a [Request] into a [Grant].
//
// A policy is a directory of YAML files that operators keep in version control
// and review: labs with their members and targets, rules that say who may do
// what where and when, and tests that pin decisions. [Load] reads them all
// strictly (package strict) and reports every problem at once, with file, line,
// column and the line itself. A [Policy] is immutable and safe for concurrent use; a reload
// makes a new one.
//
// # Decisions
//
// Nothing is allowed by default. [Policy.Decide] gathers every rule that
// matches the user, the target and the rest of the request:
//
//   - the capabilities of all matching allow rules add up;
//   - a matching deny rule overrides them: with `may` it takes those
//     capabilities away, without `may` it refuses everything;
//   - shell, and exec of any command, bring download with them, because whatever
//     can be printed can be carried away (a deny rule that names download still
//     takes it from programs that transfer files, and is refused as unenforceable where a shell
//     stays, unless it is marked as advice; see [Policy.Unenforceable]);
//   - the strictest `record`, `record_input`, `record_complete` and `bulk` of the matching
//     rules hold, and a rule that states none asks for a full recording;
//   - of each limit the most generous one holds of the rules that give
//     something, and a rule that states no limit sets none;
//   - what rules of those list under `env` adds up, and a rule that lists
//     nothing lets clients set LANG, LC_*, TERM, COLORTERM and GIT_PROTOCOL.
//
// So adding an allow rule never takes access away. The one combination where
// it could, an unlisted forward that a second rule's full recording would cut
// off, is refused when the files are loaded. One where a rule's `env` would undo
// the list of commands in another one for the same user and target isn't put in
// force ([Policy.Unenforceable]). A target of `kind: tcp` can't be recorded beyond
// its metadata: only rules that say `record: metadata` open it.
//
// # Conditions
//
// A rule matches if the request meets all of its clauses: `who` (a user, a
// lab's members, a group, or whom a realm vouches for: one of them is enough),
// `where`, `from` (the client's network), `when` (windows of the week), `valid`
// (a stretch of time), `mfa` (how the user logged in, and how long ago the last
// code was) and `approval` (other people's consent). What a request doesn't say
// meets no condition of an allow rule and every one of a deny rule. So whoever logs in
// by a remembered key, for which the directory isn't asked, has none of a realm's
// groups that rules allow, and all that they deny.
//
// A realm's group is named as its directory has it ("uni/cn=physics,ou=groups").
// Case, spaces and the spelling of a DN make no difference; where directories
// differ in what they take for one name, a rule that denies holds for whatever
// might be meant, and one that allows only for what surely is. A DN with an attribute
// type that can't be compared, or a value in BER that is no text, is refused in rules.
// Package ldapmatch compares.
//
// Windows are read off the clock of their zone: `hours: "22:00-06:00"` belong
// to the day on which they begin; where the clock is put forward, hours may be
// missing, where it is put back, they come twice. The zone's data is in the
// program, not taken from the machine.
//
// # Approval
//
// A rule with `approval` matches once enough distinct people, never the user,
// have approved, and for as long. Until then it is as if it weren't there, but
// for what the refusal says: [Denied] carries the [Quorum] to be asked. A rule
// that gives the same without approval is therefore enough by itself, and the
// recording, limits and lists of a rule that waits have no effect. With `uses` an
// approval is for so many sessions; who counts them is whoever keeps approvals.
//
// # Ends
//
// A capability ends when no rule gives it any more, or a deny rule begins: at
// the end of windows, periods and approvals. Capabilities of one grant may end
// at different times ([Grant.UntilFor]); the grant ends with the last of them
// ([Grant.Until]). The age of a code never ends what has begun.
//
// # When not to use it
//
// Whoever asks about many people, rules or policies at once takes package
// compare.
//
// The package knows nothing of passphrases, sessions or connections: who the
// user is was proved elsewhere, and holding a session to its Grant, its bytes
// to the limits, and approvals to their user, target and source is the caller's
// job. It has no clock: a request brings its time. Problems about users who
// don't exist in the account database can't be found here: the files name
// users, the database makes them.
package policy
