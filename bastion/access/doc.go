// Package access is the one place that decides what a proven user may do, and
// that holds what is open to it.
//
// Everything that wants an answer asks a Login: connecting to a target, opening
// a channel, listing targets, the recheck of what runs, who waits for approval.
// All answers come from one function that makes a policy.Request (Subject.ask)
// and one that has it decided (Login.decide): by policy, approvals and time.
// Listings therefore say what connecting would do. Where something opens, the
// account (disabled, removed, ended, its key taken away) and the age of the code
// are asked first (Login.open); whoever lists is logged in and was asked.
//
//	gate.go       the policy in force; what everything else hangs on
//	subject.go    a user as policy sees them; the one maker of requests; listings
//	login.go      one login on one client connection: Open, Authorise, Again
//	refused.go    a refusal with what the audit log is told of it
//	hold.go       what runs under a grant: it is decided anew, warned and ended
//	registry.go   all holds and logins; revocation
//	crowd.go      how much one user has open, and may
//	departed.go   users of a directory who left it, or groups there
//	accounts.go   accounts that change at another server on the same database
//	watch.go      when a hold is decided anew
//	budget.go     brakes on bytes, by session and day
//	beside.go     what targets say beside files, by user and day
//	approvals.go  who waits for whose approval; await.go is the waiting, book.go
//	              what the database keeps of it
//
// # Guarantees
//
// The zero answer permits nothing. Whoever takes access away changes the
// account or the policy first and then ends what is registered; whoever opens
// something registers it first and is then asked again (Login.Hold): so one of
// the two sees the other.
//
// What runs follows its grant. It is decided anew at every new policy, at every
// moment at which time may change something, and when its user's account
// changed, here or at another server; it ends within two seconds of what ends
// it. When accounts can't be read nothing new opens, and what runs goes on: its
// recording doesn't need them.
//
// Approvals are in the database (Book), bound to user, target, rule and source
// address: a restart keeps them, and an approval at one server lets in whoever
// waits at another one on that database, within a second. They go with what takes
// the user's access away. One for few sessions (`uses`) is used up before such a
// session begins, by one caller of all; what ran before it was given doesn't get
// it. Of a tcp target, whose connections are no sessions, a client connection
// uses it. Where an approval would give more than the user has without it, nobody
// waits when connecting: `ssh entry ask` asks.
//
// Budgets count all bytes of every channel, in the direction they have. They are
// brakes, not data-loss prevention: what a screen shows can be copied by hand.
// A day is one of UTC. Its bytes are reserved in the store in blocks before they
// are moved, so that sessions side by side, on all servers of one database,
// never move more than the limit; a crash counts what was reserved, at most
// 64 MiB a session, as moved. A reload's limits hold for what is live.
//
// # Locks
//
// In this order: swapping (one new policy at a time; held while holds are told),
// then a hold's, then a budget's (held across the store's transaction). The
// registry's and the waits' are held for a few instructions, and nothing is
// taken or waited for under them.
//
// # Goroutines
//
// A Gate runs two that end the process if they panic, since what was revoked
// would go on without them: one that waits for changes of accounts, one that
// looks at them. A hold has one, its watch, in its connection's group. Who waits
// for approval does so on the goroutine of the channel or of the handshake.
//
// When not to use it: for a decision about nobody who is logged in (a policy's
// own tests, who-can, differences between policies): those ask packages policy
// and policy/compare. Nothing here dials, relays or logs: causes that nobody
// waits for go to Options.Trouble.
package access
