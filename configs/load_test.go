package configs_test

import (
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"entry/configs"
)

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), configs.FileName)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestLoadReadsEverySetting(t *testing.T) {
	path := write(t, `
name: gate.lab.example
listeners:
  - address: ":22"
  - {address: "[::1]:2301", target: desktop.tinker}
policy: /etc/entry/policy
database: {sqlite: db/x.db}
audit: {directory: a, witness: "", key: k/a, public_key: k/a.pub}
recording: {directory: r, auditors: k/r.pub, labs: {tinker: k/t.pub}, reserve: 512MiB, quota: 10GiB, notice: banner}
keys:
  directory: k/hosts
  host_ca: {public_key: k/host_ca.pub}
  user_ca: {agent: /run/ca.sock, public_key: k/user_ca.pub}
  secret: k/s
admin: {socket: /run/entry.sock}
login: {grace: 60s, enrolment_grace: 5m, temporary_passphrase: 48h, channels_after: 8h30m}
limits: {startups: "20:50:200", per_source: 4, dial: 2s, source_address: [192.0.2.7, "2001:db8::/64"]}
drain: 0s
log: {level: debug}
`)
	got, err := configs.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	in := func(name string) string { return filepath.Join(filepath.Dir(path), name) }
	want := &configs.Config{
		Path: path, Name: "gate.lab.example",
		Listeners: []configs.Listener{{Address: ":22"}, {Address: "[::1]:2301", Target: "desktop.tinker"}},
		Policy:    "/etc/entry/policy",
		Database:  configs.Database{SQLite: in("db/x.db")},
		Audit:     configs.Audit{Directory: in("a"), Key: in("k/a"), PublicKey: in("k/a.pub")},
		Recording: configs.Recording{Directory: in("r"), Auditors: in("k/r.pub"), Labs: map[string]string{"tinker": in("k/t.pub")},
			Reserve: 512 << 20, Quota: 10 << 30, Notice: configs.NoticeBanner},
		Keys: configs.Keys{Directory: in("k/hosts"), HostCA: configs.CA{PublicKey: in("k/host_ca.pub")},
			UserCA: configs.CA{Agent: "/run/ca.sock", PublicKey: in("k/user_ca.pub")}, Secret: in("k/s")},
		Admin: configs.Admin{Socket: "/run/entry.sock"},
		Login: configs.Login{Grace: time.Minute, EnrolmentGrace: 5 * time.Minute, TemporaryPassphrase: 48 * time.Hour,
			ChannelsAfter: 8*time.Hour + 30*time.Minute},
		Limits: configs.Limits{Startups: configs.Startups{Begin: 20, Rate: 50, Full: 200}, PerSource: 4, Dial: 2 * time.Second,
			SourceAddress: []netip.Prefix{netip.MustParsePrefix("192.0.2.7/32"), netip.MustParsePrefix("2001:db8::/64")}},
		Log: configs.Log{Level: "debug"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if !got.Keys.HostCA.Offline() || got.Keys.UserCA.Offline() {
		t.Error("the host CA is offline, the user CA isn't")
	}
}

func TestLoadKeepsOutWhatOthersWrite(t *testing.T) {
	path := write(t, "listeners: [{address: \":22\"}]\n")
	if err := os.Chmod(path, 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := configs.Load(path); err == nil || !strings.Contains(err.Error(), "every account may write to this file") {
		t.Errorf("error %v", err)
	}
}

func TestLoadOfNoFile(t *testing.T) {
	if _, err := configs.Load(filepath.Join(t.TempDir(), configs.FileName)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v", err)
	}
}

// Where the file can't be parsed, that is all there is to say.
func TestSyntaxErrorsStandAlone(t *testing.T) {
	_, err := configs.Load(write(t, "listeners: [\n"))
	if err == nil || strings.Count(err.Error(), "[Y") != 1 || strings.Contains(err.Error(), "[C") {
		t.Errorf("error %v", err)
	}
}

func TestNoticeWords(t *testing.T) {
	for n, want := range map[configs.Notice]string{configs.NoticePTY: "pty", configs.NoticeBanner: "banner", configs.NoticeNone: "none"} {
		if n.String() != want {
			t.Errorf("%d is %q, want %q", n, n, want)
		}
	}
}

func FuzzLoad(f *testing.F) {
	paths, err := filepath.Glob("testdata/*.bad.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for _, path := range append(paths, "entry.yaml") {
		data, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(data))
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, text string) {
		path := filepath.Join(dir, configs.FileName)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := configs.Load(path)
		if (err == nil) == (c == nil) {
			t.Fatalf("%v, %v", c, err)
		}
		if c != nil && (len(c.Listeners) == 0 || !filepath.IsAbs(c.Policy) || c.Keys.UserCA.Offline()) {
			t.Fatalf("an invalid Config: %+v", c)
		}
	})
}
