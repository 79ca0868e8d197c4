package policies

import (
	"testing"
	"time"

	"entry/e2e/testkit"
	"entry/policy"
)

func TestNew(t *testing.T) {
	t.Parallel()
	key := testkit.Authorized(testkit.NewSigner(t).PublicKey())
	p := New(t, []string{"alice"}, []string{testkit.TargetLine("home", "192.0.2.9:22", key, "default_login: worker")},
		testkit.Rule("all", testkit.MayAll, `forward_local: ["127.0.0.1:80"]`, "forward_remote: [0]", "record: full"))
	target, ok := p.Target("home.tinker")
	if !ok {
		t.Fatal("no target")
	}
	if _, err := p.Decide(policy.Request{User: "alice", Target: target, Time: time.Now()}); err != nil {
		t.Error(err)
	}
	if _, err := p.Decide(policy.Request{User: "mallory", Target: target, Time: time.Now()}); err == nil {
		t.Error("somebody else is let in")
	}
}
