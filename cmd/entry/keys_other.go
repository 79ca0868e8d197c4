//go:build !unix

package main

import "entry/session/recording/play"

// openKeys gives no keys here: Ctrl-C ends a replay.
func openKeys() (keys func() []play.Key, closeKeys func() error) {
	return func() []play.Key { return nil }, func() error { return nil }
}
