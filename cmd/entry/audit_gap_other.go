//go:build !linux

package main

import "github.com/spf13/cobra"

// writersVerbs are the verbs of entry audit that change a log: the server's
// machine has them.
func writersVerbs() []*cobra.Command { return nil }
