// Package testkit is what the tests of all packages share: how long to wait and
// how a wait is bounded, a clock that tests turn, programs and a real sshd that
// run beside a test, ports and folders that nobody else has, and how large a
// long test is.
//
// It imports none of entry's packages, so that tests inside any of them can use
// it; testkit/logbook and testkit/policies are for those above audit and
// policy. Only tests import them (e2e/layers_test.go).
//
// # Waiting
//
// Tests don't sleep, and no test depends on how fast a machine is. A test waits
// for a condition, with Within, Eventually, Receive, Finishes or a Context; the
// bound it gives is in the time of a quiet machine. This package alone decides
// what that is on a busy one (Slowness): a wait uses its bound up the more
// slowly the more others want the processors, which is looked at again while it
// waits. What must know a number beforehand, such as a deadline of a connection
// or a limit in a configuration, takes Bound or Deadline.
//
// A bound is where a hang becomes a failure, not a measure of speed: none is
// tight. Where a time is part of what is promised (an end within two seconds),
// it is compared with Bound of it, which on a quiet machine is the promise
// itself.
//
// # When not to use it
//
// Time that a test can own is a Clock's or synctest's: nothing waits then.
//
// Programs and sshd are there on Linux only: the kernel ends them if the test
// binary dies.
package testkit
