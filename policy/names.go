package policy

import (
	"fmt"
	"regexp"
)

var (
	userForm  = regexp.MustCompile(`^[a-z][a-z0-9._-]{0,31}$`)
	labelForm = regexp.MustCompile(`^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$`)
	ruleForm  = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,63}$`)
	// A comma would end a certificate principal (OpenSSH CVE-2026-35414), and a
	// leading dash would be an option to somebody's shell script.
	loginForm = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._@-]{0,63}$`)
)

// reserved are names that a target can't have: they already mean something to
// every client of the server.
var reserved = map[string]string{
	"entry":     "it is the server's own name",
	"localhost": "every machine calls itself that",
}

// reservedLabs are names that a lab can't have.
var reservedLabs = map[string]string{
	"pub": "the files with its targets' host keys would be taken for public keys, which end in .pub",
}

// ValidUser tells what is wrong with name as a user's name, or returns nil.
// The form is [a-z][a-z0-9._-]{0,31}. The error doesn't repeat the name:
// people type passphrases at user prompts.
func ValidUser(name string) error {
	if !userForm.MatchString(name) {
		return fmt.Errorf("a user name is 1 to 32 of a-z, 0-9, dot, underscore and dash, beginning with a letter")
	}
	return nil
}

// validLabel checks the name of a lab, target or group: one lower-case DNS
// label that begins with a letter, so that no full name reads as an address.
func validLabel(name string) error {
	if !labelForm.MatchString(name) {
		return fmt.Errorf("a name is 1 to 63 of a-z, 0-9 and dash, beginning with a letter and not ending with a dash")
	}
	return nil
}
