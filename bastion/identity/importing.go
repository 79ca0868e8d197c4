package identity

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"entry/audit"
	"entry/audit/plain"
	"entry/bastion/identity/secret"
	"entry/policy"
)

// importedDevice is the name of an authenticator that came along.
const importedDevice = "imported"

// Imported is an account of another system.
type Imported struct {
	Name     string   `json:"user"`
	Seeds    [][]byte `json:"seeds,omitempty"`     // TOTP seeds: SHA-1, six digits, 30 s
	Crypt    string   `json:"crypt,omitempty"`     // crypt(3) hash as in /etc/shadow; "" for none
	KeyLines []string `json:"key_lines,omitempty"` // lines of authorized_keys; empty lines and comments are skipped

	// What restricted the account there, and does here.
	Ends          time.Time `json:"ends,omitzero"`           // its last moment; zero for none
	PassphraseSet time.Time `json:"passphrase_set,omitzero"` // zero where that isn't known
	MustChange    bool      `json:"must_change,omitempty"`   // the passphrase opens nothing but its change
	// MaxAge is after how long the passphrase had to be changed; 0 for any. It is kept
	// as far as it is the same for all, and noted otherwise.
	MaxAge time.Duration `json:"max_age,omitempty"`
	// Beside are others of the same import who have one of the keys, too: that is said
	// already.
	Beside []string `json:"beside,omitempty"`
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
// and doesn't stop the others; the error is ErrUnavailable, and the results up
// to there come with it.
func (a Operators) Import(ctx context.Context, all []Imported) ([]ImportResult, error) {
	return a.importAll(ctx, all, func(acct Account) error {
		// Looked up first, so that the log doesn't announce what can't be.
		if err := a.vacant(ctx, acct); err != nil {
			return err
		}
		return a.created(ctx, acct, a.adminEvent(ctx, audit.UserImported, acct.Name, nil))
	})
}

// CheckImport says what Import would do now, and changes nothing.
func (a Operators) CheckImport(ctx context.Context, all []Imported) ([]ImportResult, error) {
	return a.importAll(ctx, all, func(acct Account) error { return a.vacant(ctx, acct) })
}

// vacant returns ErrExists if the name of acct is taken.
func (a Operators) vacant(ctx context.Context, acct Account) error {
	_, err := a.store.Account(ctx, acct.Name)
	switch {
	case err == nil:
		return ErrExists
	case errors.Is(err, ErrNoAccount):
		return nil
	}
	return err
}

func (a Operators) importAll(ctx context.Context, all []Imported, create func(Account) error) ([]ImportResult, error) {
	results := make([]ImportResult, 0, len(all))
	for _, in := range all {
		r, err := a.importOne(ctx, in, create)
		if errors.Is(err, ErrUnavailable) {
			return results, fmt.Errorf("import user: %w", err)
		}
		results = append(results, r)
	}
	return results, nil
}

func (a Operators) importOne(ctx context.Context, in Imported, create func(Account) error) (ImportResult, error) {
	r := ImportResult{Name: in.Name}
	note := func(format string, args ...any) { r.Notes = append(r.Notes, fmt.Sprintf(format, args...)) }
	if err := policy.ValidUser(in.Name); err != nil {
		note("not added: %v", err)
		return r, nil
	}
	acct := Account{ID: secret.NewID(), Name: in.Name, Generation: 1, Created: a.now(), Ends: in.Ends}
	for _, seed := range in.Seeds {
		if len(seed) < secret.MinSeed || len(seed) > secret.MaxSeed || len(acct.Authenticators) == maxDevices {
			note("an authenticator was left out: its seed has %d bytes, or it is one too many", len(seed))
			continue
		}
		name := importedDevice
		if n := len(acct.Authenticators); n > 0 {
			name = fmt.Sprintf("%s %d", importedDevice, n+1)
		}
		id := secret.NewID()
		acct.Authenticators = append(acct.Authenticators, EnrolledAuthenticator{
			// What was spent elsewhere isn't known: nothing up to now counts here.
			ID: id, Name: name, Sealed: a.keys.SealSeed(acct.ID, id, seed), Created: a.now(), LastStep: secret.NewestStep(a.now()),
		})
	}
	if in.Crypt != "" {
		if err := secret.CheckImported(in.Crypt); err != nil {
			note("the passphrase was left out: %v", err)
		} else {
			acct.Passphrase, acct.PassphraseSet = in.Crypt, a.now()
			if !in.PassphraseSet.IsZero() && in.PassphraseSet.Before(a.now()) {
				acct.PassphraseSet = in.PassphraseSet
			}
			if in.MustChange {
				acct.PassphraseSet = time.Time{}
			}
		}
	}
	for _, line := range in.KeyLines {
		if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		key, err := parseKey(line)
		if err == nil {
			key.Added = a.now()
			var keys []Key
			if keys, err = withKey(acct.Keys, key); err == nil {
				err = a.noteOthers(ctx, in, key.Fingerprint, note)
			}
			if errors.Is(err, ErrUnavailable) {
				return r, err
			}
			if err == nil {
				acct.Keys = keys
			}
		}
		if err != nil {
			note("a key was left out: %v", err)
		}
	}
	next := a.completeImport(&acct)
	if len(acct.Authenticators)+len(acct.Keys) == 0 {
		if in.Crypt != "" && secret.CheckImported(in.Crypt) == nil {
			note("the passphrase was left out: without an authenticator or a key it opens nothing")
		}
		note("not added: nothing of it can be taken over; entry user invite %s makes the account", in.Name)
		if !in.Ends.IsZero() {
			note("it was to end on %s, which entry user end %s %s keeps", plain.Moment(in.Ends), in.Name, in.Ends.UTC().Format(time.RFC3339))
		}
		return r, nil
	}
	err := storeFailed(create(acct))
	switch {
	case errors.Is(err, ErrExists):
		note("not added: the account exists")
		return r, nil
	case err != nil:
		return r, err
	}
	r.Added = true
	a.noteRestrictions(in, acct, note)
	note("%s", next)
	return r, nil
}

// FirstKeeps is what becomes of a key that several accounts have and none has shown.
const FirstKeeps = "whoever logs in with it first keeps it, alone, unless entry user key add --shared --reason gives it to each"

// noteOthers says who else has a key of in, but for those whom that was said of, or
// returns a *KeyRefused if it is somebody's.
func (a Operators) noteOthers(ctx context.Context, in Imported, fingerprint string, note func(string, ...any)) error {
	holders, err := a.holders(ctx, fingerprint)
	if err != nil {
		return err
	}
	if owner := ownedBy(holders, in.Name); owner != "" {
		return refuseKey("%s is %s, and a key belongs to one account; entry user key add --shared --reason lets %s have it, too", fingerprint, owner, in.Name)
	}
	if others := namesOf(holders, append(in.Beside, in.Name)...); len(others) > 0 {
		note("the key %s is one of %s, too: %s", fingerprint, plain.List(others, mostHolders), FirstKeeps)
	}
	return nil
}

// noteRestrictions says with which restrictions an account was taken over.
func (a Operators) noteRestrictions(in Imported, acct Account, note func(string, ...any)) {
	if !acct.Ends.IsZero() {
		note("ends on %s, as it did there", plain.Moment(acct.Ends))
	}
	switch {
	case acct.Passphrase == "":
	case acct.mustChange():
		note("has to change the passphrase at the next login, as there")
	case in.MaxAge > 0 && (a.lifetimes.passphrase == 0 || a.lifetimes.passphrase > in.MaxAge):
		note("had to change the passphrase every %s there; here passphrase_age says so, for all users", plain.Span(in.MaxAge))
	}
}

// completeImport takes away what is of no use alone and says what the account
// still needs: a passphrase without an authenticator opens nothing.
func (a Operators) completeImport(acct *Account) (next string) {
	switch {
	case len(acct.Authenticators) == 0:
		acct.Passphrase, acct.PassphraseSet = "", time.Time{}
		return "no authenticator came along: entry user invite " + acct.Name + " gives a temporary passphrase for the first login"
	case acct.Passphrase == "":
		return "no passphrase came along: entry user reset " + acct.Name + " --keep-authenticators gives a temporary one"
	}
	return "logs in with the old passphrase and authenticator; ssh " + a.issuer + " recovery makes recovery codes"
}

// rehash replaces an imported hash by argon2id, once its passphrase was typed.
func (d *dialogue) rehash(ctx context.Context, acct Account, typed string) (Account, error) {
	if typed == "" || !secret.Imported(acct.Passphrase) {
		return acct, nil
	}
	next := acct
	var err error
	if next.Passphrase, err = d.a.hasher.Hash(ctx, typed); err != nil {
		return Account{}, err
	}
	e := d.event(audit.PassphraseChanged, "")
	e.Detail = "the same passphrase; its imported hash was replaced"
	return d.save(ctx, next, e)
}
