// Package compare asks about many decisions at once, where package policy makes
// one: what differs between two policies ([Diff]), who has a capability on a
// target ([WhoCan]), which rules another leaves without effect ([Warnings]), and
// what a policy would have made of the accesses in an audit log ([Replay]).
//
// [Load] reads a policy as all who show or serve it do: with those warnings, and held
// against the configuration.
//
// Rules are compared as they are written, by what their conditions, lists and
// limits admit, not by when they happen to be met; each function says what it
// can't find. None changes a policy or reads a clock.
//
// It isn't for deciding: nothing on the way of a connection calls it, and it
// takes its time over a large policy.
package compare
