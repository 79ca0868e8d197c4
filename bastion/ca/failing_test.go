package ca

import (
	"errors"
	"io"

	"golang.org/x/crypto/ssh"
)

// failing is a signer that can be told to break.
type failing struct {
	ssh.Signer
	broken bool
}

func (f *failing) Sign(rand io.Reader, data []byte) (*ssh.Signature, error) {
	if f.broken {
		return nil, errors.New("broken")
	}
	return f.Signer.Sign(rand, data)
}
