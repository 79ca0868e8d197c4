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
address: gate.lab.example:22
listeners:
  - address: ":22"
  - {address: "[::1]:2301", target: desktop.tinker}
policy: /etc/entry/policy
database: {sqlite: db/x.db}
audit:
  {directory: a, witness: "", reserve: 64MiB, segment: 1MiB, keep: 400d, agent: /run/log.sock, public_key: k/a.pub, need: 1, within: 4s, required: true,
   witnesses: [{url: "https://w.example:8480/x", key: w.example+0123abcd+BAAA, ca: k/w.pem}, {url: "http://127.0.0.1:1", key: v+0123abcd+BAAA}]}
recording: {directory: r, auditors: k/r.pub, labs: {tinker: k/t.pub}, reserve: 512MiB, quota: 10GiB, share: 5GiB, notice: banner}
keys:
  directory: k/hosts
  host_ca: {public_key: k/host_ca.pub}
  user_ca: {agent: /run/ca.sock, public_key: k/user_ca.pub}
  secret: k/s
admin: {socket: /run/entry.sock}
login: {grace: 60s, enrolment_grace: 5m, temporary_passphrase: 48h, channels_after: 8h30m, remembered_keys: {lifetime: 4h, ipv4: 24, ipv6: 56},
  touch_is_code: true, inactivity: 0s, passphrase_age: 8760h, terms: agreement.txt}
realms:
  - name: duo
    where: https://accounts.example
    ldap: {url: "ldap://ldap.example", start_tls: true, ca: k/ldap.pem, server_name: ldap, bind_dn: "uid={user},o=x", timeout: 2s,
      groups: {base: o=g, filter: "(member={dn})", attribute: cn}}
  - name: other
    ldap: {url: "ldaps://ldap2.example:6360", search: {base: o=x, filter: "(uid={user})", bind_dn: cn=entry, password_file: k/ldap}, groups: {}, poll: 2m}
sms: {url: "https://sms.example/send", body: "to={number}&text={text}", headers_file: k/sms, ca: k/sms.pem, timeout: 3s, retries: 0, countries: ["+47", "+4670"], until: 14d}
notices: {webhook: {url: "http://127.0.0.1:8080/", retries: 1}}
guides: {directory: /srv/guides, contact: "the desk, desk@example.org"}
operators: {reset_needs_two: true, erase_needs_two: true, rescue: [carol, dave]}
limits: {startups: "20:50:200", per_source: 4, events: "500:2", dial: 2s, source_address: [192.0.2.7, "2001:db8::/64"]}
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
		Address:   "gate.lab.example:22",
		Policy:    "/etc/entry/policy",
		Database:  configs.Database{SQLite: in("db/x.db")},
		Audit: configs.Audit{Directory: in("a"), Segment: 1 << 20, Keep: 400 * 24 * time.Hour, Reserve: 64 << 20, Agent: "/run/log.sock", PublicKey: in("k/a.pub"), Need: 1, Within: 4 * time.Second, Required: true,
			Witnesses: []configs.Witness{{URL: "https://w.example:8480/x", Key: "w.example+0123abcd+BAAA", CA: in("k/w.pem")}, {URL: "http://127.0.0.1:1", Key: "v+0123abcd+BAAA"}}},
		Recording: configs.Recording{Directory: in("r"), Auditors: in("k/r.pub"), Labs: map[string]string{"tinker": in("k/t.pub")},
			Reserve: 512 << 20, Quota: 10 << 30, Share: 5 << 30, Notice: configs.NoticeBanner},
		Keys: configs.Keys{Directory: in("k/hosts"), HostCA: configs.CA{PublicKey: in("k/host_ca.pub")},
			UserCA: configs.CA{Agent: "/run/ca.sock", PublicKey: in("k/user_ca.pub")}, Secret: in("k/s")},
		Admin: configs.Admin{Socket: "/run/entry.sock"},
		Login: configs.Login{Grace: time.Minute, EnrolmentGrace: 5 * time.Minute, TemporaryPassphrase: 48 * time.Hour,
			ChannelsAfter: 8*time.Hour + 30*time.Minute, Remembered: configs.Remembered{Lifetime: 4 * time.Hour, IPv4: 24, IPv6: 56},
			TouchIsCode: true, PassphraseAge: 8760 * time.Hour, Terms: in("agreement.txt")},
		Realms: []configs.Realm{
			{Name: "duo", Where: "https://accounts.example", LDAP: configs.LDAP{URL: "ldap://ldap.example", StartTLS: true, CA: in("k/ldap.pem"), ServerName: "ldap",
				BindDN: "uid={user},o=x", Timeout: 2 * time.Second, Groups: &configs.Groups{Base: "o=g", Filter: "(member={dn})", Attribute: "cn"}}},
			{Name: "other", LDAP: configs.LDAP{URL: "ldaps://ldap2.example:6360", Timeout: 5 * time.Second, Poll: 2 * time.Minute, Groups: &configs.Groups{},
				Search: &configs.Search{Base: "o=x", Filter: "(uid={user})", BindDN: "cn=entry", PasswordFile: in("k/ldap")}}},
		},
		SMS: &configs.SMS{Body: "to={number}&text={text}", Endpoint: configs.Endpoint{URL: "https://sms.example/send",
			HeadersFile: in("k/sms"), CA: in("k/sms.pem"), Timeout: 3 * time.Second}, Countries: []string{"+47", "+4670"}, Until: 14 * 24 * time.Hour},
		Notices:   &configs.Notices{Webhook: &configs.Endpoint{URL: "http://127.0.0.1:8080/", Timeout: 10 * time.Second, Retries: 1}},
		Guides:    configs.Guides{Directory: "/srv/guides", Contact: "the desk, desk@example.org"},
		Operators: configs.Operators{ResetNeedsTwo: true, EraseNeedsTwo: true, Rescue: []string{"carol", "dave"}},
		Limits: configs.Limits{Startups: configs.Startups{Begin: 20, Rate: 50, Full: 200}, PerSource: 4, Events: configs.Events{Burst: 500, PerSecond: 2}, Dial: 2 * time.Second,
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
