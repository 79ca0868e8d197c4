package portal

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"entry/audit/refusal"
	"entry/bastion/guide"
	"entry/bastion/identity"
	"entry/policy/strict"
)

// A portal command's exit statuses, the same as those of the program's verbs.
const (
	exitOK       = 0
	exitFailed   = 1
	exitUsage    = 2
	exitDenied   = 3
	exitNotFound = 4
)

// verb is one portal command.
type verb struct {
	name  string
	short string   // what it does, for the overview
	usage []string // one line a form, without "ssh entry "
	more  string   // what else to know
	run   func(v *visit, ctx context.Context, d *desk, args []string) uint32
}

// verbs are numbered in this order wherever a person chooses.
func verbs() []verb {
	return []verb{
		{name: "targets", short: "where you may go, and how", usage: []string{"targets"}, run: (*visit).verbTargets},
		{name: "sessions", short: "your sessions, live and past", usage: []string{"sessions"}, run: (*visit).verbSessions},
		{name: "config", short: "ready files for OpenSSH, PuTTY, WinSCP, MobaXterm, VS Code, a browser",
			usage: []string{"config", "config openssh|known_hosts|putty|winscp|mobaxterm|vscode|browser", "config openssh --http-proxy HOST:PORT"},
			more:  "Save what it prints: ssh %[1]s config openssh > entry.conf. The file says where it goes. --http-proxy makes one for a network that lets SSH out through such a proxy only.", run: (*visit).verbConfig},
		{name: "doctor", short: "what stands in your way: clocks, locks, dates, logins, targets", usage: []string{"doctor"},
			more: "Exit status 1 says that something needs doing.", run: (*visit).verbDoctor},
		{name: "keys", short: "your public keys, and those that need no code for now",
			usage: []string{"keys", "keys add [KEY]", "keys remove NUMBER|FINGERPRINT", "keys enable NUMBER|FINGERPRINT", "keys forget NUMBER|FINGERPRINT|all"},
			more:  "KEY is the line in a file like id_ed25519.pub: ssh -t %[1]s keys add \"$(cat ~/.ssh/id_ed25519.pub)\". Without it the line is asked for, or read from the standard input. `add` asks for a one-time code, and for a signature of the key: a key belongs to one account, and one that was shown to be somebody's can't be added by others. `remove` and `forget` don't, and act at once. A key that ten wrong codes came behind is suspended, and nothing new opens on connections that it opened without a code: `enable` lets it be used again, asks for a code, and wants a connection that was opened by the passphrase or another key.", run: (*visit).verbKeys},
		{name: "enroll", short: "another authenticator, for a second device or a new phone",
			usage: []string{"enroll [NAME]", "enroll list", "enroll remove NUMBER|NAME"},
			more:  "Asks for a one-time code of a device that you have. The last one can't be removed.", run: (*visit).verbEnroll},
		{name: "passwd", short: "a new passphrase", usage: []string{"passwd"}, more: "Asks for a one-time code and the old passphrase. Keys that need no code for now are forgotten.", run: (*visit).verbPasswd},
		{name: "phone", short: "another number for codes by SMS", usage: []string{"phone +NUMBER"},
			more: "Asks for a one-time code, and for one that is sent to the new number. The old number is told.", run: (*visit).verbPhone},
		{name: "ask", short: "ask for the approval that a rule wants, and wait for it", usage: []string{"ask TARGET"},
			more: "Connecting asks by itself, unless the approval gives more than what you have without it.", run: (*visit).verbAsk},
		{name: "approve", short: "who waits for your approval", usage: []string{"approve", "approve ID", "approve given", "approve withdraw ID"},
			more: "Asks for a one-time code before it approves. `given` lists your approvals that still hold; `withdraw` takes one back, at once and without a code: what was opened by it ends, or loses what it gave.", run: (*visit).verbApprove},
		{name: "recovery", short: "new recovery codes; the old ones stop working", usage: []string{"recovery"}, more: "Asks for a one-time code.", run: (*visit).verbRecovery},
	}
}

// do runs one portal command and returns its exit status. Each is checked
// anew: a portal session may be older than what took its user's access away.
func (v *visit) do(ctx context.Context, d *desk, args []string) uint32 {
	if v.login.Turn(ctx) != nil { // the user has left
		return exitFailed
	}
	if err := v.login.Open(); err != nil {
		d.errs.printf("entry: %s", v.contact().In(refusal.Of(err).Text))
		return exitDenied
	}
	name, rest := args[0], args[1:]
	if name == "help" || name == "--help" || name == "-h" || name == "?" {
		return v.help(d, rest)
	}
	for _, known := range verbs() {
		if known.name != name {
			continue
		}
		if len(rest) > 0 && (rest[0] == "--help" || rest[0] == "-h" || rest[0] == "help") {
			return v.help(d, []string{name})
		}
		return known.run(v, ctx, d, rest)
	}
	v.unknown(d, name)
	return exitUsage
}

