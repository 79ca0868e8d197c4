package takeover

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"

	"entry/audit/plain"
	"entry/bastion/identity"
	"entry/policy/pubkey"
)

// mostNotes bounds what is said about the lines of one file.
const mostNotes = 40

// addKeys takes the keys of an authorized_keys file over. One with options is left
// out: they restrict it (from, command, expiry-time, …) or say that it is none of a
// user (cert-authority, principals), and entry keeps neither.
func (c *Candidate) addKeys(name, text string) error {
	n, notes := 0, 0
	for line := range strings.Lines(text) {
		n++
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		err := c.addKey(line)
		if err == nil {
			continue
		}
		if notes++; notes <= mostNotes {
			c.Notes = append(c.Notes, fmt.Sprintf("%s, line %d was left out: %v", name, n, err))
		}
	}
	if notes > mostNotes {
		c.Notes = append(c.Notes, fmt.Sprintf("%s: %d more lines were left out", name, notes-mostNotes))
	}
	return nil
}

func (c *Candidate) addKey(line string) error {
	key, _, err := pubkey.Parse(line)
	var no *pubkey.Error
	if errors.As(err, &no) && no.Reason == pubkey.Prefixed {
		if names := optionNames(line); len(names) > 0 {
			return fmt.Errorf("its options (%s) restrict the key or what it is for, and entry keeps no options", strings.Join(names, ", "))
		}
	}
	if err != nil {
		return unquoted(no)
	}
	print := ssh.FingerprintSHA256(key)
	switch {
	case slices.Contains(c.prints, print):
		return nil // twice in the user's files
	case len(c.prints) == identity.MaxKeys:
		return fmt.Errorf("%d keys are the most that an account may have", identity.MaxKeys)
	}
	c.prints, c.KeyLines = append(c.prints, print), append(c.KeyLines, line)
	return nil
}

// mostSharing is how many others a note about one key names.
const mostSharing = 5

// noteShared says to each of those who are to be taken over which of their keys others
// of them have, too.
func noteShared(all []Candidate) {
	holders := map[string][]string{}
	for _, c := range all {
		for _, print := range c.prints {
			if c.Left == "" {
				holders[print] = append(holders[print], c.Name)
			}
		}
	}
	for i := range all {
		c := &all[i]
		if c.Left != "" {
			continue
		}
		for _, print := range c.prints {
			others := slices.DeleteFunc(slices.Clone(holders[print]), func(name string) bool { return name == c.Name })
			if len(others) == 0 {
				continue
			}
			named := make([]string, 0, len(others))
			for _, name := range others {
				named = append(named, plain.Name(name))
			}
			c.Beside = append(c.Beside, others...)
			c.Notes = append(c.Notes, fmt.Sprintf("the key %s is in the files of %s, too: %s", print, plain.List(named, mostSharing), identity.FirstKeeps))
		}
	}
}

// unquoted is why a line was left out, without anything of it: it may be a secret that
// was put into the wrong file.
func unquoted(no *pubkey.Error) error {
	switch {
	case no == nil || no.Reason == pubkey.Malformed:
		return errors.New("it is no public key")
	case no.Reason == pubkey.Unaccepted:
		return errors.New("it is of a type that entry takes no keys of; better: ssh-keygen -t ed25519")
	}
	return no
}

// optionNames are the names of the options before a key, as sshd(8) splits them, at
// most ten of them; what is no option's name is left out.
func optionNames(line string) []string {
	var names []string
	quoted, start := false, 0
	end := func(at int) {
		name, _, _ := strings.Cut(line[start:at], "=")
		if name = strings.ToLower(name); plainName(name) && !slices.Contains(names, name) && len(names) < 10 {
			names = append(names, name)
		}
		start = at + 1
	}
	for i := 0; i < len(line); i++ {
		switch b := line[i]; {
		case b == '\\' && quoted && i+1 < len(line) && line[i+1] == '"':
			i++
		case b == '"':
			quoted = !quoted
		case quoted:
		case b == ',':
			end(i)
		case b == ' ' || b == '\t':
			end(i)
			return names
		}
	}
	return names
}

func plainName(s string) bool {
	return s != "" && len(s) <= 40 && !strings.ContainsFunc(s, func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' })
}
