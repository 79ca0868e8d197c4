// Package ca holds entry's certificate authorities and everything that makes
// or judges an SSH certificate: host certificates for the names entry answers
// to, short-lived user certificates for upstream connections, and the check of
// a target's own host key.
//
// Two authorities exist and each has its own type, so that neither can be
// handed over where the other is meant: a [HostCA] signs host certificates
// only (clients trust it by one @cert-authority line), a [UserCA] signs user
// certificates only (targets trust it by TrustedUserCAKeys). Their private
// halves are an [Authority], loaded from a file or reached through an ssh-agent
// socket, claimed by exactly one of the two. [Open] refuses a
// configuration that gives one key two roles.
//
// The package isn't for users' laptops: entry issues them no certificates. It
// keeps no revocation list either: user certificates live ten minutes, and a
// host key or host CA is withdrawn by taking it out of the policy.
//
// Guarantees: a host key file is created once, never overwritten, and durable
// before it is first used, whichever goroutine or process comes first; a
// certificate is checked against its CA before it is handed out; private keys
// appear in no error.
//
// Nothing here logs. All types are safe for concurrent use.
//
// Sources: OpenSSH PROTOCOL.certkeys (certificate format, options and
// extensions), PROTOCOL.key (private key format), sshd_config(5)
// TrustedUserCAKeys, sshd(8) "SSH_KNOWN_HOSTS FILE FORMAT",
// draft-miller-ssh-agent.
package ca
