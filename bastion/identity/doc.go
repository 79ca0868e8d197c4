// Package identity proves who a client is: passphrase, one-time code, public
// key, forced reset, enrolment and lockout. It holds the whole authentication
// dialogue and everything about accounts that an operator can change; it knows
// nothing of targets or rules (package policy) and opens no connection.
//
// # What Login promises
//
//   - Both answers are collected and judged as one. The code is checked first;
//     only a code that lies within the window makes the answer wait for an
//     argon2id hash. Unknown names get the same prompts, the same words, the same
//     queries and the same work: a dummy seed and a dummy hash stand in.
//   - A step of an authenticator is spent by one compare-and-set in the store,
//     before the passphrase is looked at, so that it counts once over all
//     connections, processes and nodes, whatever was typed before it: who
//     mistypes the passphrase waits for the next code.
//   - Passphrase, authenticator and recovery codes of an enrolment are saved in
//     one transaction that also compares the account's generation. Until then
//     the temporary passphrase stays valid and nothing has changed.
//   - An Identity exists only after login.succeeded is durable.
//   - Failures by (name, source) and by source are counted in the store before
//     anything is judged, so that the limits hold over all processes on one
//     database, and over their restarts. The tallies' names are keyed hashes.
//   - When the store or the log fails, nobody gets in (ErrUnavailable).
//
// # Remembered keys
//
// A public key that was proven together with a code stands for both, from the
// same network, until 12 h after that code. Its identities carry the time of the
// code, so that no chain of connections outlives it. It goes with whatever it was
// proven by, in the transaction that takes that away: the key, the authenticator
// of the code, the passphrase it was beside, the account's epoch. No lock of a
// source keeps it out: it can't be guessed.
//
// # One key, one account
//
// A key whose private half was shown, by a login that it opened or by a signature
// (SSHSIG, namespace keys@ and the server's name) over a challenge of ssh entry keys
// add, belongs to that account. Adding it elsewhere is refused without saying whose it
// is. A key that was only pasted is a claim: it works, and is taken away when another
// account shows it, so that nobody can squat a published key. An operator may share one
// (ShareKey); what several accounts had before keys had an owner counts as shared.
//
// # Locks and proof
//
// A name that failed too often from a source, and a source that did, are locked.
// Everybody is asked as always under a lock, and reads of it after both answers,
// whatever they were; no code goes out by SMS. From a network with a login before,
// a right code still has the passphrase judged, once a minute, so that strangers
// behind the same address can't keep an owner out, nor use that minute up; each recovery
// code, which isn't used up by a wrong passphrase, has its own. Inside connections, and for
// a right temporary passphrase (with a code, where a reset has left an authenticator),
// likewise.
//
// # Temporary passphrases and typing errors
//
// A temporary passphrase has check characters, so that a string with a typing error
// is told apart from one that is no longer valid, before any code is asked and
// whoever the name belongs to: what is said depends on the string alone (and on
// whether the site has codes by SMS). Nothing is counted for a typing error. An empty
// answer to the question for the code goes back to the passphrase, with the next of
// the connection's dialogues. Prompts that may get a passphrase by habit (a lock's, the
// last words of a connection, a code that is asked first) don't show what is typed.
//
// # Guesses at a passphrase
//
// A wrong passphrase behind a right code counts for the account, and ten lock it for a
// day; passwd asks inside a connection and counts alike, judges none under the lock, and
// a passphrase that was changed ends it. The lock is read when the answers are judged, in
// the transaction that begins the guess, and no more are judged side by side, at all
// servers, than may be wrong: one more waits for their verdicts (tries.go), here and
// wherever else wrong passphrases have a number, so that right ones at once are right. A code that isn't spent by being typed, because
// it was used up or is one of recovery, counts for itself and locks nothing: whoever saw
// it has a few guesses a day with it, and then it is a wrong code until the day is over. At
// a directory all recovery codes of an account count together. The first wrong passphrase
// with one is a notice to the owner, who is told how many there were until there is another
// list. Who came in by a key need not know the passphrase: what Confirm asks there has ten
// wrong answers a day, and none under the lock.
//
// # Guesses by a thief of one factor
//
// Wrong codes count for the first factor that was proven before them, over all
// sources. Behind a key, a code is charged before it is judged; ten in a row suspend
// the key, until its owner has logged in by another factor (RestoreKey); on connections
// that it opened without a code nothing new opens until then (ErrSuspended). Behind a
// passphrase, whether it was right is found out beside the dialogue, for all names
// alike and in the queue of all hashes, but after them; ten in a row close it for an
// hour, and so does each one after that, except for networks with a login before,
// which have five tries a day of their own. Nothing shows this but a right code
// behind a right passphrase, which first waits until the wrong ones before it are
// counted. A hundred in 30 days are the most, whatever lies between them; only a
// login with a code ends a row. What has not the form of a code is no guess at one. A code
// of another time than now counts like a wrong
// one, and only a network with a login before is told that the clock is ahead: what is
// early now is right soon. While the queue is full, whether a passphrase was
// right isn't found out, and behind a wrong code no directory is asked; then wrong
// codes count for what was typed, in memory and by a key that lives as long as the
// process, and operators and the owner are told how many there were. There, strangers
// can't count against a passphrase that entry hashed itself unless they know it, in any
// spelling; of a directory's, or one that was imported with its hash, which may be judged by
// no more than that, its first seven bytes will do. What memory counted goes to
// the store, and counts everywhere, once the process has seen the passphrase to be right:
// by the next wrong code that has its turn, or before a right one is accepted. Until then
// a thief has a row at each process, and a new one after its restart. An operator who
// forgives an account's wrong codes has every process's memory forget them.
//
// Inside a connection that a passphrase opened, wrong codes count for such connections of
// the account, by the same limits: nothing that is typed at a login does.
//
// # First factors from elsewhere
//
// An account of a realm has its passphrase in a directory. It is asked once a
// dialogue, for a code that lies in its window; the first enrolment still takes a
// temporary passphrase of entry. A key doesn't stand for such a passphrase, so
// that whoever the directory has let go is out when the last remembered key has
// run out, after 12 h at most; where the directory can be searched (LookUp), at the
// next poll. There, a login that asked for no passphrase of the directory's asks for the
// user's groups, unless it told of them lately (membership.go): whom it doesn't let in isn't
// let in, and where it doesn't answer the login goes on without groups.
//
// # Codes by SMS
//
// For accounts with a number that an operator has set, and no authenticator, the
// passphrase is judged while the code is asked, and a right one has a code sent:
// six digits, two minutes, on that connection only, five an hour (and five for each
// network with a login before, which a thief of the passphrase can't use up; as many
// again behind a key, and for commands inside connections, see smsPerHour). Prompts never
// tell. Where a gateway is configured, every dialogue therefore counts as a try
// and costs one hash as soon as its passphrase is answered, whoever the name
// belongs to; sending goes on beside it. Behind a wrong code, or none, nothing waits for
// that, because how long it takes depends on whose hash it is, and on a directory. From a network that nobody has logged in from,
// that hash goes behind all others; where it has no turn in time nothing is sent, and the
// dialogue goes on as without a gateway. Why no code came is said only to who
// gave a right passphrase where a login was before, or a temporary one, or a key that
// stands for it: elsewhere it would tell strangers, without a code, which passphrase is
// right. A realm's directory has to be asked before a code by
// SMS, so a stranger can have wrong binds counted there: two a day for an account, from all
// networks without a login before, and three from each other one or behind a key. Then
// no code is sent there until the next day, or an operator's Unlock. That it is down is told
// behind a right code alone.
//
// For as long as sms.until says, counted from when codes began to go by SMS, each
// login warns; after that one enrols an app, behind the same answers, and no
// remembered key stands any more. A user replaces the number by a fresh code and one
// that comes to the new number (ChangePhone); the old one is told.
//
// # The user agreement
//
// Each version of login.terms is shown and has to be accepted once, behind right
// answers and before anything else, in a first login and in a later one alike. There
// is no login without, nor by a remembered key.
//
// # What takes a fresh code
//
// Inside a connection, whatever strengthens or renews access needs a Proof: a
// code given for that one command. What takes access away needs none. Users are
// told (Options.Notify) of every such change, whoever made it.
//
// # Revocation against a login in flight
//
// Login compares the generation in the transaction that stores the login, then
// appends login.succeeded, then reads the account once more. A revocation that
// commits before that last read refuses the login (a login.failed with reason
// "revoked" follows in the log). One that commits later can't be seen here: the
// server registers the connection first and then asks Standing, while an operator's
// verb commits first and then ends the registered connections of the account.
// Whatever the interleaving, one of the two sees the other.
//
// Other processes on the database see the change in its number (Changed), which
// grows in the transaction that commits it, and then ask Standing for the
// connections they have. What only time ends commits nowhere: Standing says when
// to look.
//
// # What is logged before it is done
//
// An operator's change, and a user's, is appended before the store commits it,
// so that no account changes without a trace; if the commit then fails, the same
// event follows with reason "not-applied". It says which account, what was taken
// from it (taken.go) and its generation, so that a start can do it again to a
// database that lacks it. Spending (a step, a recovery code)
// happens first, because losing that race is normal.
//
// # Passphrases are text
//
// A passphrase is prepared by RFC 8265's OpaqueString wherever entry sets or checks
// it, because keyboards and systems send the same letter by other bytes. What is not
// valid UTF-8 (a client in Latin-1) or holds characters that aren't for text is
// refused when the passphrase is set, while its owner can still choose another. A
// directory gets what was typed, byte by byte: it has its own rule, and one try.
//
// # When not to use it
//
// Not for the targets' own accounts, and not to decide access: an Identity says
// who, never what.
//
// # Sources
//
// RFC 4256 (keyboard-interactive), Google Authenticator's Key URI Format and file
// format, NIST SP 800-63B §5.1 and PCI DSS 4.0.1 §8.3.4, §8.5.1 (lockout, codes
// that can't be replayed). Those of codes and hashes stand in package secret.
package identity
