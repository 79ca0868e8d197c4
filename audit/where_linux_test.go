package audit

import (
	"strings"
	"testing"
)

const mountinfo = `22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
23 22 0:21 / /proc rw shared:2 - proc proc rw
40 22 8:17 / /var/lib/entry/witness rw - xfs /dev/sdb1 rw
41 22 0:52 / /srv/my\040witness rw - nfs4 vault:/entry rw
42 22 0:60 /@log /log rw - btrfs /dev/sdc1 rw
43 22 0:61 /@witness /seen rw - btrfs /dev/sdc1 rw
44 40 0:70 / /var/lib/entry/witness rw - tmpfs tmpfs rw
nonsense
`

func TestWhere(t *testing.T) {
	at := func(path string, device uint64) where {
		w := where{known: true, device: device}
		w.mount(path, strings.NewReader(mountinfo))
		return w
	}
	for path, want := range map[string]string{
		"/var/lib/entry/audit":     "ext4 on /dev/sda1, mounted at /",
		"/var/lib/entry/witnesses": "ext4 on /dev/sda1, mounted at /",
		"/var/lib/entry/witness":   "tmpfs on tmpfs, mounted at /var/lib/entry/witness",
		"/srv/my witness/entry":    "nfs4 on vault:/entry, mounted at /srv/my witness",
		"/log/audit":               "btrfs on /dev/sdc1, mounted at /log",
	} {
		if got := at(path, 1).String(); got != want {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
	for _, c := range []struct {
		a, b where
		want bool
	}{
		{at("/a", 1), at("/b", 1), true},
		{at("/a", 1), at("/srv/my witness", 2), false},
		{at("/log", 60), at("/seen", 61), true}, // parts of one file system
		{at("/var/lib/entry/witness", 70), at("/var/lib/entry/witness", 71), false},
		{at("/a", 1), where{}, false},
		{where{}, where{}, false},
	} {
		if got := c.a.same(c.b); got != c.want {
			t.Errorf("%+v and %+v: %v", c.a, c.b, got)
		}
	}
	dir := t.TempDir()
	if said := NoWitness(dir, dir); !strings.HasPrefix(said, "its directory lies on the log's own file system (") {
		t.Errorf("one directory: %q", said)
	}
	if said := NoWitness(dir, "/proc"); said != "" {
		t.Errorf("another file system: %q", said)
	}
	if said := NoWitness(dir, dir+"/none"); said != "" {
		t.Errorf("no such directory: %q", said)
	}
}
