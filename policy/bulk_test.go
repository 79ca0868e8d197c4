package policy

import "testing"

// Of matching rules the strictest bulk holds, and one that says nothing asks for
// the usual one.
func TestBulk(t *testing.T) {
	p := parse(t, `labs:
  tinker:
    members: [alice, bob, carol]
    groups: {a: [alice, bob], b: [bob, carol]}
    targets:
      home: {address: 10.0.0.5, host_keys: ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdIk3Lk2bzLyYy/xKJ9HCdYm22B0ukIEuBHH6tjd5dN}
rules:
  - {name: a, who: {groups: [tinker/a]}, where: {labs: [tinker]}, may: [exec], bulk: {keep: 1MiB}}
  - {name: b, who: {groups: [tinker/b]}, where: {labs: [tinker]}, may: [exec], bulk: {keep: 2MiB, then: end}}
  - {name: c, who: {users: [carol]}, where: {labs: [tinker]}, may: [upload]}
`)
	home, _ := p.Target("home.tinker")
	for user, want := range map[string]string{"alice": "1MiB, then digest", "bob": "2MiB, then end", "carol": "64MiB, then end"} {
		g, err := p.Decide(Request{User: user, Target: home})
		if err != nil || g.Bulk().String() != want {
			t.Errorf("%s: %s, %v", user, g.Bulk(), err)
		}
	}
	if b := (Grant{}).Bulk(); b.Then != KeepBeyond {
		t.Errorf("the zero grant: %s", b)
	}
}
