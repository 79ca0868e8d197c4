//go:build linux

package main

import "github.com/spf13/cobra"

func realmCmd() *cobra.Command {
	return setCmd("realm USER REALM|none", "Let a directory judge a user's passphrase",
		`Let a directory of the configuration (realms) judge a user's passphrase from now
on; "none" brings it back here. The code and the first enrolment stay with entry:
somebody new still needs the temporary passphrase of an invitation once. The
passphrase that entry kept is dropped, so after "none" the user needs
entry user reset USER --keep-authenticators. What the user has open ends.`,
		"  entry user realm alice duo\n  entry user realm alice none",
		"/realm", "the realm", func(realm string) (any, error) {
			if realm == "none" {
				realm = ""
			}
			return map[string]string{"realm": realm}, nil
		})
}
