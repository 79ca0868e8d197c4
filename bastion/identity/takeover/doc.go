// Package takeover reads the accounts of another system from the files that it
// left behind, for identity.Operators.Import: .google_authenticator, shadow and
// authorized_keys.
//
// # Guarantees
//
//   - The files of a home are its user's, who may have made anything of them: links
//     that lead out of the folder aren't followed, pipes aren't waited for, and no
//     more than 256 KiB of a file are read (4 MiB of a shadow file). What is wrong
//     with one is noted beside that user and stops nobody else's import.
//   - Everybody who has something to take over comes out, and everybody with a hash
//     in the shadow file: to be taken over with the restrictions that are named, or
//     with the reason for which the account is left. Who couldn't log in there
//     (locked, ended, too old a passphrase, no line at all) is left.
//   - What in a home isn't its owner's alone (sshd's StrictModes, and a seed that
//     others may read) opened nothing there and is left out. The files that the
//     caller names for one user aren't looked at so.
//   - A restriction that entry can't keep leaves out what it restricted, such as a
//     key with options, or is noted, such as a shell that lets its user do less.
//   - No error and no note quotes a seed, a hash or a key.
//
// # When not to use it
//
// Not to judge hashes and names: whether one can be taken over is for Import to
// say, and to report. The settings of sshd and PAM aren't read.
//
// # Sources
//
// google-authenticator-libpam's FILEFORMAT, shadow(5) and pam_unix's reading of it,
// sshd(8) on authorized_keys.
package takeover
