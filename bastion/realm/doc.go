// Package realm asks somebody else's directory whether a passphrase is right:
// the first factor of accounts that live in LDAP or Active Directory. The code,
// the first enrolment and every limit stay with package identity, which calls
// Check only after a right code, once a dialogue.
//
// # What Check promises
//
//   - Credentials travel only over TLS 1.2 or newer with a verified certificate
//     and server name (ldaps://, or ldap:// with StartTLS). Plain ldap:// is
//     refused for every address but loopback ones, in New by name and again
//     at the connection by address.
//   - One connection and at most one bind as the user. Nothing is retried: two
//     tries could lock the account there.
//   - Empty passphrases and ones with a NUL never leave the process: a bind with
//     an empty one succeeds as nobody (RFC 4513 §5.1.2).
//   - Names are escaped into filters (RFC 4515 §3) and DNs (RFC 4514 §2.4).
//   - Referrals are not followed: the directory that is configured answers, or
//     nobody does.
//   - Everything ends at the timeout, and what a directory may send is bounded
//     before it is decoded, in bytes, messages, elements and nesting.
//   - A directory that can't answer is an error, never "wrong" and never
//     "right".
//   - A right passphrase of an account that the entry says is locked for good, or has
//     ended, is refused, whether the directory's own bind heeds that or not (ended.go).
//
// Groups are read in the same call and come with the time of reading; nothing
// is cached. They are the directory's values as they stand (whole DNs where it
// gives DNs, because two organisational units may use one name) and have to be
// escaped wherever they are shown.
//
// Look asks, without a passphrase, whether a user is still there and let in; only
// a realm with a searching account can. What it can't tell is an error, never
// "gone": somebody is gone when the search finds nobody and its base can be read.
//
// # When not to use it
//
// Not to browse a directory, and not for anything but the passphrase of an account
// that an operator has given to a realm.
//
// # Sources
//
// RFC 4511 (LDAP), RFC 4513 (authentication, StartTLS), RFC 4514, RFC 4515,
// draft-behera-ldap-password-policy-10, and Microsoft's list of the "data" codes
// of AcceptSecurityContext errors in Active Directory's bind responses.
package realm
