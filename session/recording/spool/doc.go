//go:build linux

// Package spool writes recordings on the server, many at a time, into one
// directory, and recovers and removes them there. Package recording has their
// format and reads them.
//
// Don't use it to read, nor on a copy: opening a spool takes it over.
//
// # Guarantees
//
//   - What Frame accepted is durable after the next tick, one second later at
//     most plus the time a sync takes. Tick's commitment comes after the sync,
//     never before. A crash loses at most what came after the last tick.
//   - A recording that can't take data for Options.Stall, or whose write fails,
//     ends, and says so by Failed. A sync or a commit that fails ends all of
//     them: the system reports a failed write-back once, and doesn't say whose
//     it was. No failure is ever passed over.
//   - Durability is of names. Before each tick the files of what changed have to be
//     where they were, no shorter, and to begin and end with what was written (their
//     keys, to be what was written); those of idle recordings are watched by
//     inotify, and all of them looked at where that lost something or a file system
//     was mounted. What is gone ends its recording within two seconds; the spool
//     itself, or the lists, all of them.
//   - Sealed bytes are written as they are or not at all: after a short write
//     the rest of the same bytes follows.
//   - Under Options.Reserve no recording starts, and under half of it those
//     with data to write end, sealed. The free space is looked at with every
//     tick, and before half of what is left above that was written.
//   - Beyond Options.Share a user's bulk isn't kept that day, which Writer.Stream
//     says; a user can't fill the spool for the others. What a person can read is
//     kept of each terminal, whatever the user's others show. The more of them show
//     more than that at once, the less of each. Beyond two shares no output is kept,
//     and beyond three ErrShare ends the user's recordings that day. A share is a
//     tenth of what is free at most, so one user or two never fill the spool.
//   - A full disk ends recordings, never the spool. The lists of ticks take
//     their space ahead; where that isn't possible, a list that finds no room
//     ends the recordings in it, and is committed once there is room again.
//   - An idle recording holds its file and a few hundred bytes, no buffer and
//     no goroutine. Frame copies; a pool of GOMAXPROCS workers compresses,
//     seals and writes. At most 192 KiB of frames wait in memory for each
//     recording that is busy; then Frame blocks.
//   - The goroutines write what many sessions share: a panic in one ends the
//     process (package group). Close waits for all of them.
//
// It is for Linux alone: one syncfs a second makes any number of recordings
// durable, and reports what couldn't be written back.
package spool
