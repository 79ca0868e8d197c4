package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"entry/audit/plain"
	"entry/bastion/admin"
	"entry/bastion/identity"
	"entry/configs"
	"entry/policy"
)

// maxOldFile bounds one file of another system.
const maxOldFile = 16 << 10 // bytes; a request to the server holds up to two of them, escaped

// maxShadow bounds a shadow file: some thousand accounts.
const maxShadow = 4 << 20 // bytes

func importCmd() *cobra.Command {
	var o importOptions
	cmd := &cobra.Command{
		Use:   "import [DIR]",
		Short: "Take accounts over from another system, so that nobody enrols anew",
		Long: `Take accounts over: authenticators from .google_authenticator, passphrases from
lines of a shadow file ($6$, $5$ and $y$ hashes), and public keys from
authorized_keys. Users log in as before; the first login replaces the old hash
by entry's own.

DIR has a folder for each user, such as /home or a copy of it:
  DIR/USER/.google_authenticator     or DIR/USER/google_authenticator
  DIR/USER/.ssh/authorized_keys      or DIR/USER/authorized_keys
--shadow names a file with lines such as /etc/shadow, for all of them. For one
user, --user with the other flags name the files themselves.

Folders without any of these, and accounts of the shadow file without a folder,
are passed over. An account that exists is left alone. Each user is reported in a
line; with --dry-run that is all that happens. The exit code is 1 if somebody
couldn't be taken over.`,
		Example: "  entry user import /mnt/old/home --shadow /mnt/old/etc/shadow --dry-run\n  entry user import --user alice --google-authenticator alice.ga --shadow shadow",
		Args:    usageArgs(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			users, err := o.read(args)
			if err != nil {
				return err
			}
			return withOperator(cmd, func(cfg *configs.Config, op *operator) error { return o.run(cmd, cfg, op, users) })
		},
	}
	cmd.Flags().StringVar(&o.user, "user", "", "import this `USER` alone, from the files that other flags name")
	cmd.Flags().StringVar(&o.google, "google-authenticator", "", "the user's .google_authenticator `FILE`")
	cmd.Flags().StringVar(&o.keys, "authorized-keys", "", "the user's authorized_keys `FILE`")
	cmd.Flags().StringVar(&o.shadow, "shadow", "", "`FILE` with lines of /etc/shadow")
	cmd.Flags().BoolVar(&o.dry, "dry-run", false, "say what would happen, and change nothing")
	return cmd
}

type importOptions struct {
	user, google, keys, shadow string
	dry                        bool
}

// candidate is one user of the old system and what of theirs can't be read.
type candidate struct {
	identity.Imported
	notes []string
}

// read collects what is to be taken over.
func (o *importOptions) read(args []string) ([]*candidate, error) {
	hashes, err := readShadow(o.shadow)
	if err != nil {
		return nil, err
	}
	switch {
	case len(args) == 0 && o.user == "":
		return nil, failf(exitUsage, "name a DIR with a folder for each user, or one --user")
	case len(args) == 1 && (o.user != "" || o.google != "" || o.keys != ""):
		return nil, failf(exitUsage, "a DIR and the files of one user exclude each other")
	case o.user != "":
		c := &candidate{Imported: identity.Imported{Name: o.user, Crypt: hashes[o.user]}}
		if o.google == "" && o.keys == "" && c.Crypt == "" {
			return nil, failf(exitUsage, "there is nothing of %s to import: give --google-authenticator, --authorized-keys or a --shadow with a line for them", o.user)
		}
		return []*candidate{c}, errors.Join(c.readGoogle(o.google), c.readKeys(o.keys))
	}
	return readHomes(args[0], hashes)
}

// readHomes reads a directory with a folder for each user.
func readHomes(dir string, hashes map[string]string) ([]*candidate, error) {
	folders, err := os.ReadDir(dir)
	if err != nil {
		return nil, &exitError{code: exitUsage, err: err}
	}
	var all []*candidate
	for _, f := range folders {
		if !f.IsDir() {
			continue
		}
		root, err := os.OpenRoot(filepath.Join(dir, f.Name()))
		if err != nil {
			return nil, err
		}
		c := &candidate{Imported: identity.Imported{Name: f.Name(), Crypt: hashes[f.Name()]}}
		c.readHome(root)
		if err := root.Close(); err != nil {
			return nil, err
		}
		if len(c.Seeds)+len(c.KeyLines)+len(c.notes) > 0 || c.Crypt != "" {
			all = append(all, c)
		}
	}
	if len(all) == 0 {
		return nil, hinted(failf(exitUsage, "%s has no folder with anything to import", dir), "see entry user import --help for what it should look like")
	}
	return all, nil
}

// readHome reads one user's folder. The files are the user's: a link in it that
// leads elsewhere is not followed.
func (c *candidate) readHome(root *os.Root) {
	for _, name := range []string{".google_authenticator", "google_authenticator"} {
		c.one(name, c.addGoogle, func() (fs.File, error) { return openOld(root, name) })
	}
	for _, name := range []string{".ssh/authorized_keys", "authorized_keys"} {
		c.one(name, c.addKeys, func() (fs.File, error) { return openOld(root, name) })
	}
}

