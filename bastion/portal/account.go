package portal

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"entry/audit/plain"
	"entry/bastion/identity"
	"entry/policy/pubkey"
)

// verbEnroll adds another authenticator, lists them, or takes one away.
func (v *visit) verbEnroll(ctx context.Context, d *desk, args []string) uint32 {
	switch {
	case len(args) > 0 && args[0] == "list":
		if len(args) > 1 {
			return v.misused(d, "enroll")
		}
		return v.devices(ctx, d)
	case len(args) > 0 && args[0] == "remove":
		return v.removeDevice(ctx, d, args[1:])
	case len(args) > 0 && args[0] == "add":
		args = args[1:]
	}
	name := strings.Join(args, " ")
	if name == "" {
		if !d.pty {
			return v.misused(d, "enroll")
		}
		answer, err := d.Ask(ctx, "Name for the new device, for example tablet: ", true)
		if err != nil {
			return v.failed(d, "enroll", fmt.Errorf("%w: %w", identity.ErrAbandoned, err))
		}
		if name = strings.TrimSpace(answer); name == "" {
			return v.failed(d, "enroll", identity.ErrAbandoned)
		}
	}
	p, err := v.fresh(ctx, d, "enrol "+plain.Text(name))
	if err == nil {
		err = v.p.o.Auth.Enroll(ctx, p, name, d)
	}
	if err != nil {
		return v.failed(d, "enroll", err)
	}
	d.out.printf("Enrolled: %s. Codes of all your devices are accepted.", plain.Text(name))
	return exitOK
}

func (v *visit) devices(ctx context.Context, d *desk) uint32 {
	h, err := v.p.o.Auth.Health(ctx, v.login.Who())
	if err != nil {
		return v.failed(d, "list authenticators", err)
	}
	for i, a := range h.Devices {
		used := "not used yet"
		if !a.Used.IsZero() {
			used = "last code " + plain.Moment(a.Used)
		}
		d.out.printf("%d. %s (enrolled %s, %s)", i+1, plain.Text(a.Name), plain.Moment(a.Created), used)
	}
	return exitOK
}

func (v *visit) removeDevice(ctx context.Context, d *desk, args []string) uint32 {
	h, err := v.p.o.Auth.Health(ctx, v.login.Who())
	if err != nil {
		return v.failed(d, "list authenticators", err)
	}
	names := make([]string, len(h.Devices))
	for i, a := range h.Devices {
		names[i] = a.Name
	}
	if len(args) == 0 && !d.pty {
		return v.misused(d, "enroll")
	}
	i, err := v.choose(ctx, d, args, "Which one is to go?", names)
	if errors.Is(err, errNoChoice) {
		err = identity.ErrNoDevice
	}
	if err != nil {
		return v.failed(d, "remove authenticator", err)
	}
	p, err := v.fresh(ctx, d, "remove "+plain.Text(names[i]))
	if err == nil {
		err = v.p.o.Auth.RemoveDevice(ctx, p, names[i])
	}
	if err != nil {
		return v.failed(d, "remove authenticator", err)
	}
	d.out.printf("Removed: %s. Its codes are not accepted any more.", plain.Text(names[i]))
	return exitOK
}

// verbPasswd changes the passphrase.
func (v *visit) verbPasswd(ctx context.Context, d *desk, args []string) uint32 {
	return v.renew(ctx, d, "passwd", "change your passphrase", args, v.p.o.Auth.ChangePassphrase, "Your passphrase is changed.")
}

// verbRecovery makes new recovery codes.
func (v *visit) verbRecovery(ctx context.Context, d *desk, args []string) uint32 {
	return v.renew(ctx, d, "recovery", "make new recovery codes", args, v.p.o.Auth.NewRecovery, "These are your recovery codes now; the old ones are void.")
}

func (v *visit) renew(ctx context.Context, d *desk, name, to string, args []string, f func(context.Context, identity.Proof, identity.Asker) error, done string) uint32 {
	if len(args) > 0 {
		return v.misused(d, name)
	}
	p, err := v.fresh(ctx, d, to)
	if err == nil {
		err = f(ctx, p, d)
	}
	if err != nil {
		return v.failed(d, name, err)
	}
	d.out.printf("%s", done)
	return exitOK
}

