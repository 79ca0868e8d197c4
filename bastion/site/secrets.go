//go:build linux

package site

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"entry/audit/plain"
	"entry/bastion/admin"
	"entry/bastion/gateway"
	"entry/bastion/identity"
	"entry/configs"
)

// Secrets is where many new users' secrets go: each into a file of its own, or to the
// program that hands them out. What was served is known by the files, so that whoever is
// cut off does the same again.
type Secrets struct {
	Dir     string // of the files, or of who was served
	Invite  bool   // temporary passphrases come in two halves, each with a guide
	HandOut bool   // notices.command gets them
	Guides  string // folder of the guides; "" for the configuration's, if it has one

	cfg   *configs.Config
	guide func(identity.UserInfo) (*Pages, error) // nil for none
}

// Prepare makes what Serve needs; an error says what would fail for everybody.
func (s *Secrets) Prepare(cfg *configs.Config) (err error) {
	s.cfg = cfg
	if s.HandOut {
		if err := canHandOut(cfg); err != nil {
			return err
		}
	}
	if s.Invite && (s.Guides != "" || cfg.Guides.Directory != "") {
		s.guide, err = Guides(cfg)
	}
	return err
}

// parts are the ends of the names of a user's files.
func (s Secrets) parts() []string {
	if s.Invite {
		return []string{"first-half", "second-half"}
	}
	return []string{"temporary-passphrase"}
}

// begunFile has the names of those who were added into Dir, before they were: whoever of
// them wasn't served is by the same again, and nobody else's invitation is touched by it.
const begunFile = ".begun"

// Begun are those whom this and earlier runs into Dir add, of whom people are this one's: with
// renew all of those, else only who isn't among users, who have an account, from elsewhere.
func (s Secrets) Begun(people []admin.NewPerson, users []identity.UserInfo, renew bool) (map[string]bool, error) {
	b, err := os.ReadFile(filepath.Join(s.Dir, begunFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	names, there := map[string]bool{}, map[string]bool{}
	for name := range strings.Lines(string(b)) {
		names[strings.TrimSuffix(name, "\n")] = true
	}
	for _, u := range users {
		there[u.Name] = true
	}
	for _, p := range people {
		if !there[p.Name] || renew {
			names[p.Name] = true
		}
	}
	return names, nil
}

// Renews tells whether a user gets new secrets, if there are some that aren't used yet: who
// was begun and isn't served, and with renew everybody.
func (s Secrets) Renews(user string, begun map[string]bool, renew bool) bool {
	return renew || begun[user] && !s.Served(user)
}

// Elsewhere is how many were invited already, and not into Dir.
func (s Secrets) Elsewhere(made []admin.ManyResult) (n int) {
	for _, r := range made {
		if r.Outcome == identity.Waits && !s.Served(r.User) {
			n++
		}
	}
	return n
}

// Begin makes Dir and notes whom it will have; undo is for where nobody was added.
func (s Secrets) Begin(names map[string]bool) (undo func(), err error) {
	made := !exists(s.Dir)
	if err := os.MkdirAll(s.Dir, 0o700); err != nil {
		return nil, err
	}
	path := filepath.Join(s.Dir, begunFile)
	before, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var text strings.Builder
	for _, name := range slices.Sorted(maps.Keys(names)) {
		text.WriteString(name + "\n")
	}
	undo = func() { // what stays is in nobody's way
		if err := os.Remove(path); err == nil && before != nil {
			_ = WriteSecret(path, string(before))
		}
		if made {
			_ = os.Remove(s.Dir)
		}
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return undo, err
	}
	return undo, WriteSecret(path, text.String())
}

// Served tells whether the user's secrets are there, or were handed out.
func (s Secrets) Served(user string) bool {
	if exists(filepath.Join(s.Dir, user+".handed-out")) {
		return true
	}
	for _, part := range s.parts() {
		if !exists(filepath.Join(s.Dir, user+"."+part)) {
			return false
		}
	}
	return true
}

// Serve writes, or hands out, what one user needs, whose codes go to phone.
func (s Secrets) Serve(ctx context.Context, r admin.ManyResult, phone string) error {
	secrets := []string{r.Passphrase}
	if s.Invite {
		secrets = []string{r.First, r.Second}
	}
	fresh := secrets[0] != ""
	if fresh {
		// Of two that don't belong together, one would be left by a failure between.
		for _, old := range append(s.parts(), "handed-out") {
			if err := os.Remove(filepath.Join(s.Dir, r.User+"."+old)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
		if s.guide != nil {
			pages, err := s.guide(identity.UserInfo{Name: r.User})
			if err != nil {
				return err
			}
			if s.Guides != "" {
				_, err = pages.Replace(s.Guides, r.User)
			} else {
				_, err = pages.Publish(s.cfg.Guides.Directory, r.User)
			}
			if err != nil {
				return err
			}
		}
	}
	for i, part := range s.parts() {
		path := filepath.Join(s.Dir, r.User+"."+part)
		if fresh && !s.HandOut {
			if err := WriteSecret(path, secrets[i]+"\n"); err != nil {
				return err
			}
		}
		if fresh && s.HandOut {
			if err := handOut(ctx, s.cfg, gateway.Secret{User: r.User, Kind: part, At: time.Now().UTC(), Secret: secrets[i], Phone: phone, Until: r.Until}); err != nil {
				return fmt.Errorf("it could not be handed out: %w", err)
			}
		}
	}
	if fresh && s.HandOut {
		return WriteSecret(filepath.Join(s.Dir, r.User+".handed-out"), "until "+plain.Moment(r.Until)+"\n")
	}
	return nil
}