// openOld opens without waiting: what lies there may be a pipe.
func openOld(root *os.Root, name string) (fs.File, error) {
	return root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
}

// one reads a file if it is there, and notes what is wrong with it.
func (c *candidate) one(name string, add func(string) error, open func() (fs.File, error)) {
	f, err := open()
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	text := ""
	if err == nil {
		text, err = readOld(f, maxOldFile)
	}
	if err == nil {
		err = add(text)
	}
	if err != nil {
		c.notes = append(c.notes, name+" was left out: "+err.Error())
	}
}

func (c *candidate) addGoogle(text string) error {
	seed, err := identity.ParseGoogleAuthenticator(text)
	if err == nil {
		c.Seeds = append(c.Seeds, seed)
	}
	return err
}

func (c *candidate) addKeys(text string) error {
	c.KeyLines = append(c.KeyLines, strings.Split(text, "\n")...)
	return nil
}

func (c *candidate) readGoogle(path string) error { return readNamed(path, c.addGoogle) }
func (c *candidate) readKeys(path string) error   { return readNamed(path, c.addKeys) }

// readNamed reads a file that the command line names: there, what is wrong with
// it ends the verb.
func readNamed(path string, add func(string) error) error {
	if path == "" {
		return nil
	}
	f, err := os.Open(path)
	if err != nil {
		return &exitError{code: exitUsage, err: err}
	}
	text, err := readOld(f, maxOldFile)
	if err == nil {
		err = add(text)
	}
	if err != nil {
		return failf(exitUsage, "%s: %w", path, err)
	}
	return nil
}

// readOld reads and closes a small regular file.
func readOld(f fs.File, most int64) (text string, err error) {
	defer func() { err = errors.Join(err, f.Close()) }()
	fi, err := f.Stat()
	if err != nil {
		return "", err
	}
	if !fi.Mode().IsRegular() {
		return "", errors.New("it is no regular file")
	}
	b, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(b)) > most {
		err = fmt.Errorf("it is larger than %d KiB", most>>10)
	}
	return string(b), err
}

// readShadow gives the hash of each account of a shadow file. Locked accounts
// (! and *) have none.
func readShadow(path string) (map[string]string, error) {
	hashes := map[string]string{}
	if path == "" {
		return hashes, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, &exitError{code: exitUsage, err: err}
	}
	text, err := readOld(f, maxShadow)
	if err != nil {
		return nil, failf(exitUsage, "%s: %w", path, err)
	}
	n := 0
	for line := range strings.Lines(text) {
		n++
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		fields := strings.Split(line, ":")
		if len(fields) < 2 {
			return nil, failf(exitUsage, "%s: line %d is none of a shadow file: want NAME:HASH:…", path, n)
		}
		if hash := fields[1]; hash != "" && !strings.HasPrefix(hash, "!") && !strings.HasPrefix(hash, "*") {
			hashes[fields[0]] = hash
		}
	}
	return hashes, nil
}

// run imports the users one by one and reports each.
func (o *importOptions) run(cmd *cobra.Command, cfg *configs.Config, op *operator, users []*candidate) error {
	p, err := policy.Load(cfg.Policy)
	if err != nil {
		return &exitError{code: exitUsage, err: err}
	}
	added, left := 0, 0
	for _, c := range users {
		var out []identity.ImportResult
		if err := op.call(cmd.Context(), http.MethodPost, "/v1/import", admin.ImportRequest{Users: []identity.Imported{c.Imported}, DryRun: o.dry}, &out); err != nil {
			return fmt.Errorf("import stopped at %s after %s: %w", c.Name, plain.Count(added, "user"), err)
		}
		for _, r := range out {
			if r.Added {
				added++
			} else {
				left++
			}
			r.Notes = slices.Concat(c.notes, r.Notes)
			if r.Added && len(p.LabsOf(r.Name)) == 0 {
				r.Notes = append(r.Notes, "is in no lab yet, so a login leads nowhere")
			}
			if err := o.report(cmd, r); err != nil {
				return err
			}
		}
	}
	verb := "imported"
	if o.dry {
		verb = "would be imported"
	}
	fmt.Fprintf(os.Stderr, "%s %s, %d not.\n", plain.Count(added, "user"), verb, left)
	if left > 0 {
		return fmt.Errorf("%s could not be taken over", plain.Count(left, "user"))
	}
	return nil
}

// report prints what became of one user.
func (o *importOptions) report(cmd *cobra.Command, r identity.ImportResult) error {
	if asJSON(cmd) {
		return json.NewEncoder(os.Stdout).Encode(r)
	}
	word := "not added"
	switch {
	case r.Added && o.dry:
		word = "would be added"
	case r.Added:
		word = "added"
	}
	name := r.Name
	if policy.ValidUser(name) != nil {
		name = plain.Quote(name) // a folder's, which may hold anything
	}
	fmt.Printf("%s: %s\n", name, word)
	for _, n := range r.Notes {
		fmt.Printf("  %s\n", strings.TrimPrefix(n, "not added: "))
	}
	return nil
}
