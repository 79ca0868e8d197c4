// Package play shows recordings to people: it replays a channel in a terminal
// and writes it in other formats.
//
// # Guarantees
//
// A recording is what a target or its user chose to print. What Replay and the
// formats write, but for the one that says AsItCame, is safe on a terminal: no
// title, no clipboard, no query whose answer would arrive as typed input, no
// mode that stays, no control character in either form, nothing that turns text
// around. Notes quote what came from a peer. Memory is bounded whatever the
// recording holds.
//
// When not to use it: to verify a recording or to read what it holds as data;
// package recording does both.
//
// Sources: ECMA-48 and xterm's control sequences (what passes, and why),
// https://docs.asciinema.org/manual/asciicast/v3.
package play
