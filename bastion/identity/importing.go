package identity

import "context"

// Imported is an account of another system.
type Imported struct {
	Name     string
	Seeds    [][]byte // TOTP seeds: SHA-1, six digits, 30 s
	Crypt    string   // crypt(3) hash as in /etc/shadow; "" for none
	KeyLines []string // lines of authorized_keys; empty lines and comments are skipped
}

// ImportResult is what became of one Imported.
type ImportResult struct {
	Name  string   `json:"user"`
	Added bool     `json:"added"`
	Notes []string `json:"notes,omitempty"` // what was left out, and what to do
}

// Import makes accounts that need no new enrolment: the first login with the old
// passphrase and a code of the old authenticator re-hashes the passphrase. An
// account that exists is left alone. One that can't be taken over is reported
// and doesn't stop the others; the error is ErrUnavailable.
func (a *Authenticator) Import(ctx context.Context, all []Imported) ([]ImportResult, error) {
	return nil, ErrUnavailable
}

// ParseGoogleAuthenticator returns the seed of a .google_authenticator file, or
// a *Refusal that says why its codes can't be taken over. Emergency codes are
// not.
func ParseGoogleAuthenticator(text string) (seed []byte, err error) {
	return nil, &Refusal{Text: "not a .google_authenticator file"}
}
