//go:build linux

package site

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"entry/bastion/guide"
)

// Pages is a user's guide in every form, ready to be written.
type Pages struct{ html, text bytes.Buffer }

// newPages makes the guide as a page and as text. An error is about f: nothing
// on the disk is touched.
func newPages(f guide.Facts) (*Pages, error) {
	var p Pages
	if err := guide.HTML(&p.html, f); err != nil {
		return nil, err
	}
	return &p, guide.Text(&p.text, f)
}

// Put writes new files dir/user.html and dir/user.txt that everybody may read,
// and returns their paths. On an error those that were written come with it. It
// overwrites nothing, and makes dir where it isn't there.
func (p *Pages) Put(dir, user string) (files []string, err error) {
	if err := makeFolder(dir); err != nil {
		return nil, err
	}
	return p.put(dir, user)
}

// makeFolder makes a folder that everybody may look into, where there is none.
func makeFolder(dir string) error { return os.MkdirAll(dir, 0o755) }

// Replace is Put in place of older files.
func (p *Pages) Replace(dir, user string) (files []string, err error) {
	if err := makeFolder(dir); err != nil {
		return nil, err
	}
	for _, ext := range []string{".html", ".txt"} {
		if err := os.Remove(filepath.Join(dir, user+ext)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	return p.put(dir, user)
}

// Publish does the same in a folder that a web server serves, in place of the
// user's older guides there. 128 random bits in the names keep anybody from
// finding out who is invited.
func (p *Pages) Publish(dir, user string) (files []string, err error) {
	if err := WithdrawGuide(dir, user); err != nil {
		return []string{}, err
	}
	return p.put(dir, user+"-"+strings.ToLower(rand.Text()))
}

func (p *Pages) put(dir, base string) (files []string, err error) {
	files = []string{} // never null in JSON
	for _, form := range []struct {
		ext  string
		body []byte
	}{{".html", p.html.Bytes()}, {".txt", p.text.Bytes()}} {
		file := filepath.Join(dir, base+form.ext)
		if err := create(file, form.body); err != nil {
			return files, err
		}
		files = append(files, file)
	}
	return files, nil
}

// create writes a new file that everybody may read, whatever the umask.
func create(path string, body []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(body)
	return errors.Join(err, f.Chmod(0o644), f.Sync(), f.Close())
}

// published is what Publish calls a user's guides.
var published = regexp.MustCompile(`^(.+)-[a-z2-7]{26}\.(html|txt)$`)

// WithdrawGuide removes a user's guides from a folder of Publish; "" is none.
func WithdrawGuide(dir, user string) error {
	if dir == "" {
		return nil
	}
	all, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("guides: %w", err)
	}
	for _, e := range all {
		if m := published.FindStringSubmatch(e.Name()); m != nil && m[1] == user {
			if err := os.Remove(filepath.Join(dir, e.Name())); err != nil {
				return fmt.Errorf("guides: %w", err)
			}
		}
	}
	return nil
}
