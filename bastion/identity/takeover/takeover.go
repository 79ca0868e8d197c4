package takeover

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"entry/audit/plain"
	"entry/bastion/identity"
)

// Bounds of what is read, in bytes.
const (
	maxSeedFile = 16 << 10
	maxKeyFile  = 256 << 10 // as many keys as an account may have, of the longest lines
	maxShadow   = 4 << 20   // some thousand accounts
)

// Sources are the files of another system: those of all users in Homes, or those
// of one User.
type Sources struct {
	// Homes has a folder for each user, such as /home or a copy of it, with any of
	// .google_authenticator, google_authenticator, .ssh/authorized_keys,
	// .ssh/authorized_keys2 and authorized_keys in it.
	Homes string
	// User is the one whose files are the next two. Empty stands for all in Homes.
	User                                string
	GoogleAuthenticator, AuthorizedKeys string // "" for none
	// Shadow has lines as /etc/shadow does, for whoever is asked for. "" for none.
	Shadow string
	// Passwd has lines as /etc/passwd does, for the same. "" for none.
	Passwd string
	// Now is what the days in Shadow are held against.
	Now time.Time
}

// Candidate is one user of the other system.
type Candidate struct {
	identity.Imported
	// Left is why this account must not be taken over, "" where it may: nobody could
	// log in to it there. Nothing may be advised that would revive it.
	Left  string
	Notes []string // what of theirs was left out or isn't kept, and why

	prints []string // fingerprints of KeyLines
}

// ErrNothing: the files hold nothing of anybody, or nothing of the one User.
var ErrNothing = errors.New("takeover: there is nothing to take over")

// InputError says that something which Sources name can't be read, or isn't what
// it should be.
type InputError struct{ err error }

func (e *InputError) Error() string { return e.err.Error() }
func (e *InputError) Unwrap() error { return e.err }

// Read collects what is to be taken over, by name: everybody with a folder in
// Homes that holds any of the files, and everybody with a hash in Shadow. passed
// are the folders that hold none, of users without a hash. Its errors are
// ErrNothing and *InputError.
func Read(s Sources) (all []Candidate, passed []string, err error) {
	var accounts accounts
	err = errors.Join(readNamed(s.Shadow, maxShadow, func(_, text string) (err error) {
		accounts.shadow, err = parseShadow(text, s.Now)
		return err
	}), readNamed(s.Passwd, maxShadow, func(_, text string) (err error) {
		accounts.passwd, err = parsePasswd(text)
		return err
	}))
	if err != nil {
		return nil, nil, err
	}
	if s.User == "" {
		return readHomes(s.Homes, accounts)
	}
	c := Candidate{Imported: identity.Imported{Name: s.User}}
	known := c.stands(accounts)
	if s.GoogleAuthenticator == "" && s.AuthorizedKeys == "" && !known {
		return nil, nil, ErrNothing
	}
	err = errors.Join(readNamed(s.GoogleAuthenticator, maxSeedFile, c.addGoogle), readNamed(s.AuthorizedKeys, maxKeyFile, c.addKeys))
	if err != nil {
		return nil, nil, err
	}
	return []Candidate{c}, nil, nil
}

// accounts are what the files say of all users; nil where there is no such file.
type accounts struct {
	shadow map[string]standing
	passwd map[string]passwdLine
}

// stands takes over how the user stands in the files about accounts, and tells
// whether the user is somebody there.
func (c *Candidate) stands(a accounts) (known bool) {
	known = c.standsInShadow(a.shadow)
	if p, ok := a.passwd[c.Name]; c.Left == "" && a.passwd != nil {
		if c.Left = p.barred; !ok {
			c.Left = "it has no line in the passwd file, so nobody could log in to it"
		}
		if p.note != "" {
			c.Notes = append(c.Notes, p.note)
		}
	}
	return known
}

func (c *Candidate) standsInShadow(accounts map[string]standing) (known bool) {
	if accounts == nil {
		return false
	}
	s, ok := accounts[c.Name]
	if !ok {
		c.Left = "it has no line in the shadow file, so nobody could log in to it"
		return false
	}
	c.Crypt, c.Left = s.hash, s.barred
	c.PassphraseSet, c.MustChange, c.MaxAge, c.Ends = s.set, s.mustChange, s.maxAge, s.ends
	if s.hash == "" && s.barred == "" {
		c.Notes = append(c.Notes, "has no passphrase in the shadow file")
	}
	return s.real
}

