package bastion

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"entry/bastion/identity"
)

// moment shows a time the same way everywhere.
func moment(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }

// verbEnroll adds another authenticator, lists them, or takes one away.
func (c *client) verbEnroll(ctx context.Context, d *desk, args []string) uint32 {
	switch {
	case len(args) > 0 && args[0] == "list":
		if len(args) > 1 {
			return c.misused(d, "enroll")
		}
		return c.devices(ctx, d)
	case len(args) > 0 && args[0] == "remove":
		return c.removeDevice(ctx, d, args[1:])
	case len(args) > 0 && args[0] == "add":
		args = args[1:]
	}
	name := strings.Join(args, " ")
	if name == "" {
		if !d.pty {
			return c.misused(d, "enroll")
		}
		answer, err := d.Ask(ctx, "Name for the new device, for example tablet: ", true)
		if err != nil {
			return c.failed(d, "enroll", fmt.Errorf("%w: %w", identity.ErrAbandoned, err))
		}
		if name = strings.TrimSpace(answer); name == "" {
			return c.failed(d, "enroll", identity.ErrAbandoned)
		}
	}
	p, err := c.fresh(ctx, d)
	if err == nil {
		err = c.s.o.Auth.Enroll(ctx, p, name, d)
	}
	if err != nil {
		return c.failed(d, "enroll", err)
	}
	d.out.printf("Enrolled: %s. Codes of all your devices are accepted.", printable(name))
	return exitOK
}

func (c *client) devices(ctx context.Context, d *desk) uint32 {
	h, err := c.s.o.Auth.Health(ctx, c.who)
	if err != nil {
		return c.failed(d, "list authenticators", err)
	}
	for i, a := range h.Devices {
		used := "not used yet"
		if !a.Used.IsZero() {
			used = "last code " + moment(a.Used)
		}
		d.out.printf("%d. %s (enrolled %s, %s)", i+1, printable(a.Name), moment(a.Created), used)
	}
	return exitOK
}

func (c *client) removeDevice(ctx context.Context, d *desk, args []string) uint32 {
	h, err := c.s.o.Auth.Health(ctx, c.who)
	if err != nil {
		return c.failed(d, "list authenticators", err)
	}
	names := make([]string, len(h.Devices))
	for i, a := range h.Devices {
		names[i] = a.Name
	}
	if len(args) == 0 && !d.pty {
		return c.misused(d, "enroll")
	}
	i, err := c.choose(ctx, d, args, "Which one is to go?", names)
	if errors.Is(err, errNoChoice) {
		err = identity.ErrNoDevice
	}
	if err != nil {
		return c.failed(d, "remove authenticator", err)
	}
	p, err := c.fresh(ctx, d)
	if err == nil {
		err = c.s.o.Auth.RemoveDevice(ctx, p, names[i])
	}
	if err != nil {
		return c.failed(d, "remove authenticator", err)
	}
	d.out.printf("Removed: %s. Its codes are not accepted any more.", printable(names[i]))
	return exitOK
}

// verbPasswd changes the passphrase.
func (c *client) verbPasswd(ctx context.Context, d *desk, args []string) uint32 {
	return c.renew(ctx, d, "passwd", args, c.s.o.Auth.ChangePassphrase, "Your passphrase is changed.")
}

// verbRecovery makes new recovery codes.
func (c *client) verbRecovery(ctx context.Context, d *desk, args []string) uint32 {
	return c.renew(ctx, d, "recovery", args, c.s.o.Auth.NewRecovery, "These are your recovery codes now; the old ones are void.")
}

func (c *client) renew(ctx context.Context, d *desk, name string, args []string, f func(context.Context, identity.Proof, identity.Asker) error, done string) uint32 {
	if len(args) > 0 {
		return c.misused(d, name)
	}
	p, err := c.fresh(ctx, d)
	if err == nil {
		err = f(ctx, p, d)
	}
	if err != nil {
		return c.failed(d, name, err)
	}
	d.out.printf("%s", done)
	return exitOK
}

// verbKeys lists, adds, removes public keys, and ends remembered ones.
func (c *client) verbKeys(ctx context.Context, d *desk, args []string) uint32 {
	if len(args) == 0 {
		return c.listKeys(ctx, d)
	}
	switch rest := args[1:]; args[0] {
	case "list":
		if len(rest) == 0 {
			return c.listKeys(ctx, d)
		}
	case "add":
		return c.addKey(ctx, d, strings.Join(rest, " "))
	case "remove":
		if len(rest) == 1 || len(rest) == 0 && d.pty {
			return c.removeKey(ctx, d, rest)
		}
	case "forget":
		if len(rest) == 1 || len(rest) == 0 && d.pty {
			return c.forgetKey(ctx, d, rest)
		}
	}
	return c.misused(d, "keys")
}