// otherwise are the commands by what people call them who look for one.
var otherwise = map[string]string{
	"device": "enroll", "devices": "enroll", "authenticator": "enroll", "authenticators": "enroll", "enrol": "enroll", "enrolment": "enroll", "otp": "enroll", "totp": "enroll", "2fa": "enroll", "mfa": "enroll",
	"passphrase": "passwd", "password": "passwd",
	"key": "keys", "publickey": "keys", "ssh-keys": "keys",
	"codes": "recovery", "backup": "recovery",
	"status": "doctor", "health": "doctor", "check": "doctor", "whoami": "doctor", "logins": "doctor", "lock": "doctor", "locks": "doctor", "account": "doctor",
	"where": "targets", "hosts": "targets", "host": "targets", "machines": "targets", "servers": "targets", "labs": "targets", "ls": "targets", "list": "targets",
	"history": "sessions", "recordings": "sessions", "sms": "phone", "number": "phone", "approvals": "approve", "putty": "config", "known_hosts": "config",
}

// unknown says that there is no command of that name, and what may have been meant: a
// machine, or another command.
func (v *visit) unknown(d *desk, name string) {
	for _, t := range Targets(v.login.Places(), v.contact()) {
		if t.Kind == guide.SSH && t.Denied == "" && (strings.EqualFold(name, t.Name) || strings.EqualFold(name, t.Full)) {
			d.errs.printf("entry: %s is a machine, not a command here. From your own computer: ssh -J %s %s", t.Full, v.p.o.Name, t.Name)
			return
		}
	}
	var names []string
	for _, known := range verbs() {
		names = append(names, known.name)
	}
	near := otherwise[strings.ToLower(name)]
	if near == "" {
		near = strict.Nearest(name, names)
	}
	if near != "" {
		d.errs.printf("entry: no such command; did you mean %s? All: %s", v.says(d, near), v.says(d, "help"))
		return
	}
	d.errs.printf("entry: no such command; try: %s", v.says(d, "help"))
}

// says is how a command is given: in the portal's own shell, or with ssh.
func (v *visit) says(d *desk, command string) string {
	if d.shell {
		return command
	}
	return "ssh " + v.p.o.Name + " " + command
}

func (v *visit) help(d *desk, args []string) uint32 {
	all := verbs()
	if len(args) == 0 {
		for _, known := range all {
			d.out.printf("%-28s %s", v.says(d, known.name), known.short)
		}
		d.out.printf("%-28s %s", v.says(d, "help COMMAND"), "more about one of them")
		if d.shell {
			d.out.printf("%-28s %s", "quit", "leave")
		}
		d.out.printf("Exit status: 0 done, 1 failed, 2 not understood, 3 refused, 4 not found.")
		return exitOK
	}
	for _, known := range all {
		if known.name == args[0] {
			d.out.printf("%s: %s", known.name, known.short)
			for _, u := range known.usage {
				d.out.printf("    %s", v.says(d, u))
			}
			if known.more != "" {
				d.out.printf("%s", strings.ReplaceAll(known.more, "%[1]s", v.p.o.Name))
			}
			return exitOK
		}
	}
	v.unknown(d, args[0])
	return exitNotFound
}

// misused tells how a verb is used.
func (v *visit) misused(d *desk, name string) uint32 {
	for _, known := range verbs() {
		if known.name == name {
			d.errs.printf("entry: use: %s", v.says(d, strings.Join(known.usage, "\n         "+v.says(d, ""))))
		}
	}
	return exitUsage
}

// shell is the portal for a person at a terminal: numbered choices and line
// prompts, nothing that moves the cursor, nothing that only a colour says.
func (v *visit) shell(ctx context.Context, d *desk) uint32 {
	d.shell = true
	d.out.printf("You are logged in to %s as %s. Nothing here is recorded but what you change.", v.p.o.Name, v.login.Who().User())
	v.targets(d.out, nil)
	d.out.printf("")
	all := verbs()
	for i, known := range all {
		d.out.printf("%d. %s: %s", i+1, known.name, known.short)
	}
	d.out.printf("Type a number or a word; help explains, quit leaves.")
	for {
		line, err := d.Ask(ctx, v.p.o.Name+"> ", true)
		if err != nil {
			if errors.Is(err, errIdle) {
				return exitFailed
			}
			d.out.printf("")
			return exitOK
		}
		args := strings.Fields(line)
		switch {
		case len(args) == 0:
			continue
		case args[0] == "quit" || args[0] == "exit" || args[0] == "logout":
			return exitOK
		}
		if n, err := strconv.Atoi(args[0]); err == nil && n >= 1 && n <= len(all) {
			args[0] = all[n-1].name
		}
		v.do(ctx, d, args) // its status is for scripts
		if ctx.Err() != nil {
			return exitFailed
		}
	}
}

