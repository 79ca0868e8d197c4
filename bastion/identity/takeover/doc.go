// Package takeover reads the accounts of another system from the files that it
// left behind, for identity.Operators.Import: .google_authenticator, shadow and
// authorized_keys.
//
// # Guarantees
//
//   - The files of a home are its user's, who may have made anything of them: links
//     that lead out of the folder aren't followed, pipes aren't waited for, and no
//     more than 16 KiB of a file are read (4 MiB of a shadow file). What is wrong
//     with one is noted beside that user and stops nobody else's import.
//   - No error and no note quotes a seed, a hash or a key.
//
// # When not to use it
//
// Not to judge what was read: whether a name, a hash or a key can be taken over is
// for Import to say, and to report.
//
// # Sources
//
// google-authenticator-libpam's FILEFORMAT, shadow(5), sshd(8) on authorized_keys.
package takeover
