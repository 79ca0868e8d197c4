package admin

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"entry/audit/plain"
)

// calledKey is what a key is called in a sentence.
func calledKey(what string) string {
	switch what {
	case "audit":
		return "the audit log's key"
	case "host-ca":
		return "the host CA"
	case "secret":
		return "the secret"
	}
	return "the user CA"
}

// TodoText says what to do once the next key is there.
func (r Rotation) TodoText() string {
	w := &strings.Builder{}
	switch r.What {
	case "audit":
		fmt.Fprintf(w, `The next key of the audit log is made; the log is signed by the present one until --finish.
  1. Give the operators of each witness elsewhere this line, to put beside the present
     one (for entry audit witness: into its file logs, then SIGHUP):

%s

  2. entry keys rotate audit --finish
`, r.Next)
	case "host-ca":
		fmt.Fprintf(w, `The next host CA is there. The present one vouches for this server and its targets until
--finish; entry check, guides and the portal's config name both from now on.
  1. Give every user both lines for known_hosts, in the place of the one that they have
     (ssh entry config known_hosts prints them as well):

%s
  2. In a month, or when all have them: entry keys rotate host-ca --finish. Who hasn't is
     asked about a host key then, or refused; nobody sees one that has changed.
`, strings.Join(r.KnownHosts, ""))
		if len(r.Certificates) > 0 {
			fmt.Fprintf(w, "     Before that, have it sign these anew: %s\n", plain.List(r.Certificates, 20))
		}
	case "secret":
		fmt.Fprintf(w, "The next secret is made, and opens what it will seal. Nothing is sealed by it yet.\n")
		if len(r.Servers) > 0 {
			fmt.Fprintf(w, "Copy %s to the same place on each other server of the database, and\nreload it (SIGHUP): %s\n", r.NextPrivate, plain.List(r.Servers, 5))
		}
		fmt.Fprintf(w, "Then: entry keys rotate secret --finish seals all by it.\n")
	default:
		fmt.Fprintf(w, `The next user CA is made. Sessions offer a certificate by it, and where a target doesn't
take that, one by the present CA.
  1. On each target, put both lines into the file of its TrustedUserCAKeys (such as
     /etc/ssh/entry_user_ca.pub), which its sshd reads at each login:

%s
%s

  2. entry keys rotate user-ca --status says which targets take it; each has to be
     logged in to once.
  3. entry keys rotate user-ca --finish, then take the first of the two lines out again.
`, r.Now, r.Next)
	}
	fmt.Fprintf(w, "Until then --abort takes it back. Back up %s once it is in its place.\n", calledKey(r.What))
	return w.String()
}

// Text says how it stands.
func (r Rotation) Text() string {
	called, w := calledKey(r.What), &strings.Builder{}
	if r.Begun == nil {
		head := "No change of " + called + " is under way. It is:"
		if r.Finished {
			head = strings.ToUpper(called[:1]) + called[1:] + " is changed; back the new one up. It is now:"
		}
		fmt.Fprintf(w, "%s\n%s\n", head, r.Now)
		if r.Before != "" { // so that nobody who has it goes on with it
			fmt.Fprintf(w, `Before that it was the one below. Take its line out at each witness elsewhere once that has
cosigned by the new one (entry's own does no more by this one from then on, others may), and
where it was stolen, give auditors the new key at once: who knows only this one can't tell.
%s
`, r.Before)
		}
		switch {
		case r.Finished && r.What == "user-ca":
			w.WriteString("Take the line of the one before out of the targets' TrustedUserCAKeys: they believe it until then.\n")
		case r.Finished && r.What == "host-ca":
			w.WriteString("Have users take the line of the one before out of known_hosts: they believe it until then.\n")
		}
		if r.Finished && r.What == "secret" {
			w.WriteString("Beside it, in .old, is the one before: recovery codes that aren't used yet are good by it,\nand audit search finds by it what it has hashed. Back that up, too.\n")
		}
		return w.String()
	}
	fmt.Fprintf(w, "The change of %s was begun at %s.\nnow:  %s\nnext: %s\n", called, plain.Time(*r.Begun), r.Now, r.Next)
	for _, name := range slices.Sorted(maps.Keys(r.Unready)) {
		fmt.Fprintf(w, "the witness %s doesn't take the next one: %s\n", plain.Word(name), plain.Text(r.Unready[name]))
	}
	if r.What == "audit" && len(r.Unready) == 0 {
		w.WriteString("every witness elsewhere that there is takes the next one: entry keys rotate audit --finish\n")
	}
	if len(r.Servers) > 0 {
		fmt.Fprintf(w, "other servers on the database, which need the next one too: %s\n", plain.List(r.Servers, 5))
	}
	if r.Ready != nil {
		fmt.Fprintf(w, "users have both lines for known_hosts by %s:\n%s", plain.Time(*r.Ready), strings.Join(r.KnownHosts, ""))
	}
	if len(r.Certificates) > 0 {
		fmt.Fprintf(w, "host certificates that aren't by the next one yet: %s\n", plain.List(r.Certificates, 20))
	}
	if len(r.Targets) == 0 {
		return w.String()
	}
	t := plain.NewTable(w)
	t.Row("TARGET", "TAKES", "SINCE", "AT")
	for _, c := range r.Targets {
		at, address := "-", "-"
		if c.At != nil {
			at, address = plain.Time(*c.At), plain.Word(c.Address)
		}
		t.Row(c.Target, map[string]string{TakesNext: "the next CA", TakesNow: "only the present CA", TakesNever: "nobody went there yet"}[c.Takes], at, address)
	}
	_ = t.Flush() // a Builder takes all
	return w.String()
}