// failed tells the user why identity didn't do something, and returns the exit
// status. Causes go to the log.
func (v *visit) failed(d *desk, what string, err error) uint32 {
	if errors.Is(err, errIdle) {
		return exitFailed // said
	}
	no := meaning(err)
	if no.Code == refusal.Unavailable {
		v.p.o.Trouble("portal: "+what, v.login, err)
	}
	d.errs.printf("entry: %s", strings.TrimSpace(v.contact().In(no.Text)))
	return uint32(no.Exit)
}

// meanings are what users read of identity's errors.
var meanings = []struct {
	is error
	no refusal.Error
}{
	{identity.ErrRefused, refusal.Error{Code: refusal.Denied, Exit: exitDenied, Text: "not accepted, so nothing was changed."}},
	{identity.ErrExhausted, refusal.Error{Code: refusal.Denied, Exit: exitDenied, Text: "not accepted, so nothing was changed."}},
	{identity.ErrAbandoned, refusal.Error{Code: refusal.Cancelled, Exit: exitFailed, Text: "no answer, so nothing was changed."}},
	{identity.ErrProof, refusal.Error{Code: refusal.TimeOver, Exit: exitFailed, Text: "that took too long, so nothing was changed. Start again: the code is good for two minutes."}},
	{identity.ErrRevoked, refusal.Error{Code: refusal.Revoked, Exit: exitDenied, Text: "your access was changed; connect again."}},
	{identity.ErrChanged, refusal.Error{Code: refusal.Cancelled, Exit: exitFailed, Text: "your account was changed at the same time from elsewhere. Look, and start again."}},
	{identity.ErrNoDevice, refusal.Error{Code: refusal.Denied, Exit: exitNotFound, Text: "you have no authenticator of that name."}},
	{identity.ErrLastDevice, refusal.Error{Code: refusal.Denied, Exit: exitFailed, Text: "it is your only authenticator. Enroll another one first."}},
	{identity.ErrExists, refusal.Error{Code: refusal.Denied, Exit: exitFailed, Text: "there is one of that name already."}},
	{identity.ErrNoKey, refusal.Error{Code: refusal.Denied, Exit: exitNotFound, Text: "you have no such key."}},
}

// meaning is what err means to a user.
func meaning(err error) *refusal.Error {
	var said *identity.Refusal
	var key *identity.KeyRefused
	switch {
	case errors.As(err, &said):
		return &refusal.Error{Code: refusal.Denied, Exit: exitFailed, Text: said.Text}
	case errors.As(err, &key):
		return &refusal.Error{Code: refusal.Denied, Exit: exitFailed, Text: "the key was refused: " + key.Text}
	}
	for _, m := range meanings {
		if errors.Is(err, m.is) {
			return &m.no
		}
	}
	return &refusal.Error{Code: refusal.Unavailable, Exit: exitFailed, Text: "that can't be done right now. It isn't your fault; try again in some minutes.", Cause: err}
}

// fresh asks for a code that was not used yet, to do something. What strengthens or
// renews access needs one, however the connection was opened.
func (v *visit) fresh(ctx context.Context, d *desk, to string) (identity.Proof, error) {
	u, err := v.p.o.Auth.User(ctx, v.login.Who().User())
	if err != nil {
		return identity.Proof{}, err
	}
	which := "a new code of your authenticator: the one that you logged in with won't do, the next comes within 30 seconds"
	if u.CodeBySMS {
		which = "the code that comes to you by SMS now"
	}
	d.errs.printf("To %s, first type %s.", to, which)
	return v.p.o.Auth.Fresh(ctx, v.login.Who(), identity.Attempt{Name: v.login.Who().User(), Source: v.login.Source(), Conn: v.login.Conn()}, d)
}

// choose turns a number from a list, or a name in it, into an index. With no
// argument and a terminal it asks.
func (v *visit) choose(ctx context.Context, d *desk, args []string, question string, names []string) (int, error) {
	answer := strings.Join(args, " ")
	if answer == "" && d.pty {
		for i, n := range names {
			d.out.printf("%d. %s", i+1, n)
		}
		var err error
		if answer, err = d.Ask(ctx, question+" Number, or Enter for none: ", true); err != nil {
			return 0, fmt.Errorf("%w: %w", identity.ErrAbandoned, err)
		}
		answer = strings.TrimSpace(answer)
	}
	if answer == "" {
		return 0, identity.ErrAbandoned
	}
	if n, err := strconv.Atoi(answer); err == nil && n >= 1 && n <= len(names) {
		return n - 1, nil
	}
	for i, n := range names {
		if n == answer || strings.HasPrefix(n, answer+" ") {
			return i, nil
		}
	}
	return 0, errNoChoice
}

// errNoChoice: the list has nothing of that number or name.
var errNoChoice = errors.New("no such choice")
