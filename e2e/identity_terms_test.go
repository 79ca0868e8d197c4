package e2e

import (
	"regexp"
	"strings"
	"testing"

	"entry/e2e/testkit"
)

// TestTermsAndPhone: the user agreement is accepted once a version, in the first login
// and in the next one after it has changed; a user whose codes go by SMS moves them to
// another phone by herself, and operators see who has yet to move to an app.
func TestTermsAndPhone(t *testing.T) {
	beside(t)
	const number, other = "+46701234567", "+46707654321"
	gateway := startSMSGateway(t)
	s := initSite(t)
	home := s.startHome()
	s.setPolicy([]string{"alice"}, []string{home.Target(t, "home")}, recordAll())
	headers := s.path("keys", "sms_headers")
	testkit.WriteFile(t, headers, "X-Key: gateway's key\n")
	s.configure(func(c map[string]any) {
		c["sms"] = map[string]any{"url": "http://" + gateway.addr + "/send", "body": `{"to": "{number}", "message": "{text}"}`, "headers_file": headers, "retries": 1, "until": "14d"}
		c["login"] = map[string]any{"terms": "agreement.txt"}
	})
	if r := s.entry("check"); r.Code == 0 || !strings.Contains(r.Stderr, "agreement.txt") || !strings.Contains(r.Stderr, "user agreement") {
		t.Errorf("without the file: %s", r)
	}
	testkit.WriteFile(t, s.path("agreement.txt"), "Data stay in the lab.\n")
	s.mustEntry("check")
	s.serve()
	alice := s.add("alice")
	s.mustEntry("user", "phone", "alice", number)

	first := func(answer string) *terminal {
		n := len(gateway.messages())
		w := onTerminal(t, s.client(alice, oneDialogue).byHand().exec("echo at-$((1+1)); exit 8"))
		w.expect(`entry passphrase: $`)
		w.sendLine(alice.temporary)
		w.expect(`entry one-time code: $`)
		w.sendLine(gateway.awaitCode(t, n+1, number))
		w.expect(`Data stay in the lab\.\r?\n\r?\nDo you accept these terms of entry\? Type yes, or no: $`)
		w.sendLine(answer)
		return w
	}
	w := first("no")
	w.expect(`Without\s+accepting\s+the\s+terms\s+there\s+is\s+no\s+login,\s+and\s+nothing\s+was\s+changed\.(?s:.*)Press Enter to leave entry: $`)
	w.sendLine("")
	if code := w.wait(); code != 255 {
		t.Errorf("exit status %d: %q", code, w.text())
	}
	w = first("yes")
	w.expect(`New entry passphrase: $`)
	w.sendLine(alice.chosen())
	w.expect(`Repeat new entry passphrase: $`)
	w.sendLine(alice.chosen())
	lands(w)
	s.awaitEvent("terms.accepted", func(e event) bool { return e.User == "alice" })

	if out := s.mustEntry("user", "ls", "--sms"); !regexp.MustCompile(`(?m)^alice +\` + number + ` +\d{4}-\d\d-\d\d \d\d:\d\d +\d{4}-`).MatchString(out) {
		t.Errorf("user ls --sms: %s", out)
	}

	// Another text; and by the same login another phone.
	s.stop()
	testkit.WriteFile(t, s.path("agreement.txt"), "Data stay in the lab. Results leave by four eyes.\n")
	s.serve()
	if r := s.entry("doctor", "alice"); r.Code != 1 || !strings.Contains(r.Stdout, "the terms are new since the last login, and a client that can't ask is refused: alice has to log in once on a terminal") {
		t.Errorf("doctor beside new terms: %s", r)
	}
	n := len(gateway.messages())
	w = onTerminal(t, s.client(alice, oneDialogue).byHand().ssh("-tt", "entry", "phone", other))
	w.expect(`entry passphrase: $`)
	w.sendLine(alice.chosen())
	w.expect(`entry one-time code: $`)
	w.sendLine(gateway.awaitCode(t, n+1, number))
	w.expect(`by four eyes\.\r?\n\r?\nDo you accept these terms of entry\? Type yes, or no: $`)
	w.sendLine("yes")
	w.expect(`Codes go to you by SMS until`)
	w.expect(`entry one-time code: $`)
	w.sendLine(gateway.awaitCode(t, n+2, number))
	w.expect(`Code that was sent to \` + other + `: $`)
	w.sendLine(gateway.awaitCode(t, n+3, other))
	w.expect(`Your number is changed\. The one before, if there was one, was told\.`)
	if code := w.wait(); code != 0 {
		t.Errorf("exit status %d: %q", code, w.text())
	}
	told := gateway.messages()
	if last := told[len(told)-1]; last["to"] != number || !strings.Contains(last["message"], "was changed to one ending in 21") {
		t.Errorf("the old phone got %q", last)
	}
	if out := s.mustEntry("user", "ls", "--sms", "--json"); !strings.Contains(out, `"phone":"`+other+`"`) {
		t.Errorf("user ls --sms: %s", out)
	}
	if got := s.events("terms.accepted"); len(got) != 2 {
		t.Errorf("%d acceptances in the log", len(got))
	}
	if log := testkit.ReadFile(t, s.path("audit", "events.jsonl")); strings.Contains(log, other) || strings.Contains(log, number) {
		t.Error("a number is in the audit log")
	}
}
