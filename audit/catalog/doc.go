// Package catalog says what is known of recorded sessions, by their recordings and by what
// the audit log says of them: which one somebody means, which are wanted, a list of them,
// and all that is known of one. It makes both forms, text for people and JSON.
//
// # Guarantees
//
// No seal is opened here: what a seal hides comes in only as channels that a caller has
// read, who noted that in the log first. Whatever a peer sent is quoted in text. Without
// the log less is said, and nothing is guessed.
//
// When not to use it: to judge a recording (evidence.VerifyOne does, and Sheet shows it),
// or for what is in one (session/recording/play, session/recording/find).
package catalog
