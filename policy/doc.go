// Package policy turns policy files and a [Request] into a [Grant].
//
// A policy is a directory of YAML files that operators keep in version control
// and review: labs with their members and targets, rules that say who may do
// what where, and tests that pin decisions. [Load] reads them all strictly and
// reports every problem at once, with file, line, column and the line itself.
// A [Policy] is immutable and safe for concurrent use; a reload makes a new one.
//
// # Decisions
//
// Nothing is allowed by default. [Policy.Decide] gathers every rule that
// matches the user, the target and the source address:
//
//   - the capabilities of all matching allow rules add up;
//   - a matching deny rule overrides them: with `may` it takes those
//     capabilities away, without `may` it refuses everything;
//   - shell and exec bring download with them, because whatever can be printed
//     can be carried away (a deny rule that names download still takes it);
//   - the strictest `record` and `record_input` of the matching rules hold, and
//     a rule that states none asks for a full recording;
//   - of each limit the most generous one holds, and a rule that states no
//     limit sets none.
//
// So adding an allow rule never takes access away. The one combination where
// it could, an unlisted forward that a second rule's full recording would cut
// off, is refused when the files are loaded. A target of `kind: tcp` can't be
// recorded beyond its metadata: only rules that say `record: metadata` open it.
//
// # When not to use it
//
// The package knows nothing of passphrases, sessions or connections: who the
// user is was proved elsewhere, and holding a session to its Grant is the
// caller's job. Problems about users who don't exist in the account database
// can't be found here: the files name users, the database makes them.
//
// # Reading YAML
//
// [Document] and [Value] are the strict reader that the package's own files
// go through. Package configs uses the same for entry.yaml, so that both give
// the same kind of error.
package policy
