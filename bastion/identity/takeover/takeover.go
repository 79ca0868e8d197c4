package takeover

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"entry/bastion/identity"
)

const (
	maxFile   = 16 << 10 // bytes; a request to the server holds up to two of them, escaped
	maxShadow = 4 << 20  // bytes; some thousand accounts
)

// Sources are the files of another system: those of all users in Homes, or those
// of one User.
type Sources struct {
	// Homes has a folder for each user, such as /home or a copy of it, with any of
	// .google_authenticator, google_authenticator, .ssh/authorized_keys and
	// authorized_keys in it.
	Homes string
	// User is the one whose files are the next two. Empty stands for all in Homes.
	User                                string
	GoogleAuthenticator, AuthorizedKeys string // "" for none
	// Shadow has lines as /etc/shadow does, for whoever is asked for. "" for none.
	Shadow string
}

// Candidate is one user of the other system.
type Candidate struct {
	identity.Imported
	Notes []string // what of theirs was left out, and why
}

// ErrNothing: the files hold nothing of anybody, or nothing of the one User.
var ErrNothing = errors.New("takeover: there is nothing to take over")

// InputError says that something which Sources name can't be read, or isn't what
// it should be.
type InputError struct{ err error }

func (e *InputError) Error() string { return e.err.Error() }
func (e *InputError) Unwrap() error { return e.err }

// Read collects what is to be taken over, users of Homes by name. Folders without
// any of the files, and accounts of Shadow without a folder, are passed over. Its
// errors are ErrNothing, *InputError, and those of a folder that can't be opened.
func Read(s Sources) ([]Candidate, error) {
	hashes, err := readShadow(s.Shadow)
	if err != nil {
		return nil, err
	}
	if s.User != "" {
		c := Candidate{Imported: identity.Imported{Name: s.User, Crypt: hashes[s.User]}}
		if s.GoogleAuthenticator == "" && s.AuthorizedKeys == "" && c.Crypt == "" {
			return nil, ErrNothing
		}
		err := errors.Join(readNamed(s.GoogleAuthenticator, maxFile, c.addGoogle), readNamed(s.AuthorizedKeys, maxFile, c.addKeys))
		if err != nil {
			return nil, err
		}
		return []Candidate{c}, nil
	}
	return readHomes(s.Homes, hashes)
}

func readHomes(dir string, hashes map[string]string) ([]Candidate, error) {
	folders, err := os.ReadDir(dir)
	if err != nil {
		return nil, &InputError{err}
	}
	var all []Candidate
	for _, f := range folders {
		if !f.IsDir() {
			continue
		}
		root, err := os.OpenRoot(filepath.Join(dir, f.Name()))
		if err != nil {
			return nil, err
		}
		c := Candidate{Imported: identity.Imported{Name: f.Name(), Crypt: hashes[f.Name()]}}
		c.readHome(root)
		if err := root.Close(); err != nil {
			return nil, err
		}
		if len(c.Seeds)+len(c.KeyLines)+len(c.Notes) > 0 || c.Crypt != "" {
			all = append(all, c)
		}
	}
	if len(all) == 0 {
		return nil, ErrNothing
	}
	return all, nil
}

// readHome reads one user's folder.
func (c *Candidate) readHome(root *os.Root) {
	for _, name := range []string{".google_authenticator", "google_authenticator"} {
		c.one(root, name, c.addGoogle)
	}
	for _, name := range []string{".ssh/authorized_keys", "authorized_keys"} {
		c.one(root, name, c.addKeys)
	}
}

// one reads a file if it is there, and notes what is wrong with it.
func (c *Candidate) one(root *os.Root, name string, add func(string) error) {
	f, err := root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0) // it may be a pipe
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	if err == nil {
		err = readAll(f, maxFile, add)
	}
	if err != nil {
		c.Notes = append(c.Notes, name+" was left out: "+err.Error())
	}
}

func (c *Candidate) addGoogle(text string) error {
	seed, err := parseGoogleAuthenticator(text)
	if err == nil {
		c.Seeds = append(c.Seeds, seed)
	}
	return err
}

func (c *Candidate) addKeys(text string) error {
	c.KeyLines = append(c.KeyLines, strings.Split(text, "\n")...)
	return nil
}

// readShadow gives the hash of each account of a shadow file.
func readShadow(path string) (hashes map[string]string, err error) {
	err = readNamed(path, maxShadow, func(text string) (err error) {
		hashes, err = parseShadow(text)
		return err
	})
	return hashes, err
}

// readNamed gives the text of a file that the caller names: there, what is wrong
// with it is an error.
func readNamed(path string, most int64, add func(string) error) error {
	if path == "" {
		return nil
	}
	f, err := os.Open(path)
	if err != nil {
		return &InputError{err}
	}
	if err := readAll(f, most, add); err != nil {
		return &InputError{fmt.Errorf("%s: %w", path, err)}
	}
	return nil
}

// readAll gives the text of a small regular file to add, and closes it.
func readAll(f fs.File, most int64, add func(string) error) (err error) {
	defer func() { err = errors.Join(err, f.Close()) }()
	fi, err := f.Stat()
	if err != nil {
		return err
	}
	if !fi.Mode().IsRegular() {
		return errors.New("it is no regular file")
	}
	b, err := io.ReadAll(io.LimitReader(f, most+1))
	if err != nil {
		return err
	}
	if int64(len(b)) > most {
		return fmt.Errorf("it is larger than %d KiB", most>>10)
	}
	return add(string(b))
}
