// Package screen is a terminal that nobody looks at: it carries out what a
// program wrote and holds the cells that a person saw, and it keeps the
// transcript of everything that ever could be read there.
//
// Don't use it to make bytes safe for a terminal that carries them out itself
// (session/recording/play's export does that), nor for data: bytes that aren't
// text have no cells.
//
// # Guarantees
//
// Whatever is written, nothing panics and memory is bounded: by the size, which
// is capped, and by a number of rows scrolled off. Strings (OSC, DCS, APC, PM,
// SOS) are skipped whatever their length. Nothing is ever answered. A cell holds
// printable characters alone: no control in either form, nothing that turns text
// around, nothing invisible.
//
// # Which terminal
//
// xterm as its control-sequence document describes it
// (https://invisible-island.net/xterm/ctlseqs/ctlseqs.html), in UTF-8, with C1
// controls as U+0080 to U+009F. What a change of size does to text isn't said
// there; as in tmux and most of today's terminals, lines of the main screen that
// were wrapped are wrapped anew, and rows go into and come out of the scrollback
// at the top. Titles, mice, fonts, palettes, printing, the left and right margins
// and windows change no cell here.
//
// One table says how wide a character is (Width).
//
// # The transcript
//
// A line is told once it has scrolled off, stands at the end, or something below
// it is told; and before that when text that stood for a tenth of a second is
// erased, overwritten, scrolled away or hidden by a program's own screen. Text
// that stood for less, all its times together, was nothing to read and is told
// only if it stays. Of a line that is drawn again and again (a progress bar, a
// clock, htop's rows) the first look is told whole, later ones by the words that
// stood and changed. A program's own screen tells each of its lines once. What
// stands somewhere else after a program scrolled by drawing isn't gone. What
// control strings hold, but for titles, is told as concealed: not every terminal
// hides it.
package screen
