//go:build linux

package main

import "github.com/spf13/cobra"

func phoneCmd() *cobra.Command {
	return setCmd("phone USER +NUMBER|none", "Send a user's codes by SMS, or no longer",
		`Send a user's codes by SMS to this number, through the gateway of the
configuration (sms), for as long as the user has no authenticator: whoever enrols
one moves to it. The number is the user's second factor: make sure that it is
theirs. Users replace theirs by ssh entry phone, with a code of the old number and
one of the new. What the user has open ends. entry user ls --sms lists them all.`,
		"  entry user phone alice +46701234567\n  entry user phone alice none",
		"/phone", "the number for codes", func(number string) (any, error) {
			if number == "none" {
				number = ""
			}
			return map[string]string{"number": number}, nil
		})
}
