// Package secret makes and verifies what people prove themselves with:
// passphrases, one-time codes, recovery codes, temporary passphrases; and it seals
// what the database keeps of them.
//
// # Guarantees
//
//   - What is compared is compared in constant time, and what is looked for costs
//     the same work whether it is found or not. Who has to be told nothing by the
//     time an answer takes is the caller's to arrange (Hasher.Dummy).
//   - At most two passphrases are hashed at a time, 64 MiB each; whoever waits
//     longer than 5 s for a turn gets ErrBusy. Behind them goes who has shown nothing
//     yet, and last what nobody waits for; these have one turn at a time, together, and
//     64 each in the queue. A stored hash can't order more work than a new one costs.
//   - Codes are SHA-1, six digits, 30 s: what every authenticator app assumes. A code
//     counts up to one step early or late; up to ten are recognised and named. Which
//     steps are spent is the caller's to keep: nothing here remembers anything.
//   - A temporary passphrase has 80 random bits and check characters of its own: a
//     wrong symbol, and two that changed places in a half, never fit. Those from before
//     there were any stay good.
//   - Passphrases are compared as text, not as bytes: each is prepared by RFC 8265's
//     OpaqueString before it is hashed.
//   - A sealed seed opens only for the account and the authenticator it was sealed
//     for. Recovery codes, unknown names and tallies are keyed hashes, so that the
//     database alone is not enough to search for them.
//   - Secrets are several: what was made by one of them opens, and is found, as long as it is
//     there, and what is made is made by the present one. Counts are by the oldest, so that
//     nobody's begin anew with another secret.
//   - No error and no String method quotes a secret.
//
// # When not to use it
//
// Not for keys that SSH speaks with (packages ca and session), and not to decide
// who gets in: package identity has the dialogue, the counting and the accounts.
//
// # Sources
//
// RFC 4226 and RFC 6238 (codes), RFC 8265 §4.2 (passphrases as text), RFC 9106 §4 (argon2id's second recommended
// option), the PHC string format, crypt(5) and Drepper's "Unix crypt using SHA-256
// and SHA-512" (hashes that are imported), RFC 5869 (HKDF), Crockford's base32.
package secret
