package bastion

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"golang.org/x/crypto/ssh"

	"entry/audit/plain"
	"entry/bastion/identity"
)

// banner shows one line before the end of authentication. Clients may hide
// it, so it never carries what a prompt could.
func (l *login) banner(text string) {
	if l.pre != nil {
		_ = l.pre.SendAuthBanner(text + "\r\n") // the peer may be gone: then there is nobody to tell
	}
}

// saying shows lines to a client whose authentication isn't over; "" shows
// nothing and keeps the connection alive. Where something was asked, they go
// the same way, in rounds without questions, which clients answer by
// themselves: PuTTY keeps banners back until the asking is over, and an answer
// tells that somebody is there. Else they are banners. ask may be nil.
func saying(pre ssh.ServerPreAuthConn, ask ssh.KeyboardInteractiveChallenge) func(string) error {
	if pre == nil {
		return func(string) error { return errRefused }
	}
	dropbear := isDropbear(pre.ClientVersion())
	if ask != nil {
		return func(text string) error {
			if dropbear && text != "" {
				text += "\n" // it adds none
			}
			_, err := ask("", text, nil, nil)
			return err
		}
	}
	return func(text string) error {
		switch {
		case text != "":
			text += "\r\n"
		case dropbear:
			return nil // it shows a line for an empty banner
		}
		return pre.SendAuthBanner(text)
	}
}

func isDropbear(version []byte) bool { return bytes.HasPrefix(version, []byte("SSH-2.0-dropbear")) }

// promptWidth is how many columns of a question stand in one line: with the name that
// OpenSSH puts before the first one, it fits a terminal of 80.
const promptWidth = 62

// asker carries one prompt a round over keyboard-interactive. Everything is in
// the prompt: clients cut, escape or hide instructions.
type asker ssh.KeyboardInteractiveChallenge

func (a asker) Ask(ctx context.Context, prompt string, echo bool) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	answers, err := a("", "", []string{plain.Prompt(prompt, promptWidth)}, []bool{echo})
	if err != nil {
		return "", fmt.Errorf("ask: %w", err)
	}
	if len(answers) != 1 {
		return "", errors.New("ask: not one answer")
	}
	return answers[0], nil
}

// attentive tells the connection's place of each answer, that somebody is there, and
// of dialogues that came to nothing.
type attentive struct {
	asker
	ticket *ticket
	state  *identity.ConnState
}

func (a attentive) Ask(ctx context.Context, prompt string, echo bool) (string, error) {
	if a.state.Refused() {
		a.ticket.wasRefused()
	}
	answer, err := a.asker.Ask(ctx, prompt, echo)
	if err == nil && answer != "" {
		a.ticket.answered()
	}
	return answer, err
}
