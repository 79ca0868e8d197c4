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
// A line is told when it goes: once it has scrolled off, or all ends; or when
// something of it is erased, overwritten, scrolled away or hidden by the end of a
// program's own screen. It is told whole, as it stood, with since when it stood so and
// until when, if that was a tenth of a second: whatever stood there before and
// whatever comes after. A line that only grows (somebody types it) is told once, with
// when its parts came.
//
// The law is about letters. Each one that stood for a tenth of a second is told, since
// when it stood, whatever is drawn beside it: of a line that never stands still (a
// spinner, a counter) the words that stood are told, with an ellipsis where something
// else was drawn in place of something else. A letter whose marks, case or width change
// faster than that stands all the while; each form that stood is told. Until when letters
// were told is known of each, so that of lines that have the same letters one begins where
// the other ends, and Line.Before has of any time what stood then. What came to stand
// somewhere else, where a program scrolls by drawing, isn't gone.
//
// What comes and goes is told, with its row, once all its times together are a tenth of a
// second, again after each second of them, and a second after it went for good. It is known
// again by its place, and wherever it stands by any four letters in a row (or a whole
// shorter word), so that it doesn't matter what is glued to it. Memory for that is bounded:
// who floods it within a second has told what comes and goes at once. What shows for less than
// the transcript looks counts by its place. Where parts of a row come and go by turns, the row
// is told as it looks to eyes that still see the other part. Line.Flashed has since when all
// that did. Text that stood for less was nothing to read and is told only if it stays.
//
// A phrase of which no letter goes, but in which something comes between two words of it, so that
// no gap of more than two blanks is left there, isn't what it was, and is told as it stood.
// Where one is left, as before a prompt at the right, the line grows.
//
// A line is what it is, whatever rows it takes. When the width changes, its letters keep
// since when they stand; rows of it that scroll off wait for the others, however the size
// changes meanwhile, and it is told whole once the last one goes, or before what isn't its
// any more would be joined with it. Rows that had gone, and come back since the screen grew,
// stand there again since then (Returned).
//
// Lines are told in the order of the times since when they stood. What waits for that
// is bounded; beyond it, lines that still stand are told before they go, and once more
// if they are erased. How much is told that was told before, since a part of its line
// changed, is bounded by what is written and by time; beyond that, lines are told by
// the words that went.
//
// What control strings hold is told as concealed, for not every terminal hides it: short
// ones once each, but for colours and marks that say nothing. A window's title is told
// whenever it changes (Line.Title).
//
// Not all terminals erase and move alike. What none but some erase isn't erased here
// (DECSED, DECSEL, sequences with more parameters than others take). Where a control comes
// that they carry out otherwise, what was written since a tenth of a second before it is
// told as it was written, once each, unless it stands for as long (Written), with when that
// was and until when it stood here: on one of them it may stand for ever. If that moves the
// cursor, what follows may stand elsewhere, too, until the cursor is put somewhere (astray.go). So is all that is written while a mode is on that makes them
// differ: VT52, margins, protected areas, reverse wraparound, LNM. Letters needn't come in the
// order in which they are read: so what goes, or may, before it stood for a tenth of a second is
// told as it stood, too, whole, though it came backwards. That is what stands when the screen is
// cleared or reset, or the other one shows, for many terminals push it above the screen, or have
// no other one, unless that is cleared, too: each line of it, however many are cleared at once;
// what scrolls off a region of the main screen, which tmux keeps above that;
// and when synchronized output begins, for who has that keeps it on the screen.
//
// How large a terminal is is its client's word. The cursor knows where it would be on one that is
// wider, higher or both, by positions that this one hasn't, line feeds at the bottom, wraps and
// scroll regions; and what is erased or written over here, and stands there, is told as it stands
// there (beyond.go). Of a word that a wider screen has in one row and this one in two the parts
// may be told apart. What stands so on a smaller one than the client said isn't known.
//
// Whatever becomes of it, what is words in DEC's graphic set is told as it is on terminals
// without that, as are words with soft hyphens without those, which some don't show; and what is
// no UTF-8 as Windows-1252 has that, for some show it so.
package screen
