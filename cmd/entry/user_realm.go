//go:build linux

package main

import "github.com/spf13/cobra"

func realmCmd() *cobra.Command {
	return setCmd("realm USER REALM|none", "Let a directory judge a user's passphrase",
		`Let a directory of the configuration (realms) judge a user's passphrase from now
on; "none" brings it back here. The code and the first enrolment stay with entry:
somebody new still needs the temporary passphrase of an invitation once. The
passphrase that entry kept is dropped, so after "none" the user needs
entry user reset USER --keep-authenticators. What the user has open ends.

An entry that the directory has made anew under the same name is taken for another
person's, who begins anew here, too. Where it is the same person's, as after a
directory was moved, say so before they come: the same command again.`,
		"  entry user realm alice duo\n  entry user realm alice none",
		"/realm", "the realm", func(realm string) (any, error) {
			if realm == "none" {
				realm = ""
			}
			return map[string]string{"realm": realm}, nil
		})
}
