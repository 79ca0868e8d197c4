// Package control reads tmux's control mode (tmux(1), -C and -CC, which iTerm2's
// integration uses) in what a program wrote to a terminal, and gives each pane's output
// to a screen of its own.
//
// When not to use it: to speak the protocol, or to believe it. What looks like control
// mode may be written by anybody.
//
// # Guarantees
//
// Nothing gets lost by it. What surrounds the screens of panes gets every byte as it came,
// but for lines of a pane's output within the control string of -CC, and of those each
// letter reaches that pane's screen. Where one can't, Unread says so.
//
// Memory is bounded: by a number of panes and of cells, of which those that were written
// to longest ago are closed for new ones, and by the length of lines. Nothing recurses.
//
// A pane has the size that the last layout tells, which tmux sends at each change, or
// answers to those who ask for it; before that it has the size of the terminal around it.
// What a pane showed before somebody attached is in an answer (of capture-pane), which
// doesn't say of which pane it is: it stands around the panes.
//
// Source: tmux(1), CONTROL MODE; tmux's control.c, control-notify.c and layout-custom.c
// for what the manual leaves out.
package control
