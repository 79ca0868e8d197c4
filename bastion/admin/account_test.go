package admin

import (
	"context"
	"iter"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"entry/audit"
	"entry/bastion/access"
	"entry/bastion/identity"
	"entry/e2e/testkit"
	"entry/policy"
)

var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

// Of several things that keep somebody out, the state is the one that comes first.
func TestState(t *testing.T) {
	t.Parallel()
	before, after := noon.Add(-time.Hour), noon.Add(time.Hour)
	set := identity.UserInfo{PassphraseSet: before}
	for want, change := range map[string]func(*identity.UserInfo){
		"active":                                           func(*identity.UserInfo) {},
		"disabled":                                         func(u *identity.UserInfo) { u.Disabled, u.Ends = true, before },
		"ended on 2026-03-02 11:00":                        func(u *identity.UserInfo) { u.Ends, u.LockedUntil = before, after },
		"expired unused on 2026-03-02 12:00":               func(u *identity.UserInfo) { u.InactiveAfter = noon },
		"locked until 2026-03-02 13:00":                    func(u *identity.UserInfo) { u.LockedUntil, u.PendingReset = after, &identity.PendingReset{} },
		"reset waits for a second operator":                func(u *identity.UserInfo) { u.PendingReset = &identity.PendingReset{} },
		"has to change the passphrase at":                  func(u *identity.UserInfo) { u.MustChange = true },
		"no passphrase: entry user reset gives":            func(u *identity.UserInfo) { u.PassphraseSet = time.Time{} },
		"temporary passphrase until 2026-03-02 13:00":      func(u *identity.UserInfo) { u.TemporaryExpires = after },
		"temporary passphrase expired on 2026-03-02 11:00": func(u *identity.UserInfo) { u.TemporaryExpires = before },
	} {
		u := set
		change(&u)
		if got := State(u, noon); !strings.HasPrefix(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
	}
	waits := identity.UserInfo{TemporaryExpires: before}
	if Pending(set) || !Pending(waits) {
		t.Error("who has yet to come")
	}
	texted := identity.UserInfo{CodeBySMS: true}
	if Devices(texted) != "SMS" || !BySMS(texted) || BySMS(identity.UserInfo{CodeBySMS: true, Authenticators: []identity.DeviceInfo{{}}}) {
		t.Error("whose codes go by SMS")
	}
}

// Only who hasn't come yet is invited anew, and nobody who is disabled.
func TestRenewable(t *testing.T) {
	t.Parallel()
	before, after := noon.Add(-time.Hour), noon.Add(time.Hour)
	users := []identity.UserInfo{{Name: "good", TemporaryExpires: after, Phone: "+46701234567"}, {Name: "lapsed", TemporaryExpires: before},
		{Name: "disabled", TemporaryExpires: before, Disabled: true}, {Name: "came", TemporaryExpires: before, LastLogin: before}, {Name: "old"}}
	names := func(lapsed bool) (all []string) {
		for _, p := range Renewable(users, lapsed, noon) {
			all = append(all, p.Name+p.Phone)
		}
		return all
	}
	if got := names(false); !slices.Equal(got, []string{"good+46701234567", "lapsed"}) {
		t.Errorf("%q", got)
	}
	if got := names(true); !slices.Equal(got, []string{"lapsed"}) {
		t.Errorf("%q", got)
	}
}

func TestAccountInWords(t *testing.T) {
	t.Parallel()
	a := Account{UserInfo: identity.UserInfo{Name: "alice", Created: noon, PassphraseSet: noon, WrongCodes: 3, WrongSince: noon, CodesLockUntil: noon, WrongUnseen: 2, WrongInside: 1, WrongRecovery: 1, Failures: 2, Phone: "+46701234567", CodeBySMS: true, Realm: "duo", TermsWait: true,
		Keys:         []identity.Key{{Fingerprint: "SHA256:x", Comment: "al\x1bice", Suspended: noon}},
		PendingReset: &identity.PendingReset{By: audit.Actor{UID: 7}, Asked: noon}},
		Failures: Failures{Failed: 4, Last: &Trouble{Time: noon, Reason: "wrong-code\x1b", Source: "192.0.2.7"},
			Locks:   []identity.SourceLock{{Source: "192.0.2.7", Failures: 1}, {Source: "192.0.2.8", Until: noon, Whole: true}, {Source: "192.0.2.9", Until: noon, Failures: 5}},
			Waiting: []access.ApprovalRequest{{ID: "k3f9a2xq", Target: "home.tinker", Rule: "r (x.yaml:1)", Need: 2, By: []string{"carol"}, Source: "192.0.2.7", Until: noon}}},
		Policy: true}
	var out strings.Builder
	a.Tell(&out, noon)
	for _, want := range []string{
		"\nkey             SHA256:x \"al\\x1bice\", suspended 2026-03-02 12:00 after wrong codes", "\nwrong codes     3 behind the right passphrase, in 30 days; from networks without a login before",
		"\ncodes inside    1 wrong code inside open connections", "\nunseen codes    2 wrong codes more, in 30 days", "\nbefore recovery 1 wrong passphrase with right",
		"\nfailures        2 wrong passphrases behind", "\nfailed logins   4 in 24 hours, the last on 2026-03-02 12:00: \"wrong-code\\x1b\" from 192.0.2.7\n",
		"\nsource          192.0.2.7: 1 failed login, no lock\n", "192.0.2.8: locked for everybody until", "192.0.2.9: locked for this user until 2026-03-02 12:00, after 5 failed logins\n",
		"\nwaits           for approval on home.tinker by rule r (x.yaml:1), 1 of 2 given;", "\nphone           +46701234567, where codes go by SMS\n", "\npassphrase      judged by the directory duo\n",
		"\nterms           asked for at the next login\n", "\nreset           asked for by uid 7 on ", "\nlabs            none\n",
	} {
		if !strings.Contains(out.String(), want) || strings.Contains(out.String(), "\x1b") {
			t.Errorf("%q isn't in\n%s", want, out.String())
		}
	}
}

// Whatever keeps logins out is a problem; what only policy denies, or a lock elsewhere,
// isn't one.
func TestDiagnosisInWords(t *testing.T) {
	t.Parallel()
	fine := Diagnosis{User: identity.UserInfo{Name: "alice", PassphraseSet: noon, Authenticators: []identity.DeviceInfo{{}}}, Fit: true, Good: &identity.LoginInfo{Source: "192.0.2.7", Method: "passphrase+otp"},
		Elsewhere: []identity.SourceLock{{Source: "192.0.2.9", Until: noon}}, Trouble: []Trouble{{Time: noon, Type: "jump.refused", Reason: "denied", Detail: "\x1b", Times: 3, Since: noon, Addresses: 2}},
		Places: []Place{{Target: "home.tinker", Rule: "r (x.yaml:1)", Probed: true}, {Target: "desk.tinker", Denied: "no rule"}}}
	for what, c := range map[string]struct {
		change func(*Diagnosis)
		sick   bool
		says   string
	}{
		"fine":                {func(*Diagnosis) {}, false, "account: active, last login never from 192.0.2.7 with passphrase+otp\n"},
		"told lately":         {func(*Diagnosis) {}, false, `: denied: "\x1b"; 3 times since 2026-03-02 12:00 UTC, from 2 addresses` + "\n"},
		"a lock elsewhere":    {func(*Diagnosis) {}, false, "note: locked from 192.0.2.9, which is elsewhere, until "},
		"denied":              {func(*Diagnosis) {}, false, "  desk.tinker: denied: no rule\n"},
		"disabled":            {func(d *Diagnosis) { d.User.Disabled = true }, true, "problem: the account is disabled: entry user enable alice\n"},
		"not fit":             {func(d *Diagnosis) { d.Fit = false }, true, "problem: the account: active\n"},
		"no authenticator":    {func(d *Diagnosis) { d.User.Authenticators = nil }, true, "problem: no authenticator and no temporary passphrase: entry user reset alice\n"},
		"a lock":              {func(d *Diagnosis) { d.Locks = []identity.SourceLock{{Source: "192.0.2.7", Until: noon}} }, true, "problem: locked from 192.0.2.7 until "},
		"failures, no lock":   {func(d *Diagnosis) { d.Locks = []identity.SourceLock{{Source: "192.0.2.7"}} }, false, ""},
		"a target that's off": {func(d *Diagnosis) { d.Places[0].Wrong = "no answer" }, true, "  home.tinker: problem: no answer\n"},
		"kinds left out":      {func(d *Diagnosis) { d.More = 4 }, false, "  and 4 more: entry audit search --user alice\n"},
		"a wrong clock": {func(d *Diagnosis) { d.Drifted = noon }, true,
			"problem: the clock of alice's authenticator is wrong: a code on 2026-03-02 12:00 UTC was right at another time; set the phone to automatic time\n"},
		"wrong codes": {func(d *Diagnosis) { d.User.WrongCodes, d.User.WrongSince = 1, noon }, true,
			"problem: 1 wrong code behind the right passphrase; since 2026-03-02 12:00, more than five in a day or from a network without a login before. If alice mistyped them, or the phone's clock is wrong, that is all. If not, somebody has the passphrase: "},
		"a way that failed": {func(d *Diagnosis) {
			d.Places[0].Failed = &Trouble{Time: noon, Reason: "certificate-refused", Detail: "ssh: handshake failed: attempted methods [none publickey]"}
		}, false, "it answers with its host key, but the last way there failed, on 2026-03-02 12:00 UTC: the machine doesn't take entry's certificate: is the account there"},
		"no lab": {func(d *Diagnosis) { d.Places = nil }, true, "problem: in no lab, so a login leads nowhere"},
		"no lab, and groups that open nothing": {func(d *Diagnosis) { d.Places, d.User.Realm, d.Groups = nil, "duo", []string{"a", "b"} }, true,
			`problem: in no lab, and in no group that a rule opens a target to, so a login leads nowhere: the directory duo has them in "a", "b"` + "\n"},
		"groups that nobody can tell": {func(d *Diagnosis) { d.Places, d.User.Realm, d.Ungrouped = nil, "duo", "only a login tells" }, false,
			"note: what a group opens isn't known here: only a login tells\n"},
		"a silent directory": {func(d *Diagnosis) { d.User.Realm, d.Silent, d.Ungrouped = "duo", true, "it doesn't answer" }, true,
			"problem: the directory duo doesn't answer, so nobody of it can log in by passphrase\nnote: what a group opens isn't known here: it doesn't answer\ntargets"},
		"gone": {func(d *Diagnosis) { d.Places, d.User.Realm, d.Gone = nil, "duo", "gone" }, true, "problem: the directory duo, asked for them now, lets them nowhere: gone\n"},
	} {
		d := fine
		d.Places = slices.Clone(fine.Places)
		c.change(&d)
		var out strings.Builder
		if sick := d.Tell(&out, noon); sick != c.sick || !strings.Contains(out.String(), c.says) || strings.Contains(out.String(), "\x1b") {
			t.Errorf("%s: sick %t\n%s", what, sick, out.String())
		}
	}
}

// A misspelt name is told with the one that may be meant, the others together; keys that
// several have with why.
func TestWarnings(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "p.yaml")
	testkit.WriteFile(t, file, "labs:\n  tinker:\n    members: [alice, bob, zoe]\n")
	p := testkit.Must(policy.LoadFiles([]string{file}))(t)
	key := func(shared string, proven time.Time) []identity.Key {
		return []identity.Key{{Fingerprint: "SHA256:x", Shared: shared, Proven: proven}}
	}
	got := Warnings([]identity.UserInfo{{Name: "alice", Keys: key("", noon)}, {Name: "alcie", CodeBySMS: true, Keys: key("hers too", time.Time{})}, {Name: "bobb", Keys: key("", time.Time{})}}, p, false)
	want := []string{
		`the policy names bob, who has no account; did you mean "bobb"? That account is in no lab`,
		"named by the policy and without an account: zoe",
		"accounts in no lab, so a login leads nowhere: alcie, bobb",
		"codes go by SMS, for which entry.yaml has no gateway (sms), so these can't log in: alcie",
		"the key SHA256:x is shared by alcie, alice: hers too; bobb: nobody has said why; whoever logs in with it first keeps it",
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	// A name that is like an account of some lab comes before a list that is cut; one that
	// has but another number isn't like it.
	testkit.WriteFile(t, file, "labs:\n  tinker:\n    members: [alice, stud001, stud]\n  course:\n    members: [alcie, stud-001, stud002]\n")
	p2 := testkit.Must(policy.LoadFiles([]string{file}))(t)
	if got, want := Warnings([]identity.UserInfo{{Name: "alice"}, {Name: "stud001"}, {Name: "stud"}}, p2, true), []string{
		`the policy names alcie, who has no account; did you mean "alice"?`,
		`the policy names stud-001, who has no account; did you mean "stud001"?`,
		"named by the policy and without an account: stud002",
	}; !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	if got := Warnings(nil, p, true); !slices.Equal(got, []string{"named by the policy and without an account: alice, bob, zoe"}) {
		t.Errorf("%q", got)
	}
}

// What is of no consequence isn't told, and how the last way to a target failed stands
// until a session came about there.
func TestPastOfAUser(t *testing.T) {
	t.Parallel()
	at := func(minutes int) time.Time { return noon.Add(time.Duration(minutes) * time.Minute) }
	events := []audit.Event{
		{Type: audit.LoginFailed, User: "alice", Reason: "clock-drift", Time: at(0)},
		{Type: audit.UpstreamFailed, User: "alice", Target: "home.tinker", Reason: "unreachable", Time: at(1)},
		{Type: audit.SessionStarted, User: "alice", Target: "home.tinker", Time: at(2)},
		{Type: audit.ChannelRefused, User: "alice", Target: "home.tinker", Reason: "unknown-request", Detail: "request simple@putty.projects.tartarus.org isn't known and was refused", Time: at(3)},
		{Type: audit.UpstreamFailed, User: "alice", Target: "desk.tinker", Reason: "certificate-refused", Time: at(4)},
		{Type: audit.UpstreamFailed, User: "bob", Target: "home.tinker", Reason: "unreachable", Time: at(5)},
	}
	read := func(events []audit.Event) past {
		a := &Server{History: func(context.Context, int) iter.Seq2[audit.Event, error] {
			return func(yield func(audit.Event, error) bool) {
				for _, e := range events {
					if !yield(e, nil) {
						return
					}
				}
			}
		}}
		return testkit.Must(a.past(t.Context(), "alice"))(t)
	}
	p := read(events)
	if len(p.trouble) != 3 || p.trouble[0].Reason != "certificate-refused" || len(p.failed) != 1 || !p.failed["desk.tinker"].Time.Equal(at(4)) || !p.drifted.Equal(at(0)) {
		t.Errorf("%+v", p)
	}
	if p := read(append(events, audit.Event{Type: audit.LoginSucceeded, User: "alice", Time: at(6)})); !p.drifted.IsZero() {
		t.Errorf("the clock is right since: %+v", p)
	}
}
