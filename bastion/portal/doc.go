// Package portal is `ssh entry`: what users do for themselves on their
// connection to entry, by commands or at a prompt of the portal's own. It leads
// to no shell and no files of the machine.
//
//	portal.go    one session channel: its requests, its end
//	terminal.go  the desk: prompts and answers, with and without a terminal
//	verbs.go     the commands, their help, the prompt, what failures say
//	account.go   enroll, passwd, keys, recovery
//	approve.go   ask and approve
//	config.go    ready files for clients
//	doctor.go    what stands in the user's way
//	sessions.go  targets, and sessions live and past
//
// Every command asks anew whether the login still stands. What strengthens or
// renews access asks for a fresh code inside the command. Everything is plain
// lines: nothing moves the cursor, and nothing is said by a colour alone. What
// users or peers chose is shown by package plain. Causes go to Options.Trouble.
//
// When not to use it: a session on a target never passes through here.
package portal
