// Package play shows recordings to people: it replays a channel in a terminal
// and writes it in other formats.
//
// # Guarantees
//
// A recording is what a target or its user chose to print. Replay and the text
// export show what stood on its screen (package screen) and pass nothing on but
// characters and styles; commands are what was found on the screen, where a target can
// show what looks like one; the asciicast export passes what a player needs to draw
// the same picture and nothing that acts outside it: no title, no clipboard, no
// query whose answer would arrive as typed input, nothing that turns text around.
// Only the format that says AsItCame is not safe on a terminal. Notes quote what
// came from a peer. Memory is bounded whatever the recording holds.
//
// When not to use it: to verify a recording or to read what it holds as data;
// package recording does both.
//
// Sources: ECMA-48 and xterm's control sequences (what passes, and why),
// https://docs.asciinema.org/manual/asciicast/v3.
package play
