package bench

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"entry/e2e/testkit"
)

// pair are the sides of most rows.
var pair = []string{"sshd", "entry"}

// execRows are streams of commands, both ways.
func execRows(t *testing.T, r *run) {
	for _, d := range r.newData(t) {
		for _, cipher := range ciphers {
			r.stream(t, pair, "down", cipher, d)
			r.stream(t, pair, "up", cipher, d)
		}
	}
}

// stateRows are what else can be kept of a stream, and of a file.
func stateRows(t *testing.T, r *run) {
	random := r.newData(t)[1]
	before := size(t, r.path("spool"))
	for _, cipher := range ciphers {
		r.stream(t, []string{hashed, "entry", kept, manifest, metadata}, "down, by what is kept", cipher, random)
	}
	want := int64(len(ciphers)*r.plan.rounds) * r.plan.size
	testkit.Eventually(t, "all of what was kept is in the recordings", func() bool { return size(t, r.path("spool"))-before >= want })
	r.file(t, []string{manifest, "entry", metadata}, "sftp get, by what is kept", random, sftpGet)
}

// size is what the files below dir take, in bytes.
func size(t *testing.T, dir string) (bytes int64) {
	t.Helper()
	testkit.Check(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			bytes += info.Size()
		}
		return err
	}))
	return bytes
}

// stream moves d through a command.
func (r *run) stream(t *testing.T, sides []string, way, cipher string, d data) {
	name := fmt.Sprintf("exec %s, %s, %s", way, cipher, d.name)
	r.turns(t, name, sides, func(side string) error {
		p, err := r.client.over(cipher, hostOf(side))
		if err != nil {
			return err
		}
		var sum string
		c, err := r.costs(t, side, func() (err error) {
			if strings.HasPrefix(way, "up") {
				sum, err = p.up(d)
			} else {
				sum, err = p.down(d)
			}
			return err
		})
		if err == nil {
			err = d.sums(sum)
		}
		if err == nil {
			r.bulk(name, side, c)
		}
		return err
	})
}

// down has the home machine write d, and gives the digest of what came.
func (p *path) down(d data) (string, error) {
	hash := sha256.New()
	cmd := p.ssh(nil, "cat "+d.path)
	cmd.Stdout = hash
	if err := ends(cmd); err != nil {
		return "", err
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}

// up sends d, and gives the digest that the home machine makes of it.
func (p *path) up(d data) (string, error) {
	f, err := os.Open(d.path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	var out bytes.Buffer
	cmd := p.ssh(nil, "sha256sum")
	cmd.Stdin, cmd.Stdout = f, &out
	if err := ends(cmd); err != nil {
		return "", err
	}
	sum, _, _ := strings.Cut(out.String(), " ")
	return sum, nil
}

// mover is a program that moves the file from, and is told so by its command.
type mover func(p *path, from, to string) *exec.Cmd

func sftpGet(p *path, from, to string) *exec.Cmd {
	return p.sftp(fmt.Sprintf("get %s %s\n", from, to))
}

func sftpPut(p *path, from, to string) *exec.Cmd {
	return p.sftp(fmt.Sprintf("put %s %s\n", from, to))
}

func (p *path) sftp(batch string) *exec.Cmd {
	cmd := p.command("sftp", "-q", "-F", p.config, "-o", "ControlPath="+p.socket, "-b", "-", p.host)
	cmd.Stdin = strings.NewReader(batch)
	return cmd
}

func scpGet(p *path, from, to string) *exec.Cmd { return p.scp(p.host+":"+from, to) }
func scpPut(p *path, from, to string) *exec.Cmd { return p.scp(from, p.host+":"+to) }

func (p *path) scp(from, to string) *exec.Cmd {
	return p.command("scp", "-q", "-F", p.config, "-o", "ControlPath="+p.socket, from, to)
}

func rsyncGet(p *path, from, to string) *exec.Cmd { return p.rsync(p.host+":"+from, to) }
func rsyncPut(p *path, from, to string) *exec.Cmd { return p.rsync(from, p.host+":"+to) }

func (p *path) rsync(from, to string) *exec.Cmd {
	return p.command("rsync", "--whole-file", "-e", fmt.Sprintf("ssh -F %s -S %s", p.config, p.socket), from, to)
}

// fileRows are programs that move files.
func fileRows(t *testing.T, r *run) {
	random := r.newData(t)[1]
	for _, m := range []struct {
		name string
		mover
	}{{"sftp get", sftpGet}, {"sftp put", sftpPut}, {"scp get", scpGet}, {"scp put", scpPut}, {"rsync get", rsyncGet}, {"rsync put", rsyncPut}} {
		r.file(t, pair, m.name, random, m.mover)
	}
}

// file moves d by a program. Both ends are on this machine: what arrives is a new file
// of it.
func (r *run) file(t *testing.T, sides []string, name string, d data, m mover) {
	to := filepath.Join(testkit.ShortDir(t), "arrived")
	r.turns(t, name, sides, func(side string) error {
		p, err := r.client.over(byDefault, hostOf(side))
		if err != nil {
			return err
		}
		c, err := r.costs(t, side, func() error { return ends(m(p, d.path, to)) })
		if err != nil {
			return err
		}
		sum, err := sumOf(to)
		if err == nil {
			err = d.sums(sum)
		}
		if err == nil {
			r.bulk(name, side, c)
			err = os.Remove(to)
		}
		return err
	})
}
