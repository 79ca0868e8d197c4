// Package bench measures entry beside a plain sshd as the jump host (`ssh -J`), and
// beside other servers that record where they can be had: on one machine, over the
// loopback interface, in turns. docs/performance.md says how to run it and how to
// read what it prints.
//
// It is a test binary, since what it starts has to end with it and what it compares
// has to be right: a run whose bytes aren't the ones that were sent fails. With
// -rounds (which `make bench` gives) it measures; without, as in `make test`, it goes
// through each row once, with little, to show that the row works.
//
// Clients that have to be many, and the target that they log in on, are processes of
// their own: this binary again, in a role (roles_test.go). Nothing here knows entry's
// packages but the audit log's, whose appends are measured without a server.
package bench