// verbPhone replaces the number that codes go to by SMS.
func (v *visit) verbPhone(ctx context.Context, d *desk, args []string) uint32 {
	if err := v.p.o.Auth.SendsTexts(); err != nil {
		return v.failed(d, "phone", err)
	}
	number := strings.Join(args, "")
	if number == "" {
		if !d.pty {
			return v.misused(d, "phone")
		}
		answer, err := d.Ask(ctx, "New number, for example +46701234567: ", true)
		if err != nil {
			return v.failed(d, "phone", fmt.Errorf("%w: %w", identity.ErrAbandoned, err))
		}
		if number = strings.TrimSpace(answer); number == "" {
			return v.failed(d, "phone", identity.ErrAbandoned)
		}
	}
	if err := v.p.o.Auth.CheckPhone(number); err != nil {
		return v.failed(d, "phone", err) // before a code is spent
	}
	p, err := v.fresh(ctx, d, "change your number")
	if err == nil {
		err = v.p.o.Auth.ChangePhone(ctx, p, number, d)
	}
	if err != nil {
		return v.failed(d, "phone", err)
	}
	d.out.printf("Your number is changed. The one before, if there was one, was told.")
	return exitOK
}

// verbKeys lists, adds, removes public keys, and ends remembered ones.
func (v *visit) verbKeys(ctx context.Context, d *desk, args []string) uint32 {
	if len(args) == 0 {
		return v.listKeys(ctx, d)
	}
	switch rest := args[1:]; args[0] {
	case "list":
		if len(rest) == 0 {
			return v.listKeys(ctx, d)
		}
	case "add":
		return v.addKey(ctx, d, strings.Join(rest, " "))
	case "remove":
		if len(rest) == 1 || len(rest) == 0 && d.pty {
			return v.removeKey(ctx, d, rest)
		}
	case "enable":
		if len(rest) == 1 || len(rest) == 0 && d.pty {
			return v.enableKey(ctx, d, rest)
		}
	case "forget":
		if len(rest) == 1 || len(rest) == 0 && d.pty {
			return v.forgetKey(ctx, d, rest)
		}
	}
	return v.misused(d, "keys")
}

// ownKeys are the user's public keys and those of them that need no code now,
// each as one line that begins with its fingerprint.
func (v *visit) ownKeys(ctx context.Context) (keys, remembered []string, err error) {
	u, err := v.p.o.Auth.User(ctx, v.login.Who().User())
	if err != nil {
		return nil, nil, err
	}
	for _, k := range u.Keys {
		kind, _, _ := strings.Cut(k.Line, " ")
		state := ""
		if !k.Suspended.IsZero() {
			state = ", suspended " + plain.Moment(k.Suspended) + " after wrong codes"
		}
		if k.Proven.IsZero() {
			state += ", not yet shown to be yours: log in with it"
		}
		keys = append(keys, fmt.Sprintf("%s %s %s (added %s%s)", k.Fingerprint, kind, plain.Text(k.Comment), plain.Moment(k.Added), state))
	}
	all, err := v.p.o.Auth.RememberedKeys(ctx, v.login.Who())
	if err != nil {
		return nil, nil, err
	}
	for _, r := range all {
		used := "not used yet"
		if !r.Used.IsZero() {
			used = "last used " + plain.Moment(r.Used)
		}
		remembered = append(remembered, fmt.Sprintf("%s %s from %s until %s (%s)", r.Fingerprint, plain.Text(r.Comment), r.Network, plain.Moment(r.Until), used))
	}
	return keys, remembered, nil
}

func (v *visit) listKeys(ctx context.Context, d *desk) uint32 {
	keys, remembered, err := v.ownKeys(ctx)
	if err != nil {
		return v.failed(d, "list keys", err)
	}
	section := func(title, none string, all []string) {
		if len(all) == 0 {
			d.out.printf("%s", none)
			return
		}
		d.out.printf("%s", title)
		for i, s := range all {
			d.out.printf("%d. %s", i+1, s)
		}
	}
	section("Your public keys:", "You have no public key here. Add one: "+v.says(d, "keys add"), keys)
	section("These need no code for now:", "No key is remembered: each login asks for a code.", remembered)
	return exitOK
}

// maxKeyLines bounds the lines of one key in the form of RFC 4716.
const maxKeyLines = 64

