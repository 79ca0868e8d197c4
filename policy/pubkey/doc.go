// Package pubkey says which public keys entry accepts, for whatever purpose: a
// target's host key or host CA in the policy, entry's own authorities, a user's
// first factor. There is one parser and one set of limits, so that what a file
// may hold and what a connection will take can't differ.
//
// [Parse] reads a line as .pub files and authorized_keys have it; [ParseHost]
// does for what vouches for a machine. [Check] judges a key that came otherwise.
// A refusal is an [*Error] with its reason, for callers with words of their own.
// A key has one spelling: what [Line] makes of it.
//
// It is for text and keys that people give. A key that a client offers before
// it has proved anything is only held to what verifying it costs ([CheckCost]):
// whether it is an account's is for whoever knows the account's keys.
//
// Sources: RFC 4251 §5, RFC 4253 §6.6, RFC 5656 §3.1, RFC 8709 §4 (formats);
// sshd(8), "AUTHORIZED_KEYS FILE FORMAT"; OpenSSH PROTOCOL.u2f; NIST SP 800-131A
// (RSA below 2048 bits).
package pubkey