func readHomes(dir string, accounts accounts) (all []Candidate, passed []string, err error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, nil, &InputError{err}
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	folders, err := os.ReadDir(dir)
	if err != nil {
		return nil, nil, &InputError{err}
	}
	seen := map[string]bool{}
	for _, f := range folders {
		c := Candidate{Imported: identity.Imported{Name: f.Name()}}
		home, is, wrong := openHome(dir, root, f)
		if !is {
			continue
		}
		seen[c.Name] = true
		known := c.stands(accounts)
		notes := len(c.Notes)
		if wrong != "" {
			c.Left = wrong
			all = append(all, c)
			continue
		}
		c.readHome(home)
		if err := home.Close(); err != nil {
			return nil, nil, err
		}
		if len(c.Seeds)+len(c.KeyLines)+len(c.Notes)-notes > 0 || known {
			all = append(all, c)
		} else {
			passed = append(passed, c.Name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(accounts.shadow)) {
		c := Candidate{Imported: identity.Imported{Name: name}}
		if !seen[name] && c.stands(accounts) {
			c.Notes = append(c.Notes, "has no folder in "+dir)
			all = append(all, c)
		}
	}
	if len(all) == 0 {
		return nil, nil, ErrNothing
	}
	slices.SortStableFunc(all, func(a, b Candidate) int { return strings.Compare(a.Name, b.Name) })
	noteShared(all)
	return all, passed, nil
}

// openHome opens a user's folder. is tells whether f is one at all; wrong is why it
// can't be read. A link is followed as long as it stays in dir: in a copy of another
// machine's folders it may name somebody else's folder on this one.
func openHome(dir string, root *os.Root, f fs.DirEntry) (home *os.Root, is bool, wrong string) {
	name := f.Name()
	if f.Type()&fs.ModeSymlink != 0 {
		to, wrong := followed(dir, name)
		if wrong != "" {
			return nil, true, wrong
		}
		name = to
		fi, err := root.Stat(name)
		if err != nil || !fi.IsDir() {
			return nil, false, ""
		}
	} else if !f.IsDir() {
		return nil, false, ""
	}
	home, err := root.OpenRoot(name)
	if err != nil {
		return nil, true, "its folder can't be opened: " + cause(err)
	}
	return home, true, ""
}

// followed is where in dir the link of that name leads.
func followed(dir, name string) (to, wrong string) {
	const byHand = "; name its files with --user " // and the name, which may hold anything
	at, err := filepath.EvalSymlinks(filepath.Join(dir, name))
	if err != nil {
		return "", "its folder is a link that leads nowhere here" + byHand + plain.Name(name)
	}
	real, err := filepath.EvalSymlinks(dir)
	if err == nil {
		to, err = filepath.Rel(real, at)
	}
	switch {
	case err != nil || !filepath.IsLocal(to) || to == ".":
		return "", "its folder is a link out of " + dir + ", which is not followed" + byHand + plain.Name(name)
	case !strings.Contains(to, "/"):
		return "", "its folder is a link to " + plain.Name(to) + "'s"
	}
	return to, ""
}

// readHome reads one user's folder.
func (c *Candidate) readHome(home *os.Root) {
	for _, name := range []string{".google_authenticator", "google_authenticator"} {
		c.one(home, name, maxSeedFile, ownersAlone, c.addGoogle)
	}
	for _, name := range []string{".ssh/authorized_keys", ".ssh/authorized_keys2", "authorized_keys"} {
		c.one(home, name, maxKeyFile, othersRead, c.addKeys)
	}
}

// one reads a file if it is there, and notes what is wrong with it. What wasn't its
// owner's alone opened nothing, and opens nothing here.
func (c *Candidate) one(home *os.Root, name string, most int64, allowed fs.FileMode, add func(name, text string) error) {
	f, err := home.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0) // it may be a pipe
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := home.Lstat(name); err != nil {
			return
		}
		err = errors.New("it is a link that leads nowhere here")
	}
	if err == nil {
		err = readAll(f, most, func(text string) error {
			if err := owned(home, name, allowed); err != nil {
				return err
			}
			return add(name, text)
		})
	}
	if err != nil {
		c.Notes = append(c.Notes, name+" was left out: "+cause(err))
	}
}

// cause is what failed about a file whose name is said already.
func cause(err error) string {
	var at *fs.PathError
	if errors.As(err, &at) {
		err = at.Err
	}
	return err.Error()
}

func (c *Candidate) addGoogle(name, text string) error {
	seed, notes, err := parseGoogleAuthenticator(text)
	if err == nil {
		c.Seeds = append(c.Seeds, seed)
	}
	for _, n := range notes {
		c.Notes = append(c.Notes, name+": "+n)
	}
	return err
}

// readNamed gives the text of a file that the caller names: there, what is wrong
// with it is an error.
func readNamed(path string, most int64, add func(name, text string) error) error {
	if path == "" {
		return nil
	}
	f, err := os.Open(path)
	if err != nil {
		return &InputError{err}
	}
	if err := readAll(f, most, func(text string) error { return add(filepath.Base(path), text) }); err != nil {
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
	return add(asText(b))
}

// asText is what b says, whatever editor wrote it: without a byte order mark, and
// with lines that end as they do here.
func asText(b []byte) string {
	s := strings.TrimPrefix(string(b), "\ufeff")
	return strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\r", "\n")
}