func (v *visit) addKey(ctx context.Context, d *desk, line string) uint32 {
	if line == "" {
		var err error
		if line, err = d.Ask(ctx, "Public key (the one line in a file like id_ed25519.pub): ", true); err != nil {
			return v.failed(d, "add key", fmt.Errorf("%w: %w", identity.ErrAbandoned, err))
		}
	}
	for n := 0; pubkey.Unfinished(line) && n < maxKeyLines; n++ { // what follows mustn't go to the next prompts
		more, err := d.Ask(ctx, "", true)
		if err != nil {
			break
		}
		line += "\n" + strings.TrimRight(more, "\r")
	}
	if line = strings.TrimSpace(line); line == "" {
		return v.failed(d, "add key", identity.ErrAbandoned)
	}
	if strings.Contains(line, "PRIVATE KEY") || strings.HasPrefix(line, "PuTTY-User-Key-File") {
		d.errs.printf("entry: that is a private key. Never send it anywhere; the file with .pub at its end holds the public one, and PuTTYgen shows it at the top of its window.")
		return exitFailed
	}
	if err := v.p.o.Auth.CheckKey(line); err != nil {
		return v.failed(d, "add key", err) // before a code is spent
	}
	p, err := v.fresh(ctx, d, "add the key")
	fingerprint, proven := "", false
	if err == nil {
		fingerprint, proven, err = v.p.o.Auth.AddOwnKey(ctx, p, line, d)
	}
	if err != nil {
		return v.failed(d, "add key", err)
	}
	if !proven {
		d.errs.printf("entry: the key was not shown to be yours. Log in with it once, and it is.")
	}
	d.out.printf("Added: %s. It stands for the passphrase from now on; a code is still asked%s.", fingerprint, v.remembering())
	return exitOK
}

func (v *visit) removeKey(ctx context.Context, d *desk, args []string) uint32 {
	keys, _, err := v.ownKeys(ctx)
	if err != nil {
		return v.failed(d, "list keys", err)
	}
	i, err := v.choose(ctx, d, args, "Which key is to go?", keys)
	if errors.Is(err, errNoChoice) {
		err = identity.ErrNoKey
	}
	if err != nil {
		return v.failed(d, "remove key", err)
	}
	fingerprint, _, _ := strings.Cut(keys[i], " ")
	if err := v.p.o.Auth.RemoveOwnKey(ctx, v.login.Who(), fingerprint); err != nil {
		return v.failed(d, "remove key", err)
	}
	d.out.printf("Removed: %s. It logs nobody in any more.", fingerprint)
	return exitOK
}

// enableKey lets a suspended key be used again.
func (v *visit) enableKey(ctx context.Context, d *desk, args []string) uint32 {
	keys, _, err := v.ownKeys(ctx)
	if err != nil {
		return v.failed(d, "list keys", err)
	}
	i, err := v.choose(ctx, d, args, "Which key is to be used again?", keys)
	if errors.Is(err, errNoChoice) {
		err = identity.ErrNoKey
	}
	if err != nil {
		return v.failed(d, "enable key", err)
	}
	fingerprint, _, _ := strings.Cut(keys[i], " ")
	p, err := v.fresh(ctx, d, "use the key again")
	if err == nil {
		err = v.p.o.Auth.RestoreKey(ctx, p, fingerprint)
	}
	if errors.Is(err, identity.ErrNoKey) {
		d.errs.printf("entry: that key is not suspended.")
		return exitNotFound
	}
	if err != nil {
		return v.failed(d, "enable key", err)
	}
	d.out.printf("Enabled: %s. It stands for the passphrase again; a code is still asked.", fingerprint)
	return exitOK
}

func (v *visit) forgetKey(ctx context.Context, d *desk, args []string) uint32 {
	fingerprint := "" // all
	if len(args) == 0 || args[0] != "all" {
		_, remembered, err := v.ownKeys(ctx)
		if err != nil {
			return v.failed(d, "list keys", err)
		}
		i, err := v.choose(ctx, d, args, "Which key is to ask for a code again?", remembered)
		if errors.Is(err, errNoChoice) {
			err = identity.ErrNoKey
		}
		if err != nil {
			return v.failed(d, "forget key", err)
		}
		fingerprint, _, _ = strings.Cut(remembered[i], " ")
	}
	if err := v.p.o.Auth.Forget(ctx, v.login.Who(), fingerprint); err != nil {
		return v.failed(d, "forget key", err)
	}
	d.out.printf("Forgotten. The next login asks for a code.")
	return exitOK
}

// remembering says how long a code that was given with a key stands for that key.
func (v *visit) remembering() string {
	if d := v.p.o.Facts.Remembered; d > 0 {
		return ", and one code opens " + plain.Span(d) + " from the same network"
	}
	return ""
}