// ownKeys are the user's public keys and those of them that need no code now,
// each as one line that begins with its fingerprint.
func (c *client) ownKeys(ctx context.Context) (keys, remembered []string, err error) {
	u, err := c.s.o.Auth.User(ctx, c.who.User())
	if err != nil {
		return nil, nil, err
	}
	for _, k := range u.Keys {
		kind, _, _ := strings.Cut(k.Line, " ")
		keys = append(keys, fmt.Sprintf("%s %s %s (added %s)", k.Fingerprint, kind, printable(k.Comment), moment(k.Added)))
	}
	all, err := c.s.o.Auth.RememberedKeys(ctx, c.who)
	if err != nil {
		return nil, nil, err
	}
	for _, r := range all {
		used := "not used yet"
		if !r.Used.IsZero() {
			used = "last used " + moment(r.Used)
		}
		remembered = append(remembered, fmt.Sprintf("%s %s from %s until %s (%s)", r.Fingerprint, printable(r.Comment), r.Network, moment(r.Until), used))
	}
	return keys, remembered, nil
}

func (c *client) listKeys(ctx context.Context, d *desk) uint32 {
	keys, remembered, err := c.ownKeys(ctx)
	if err != nil {
		return c.failed(d, "list keys", err)
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
	section("Your public keys:", "You have no public key here. Add one: "+c.says(d, "keys add"), keys)
	section("These need no code for now:", "No key is remembered: each login asks for a code.", remembered)
	return exitOK
}

func (c *client) addKey(ctx context.Context, d *desk, line string) uint32 {
	if line == "" {
		var err error
		if line, err = d.Ask(ctx, "Public key (the one line in a file like id_ed25519.pub): ", true); err != nil {
			return c.failed(d, "add key", fmt.Errorf("%w: %w", identity.ErrAbandoned, err))
		}
	}
	if line = strings.TrimSpace(line); line == "" {
		return c.failed(d, "add key", identity.ErrAbandoned)
	}
	if strings.Contains(line, "PRIVATE KEY") {
		d.errs.printf("entry: that is a private key. Never send it anywhere; the file with .pub at its end holds the public one.")
		return exitFailed
	}
	p, err := c.fresh(ctx, d)
	fingerprint := ""
	if err == nil {
		fingerprint, err = c.s.o.Auth.AddOwnKey(ctx, p, line)
	}
	if err != nil {
		return c.failed(d, "add key", err)
	}
	d.out.printf("Added: %s. It stands for the passphrase from now on; a code is still asked.", fingerprint)
	return exitOK
}

func (c *client) removeKey(ctx context.Context, d *desk, args []string) uint32 {
	keys, _, err := c.ownKeys(ctx)
	if err != nil {
		return c.failed(d, "list keys", err)
	}
	i, err := c.choose(ctx, d, args, "Which key is to go?", keys)
	if errors.Is(err, errNoChoice) {
		err = identity.ErrNoKey
	}
	if err != nil {
		return c.failed(d, "remove key", err)
	}
	fingerprint, _, _ := strings.Cut(keys[i], " ")
	if err := c.s.o.Auth.RemoveOwnKey(ctx, c.who, fingerprint); err != nil {
		return c.failed(d, "remove key", err)
	}
	d.out.printf("Removed: %s. It logs nobody in any more.", fingerprint)
	return exitOK
}

func (c *client) forgetKey(ctx context.Context, d *desk, args []string) uint32 {
	fingerprint := "" // all
	if len(args) == 0 || args[0] != "all" {
		_, remembered, err := c.ownKeys(ctx)
		if err != nil {
			return c.failed(d, "list keys", err)
		}
		i, err := c.choose(ctx, d, args, "Which key is to ask for a code again?", remembered)
		if errors.Is(err, errNoChoice) {
			err = identity.ErrNoKey
		}
		if err != nil {
			return c.failed(d, "forget key", err)
		}
		fingerprint, _, _ = strings.Cut(remembered[i], " ")
	}
	if err := c.s.o.Auth.Forget(ctx, c.who, fingerprint); err != nil {
		return c.failed(d, "forget key", err)
	}
	d.out.printf("Forgotten. The next login asks for a code.")
	return exitOK
}
