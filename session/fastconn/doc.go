// Package fastconn makes the conns that carry SSH, and what is said on them
// before x/crypto takes over: the version strings and the lists of algorithms.
//
// x/crypto writes each packet of 32 KiB in two Writes, and reads through a
// buffer of 4 KiB. Over such conns a jump host spends twice what it has to:
// Coalesce and Channel take that off, and leave typing as fast as it was. With
// the default lists the client's order decides, which costs as much again, and
// SHA-1 is still among them: ServerConfig and ClientConfig leave nothing to the
// defaults.
//
// # Guarantees
//
// Bytes come out as they went in. What a conn holds for a peer that takes
// nothing is bounded, then Write waits. What x/crypto holds of what comes in on one is
// told by its Intake, and a peer that asks for too much on one is read from more slowly.
// A conn that waits for its peer holds
// no buffer but the one of a read that is in progress. Close and deadlines end
// every Read and Write at once, whatever the peer does.
//
// Goroutines belong to the group with which a conn was made. x/crypto reads and
// writes on goroutines of its own, where a panic would end the process: one
// that happens below or in a conn becomes that conn's error and its group's
// cause instead.
//
// A conn's one lock is held across nothing that waits. What time.AfterFunc runs
// here sets a flag and wakes who waits.
//
// # When not to use it
//
// For connections that carry anything but SSH: there a Write that returns says
// more than it does here. The forwards inside an SSH connection are the
// relay's (package session).
//
// # Sources
//
// RFC 4253 §4.2 (version strings) and §6; golang.org/x/crypto/ssh v0.58.0,
// whose transport and mux decide the sizes; OpenSSH's PROTOCOL §2.1, for which
// the version string begins as it does.
package fastconn
