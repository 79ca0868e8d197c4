package configs

import (
	"time"

	"entry/audit/refusal"
)

// Default is what a file means that says nothing but where it listens. Its paths
// are relative to that file's folder; [Load] makes them absolute. What stands in
// lists or is left out as a whole has its defaults where it is read: see [LDAP]
// and [Endpoint].
func Default() *Config {
	return &Config{
		Name:     "entry",
		Policy:   "policy.d",
		Database: Database{SQLite: "state/entry.db"},
		Audit:    Audit{Directory: "audit", Witness: "witness", Reserve: 128 << 20, Segment: 64 << 20, Key: "keys/audit.key", PublicKey: "keys/audit.pub", Within: 10 * time.Second},
		Recording: Recording{
			Directory: "spool", Auditors: "keys/auditors.pub",
			Reserve: 1 << 30, Share: 1 << 30, // bytes
			Notice: NoticePTY,
		},
		Keys: Keys{
			Directory: "keys/hosts", Secret: "keys/secret",
			HostCA: CA{File: "keys/host_ca"}, UserCA: CA{File: "keys/user_ca"},
		},
		Admin: Admin{Socket: "admin.sock"},
		Login: Login{
			Grace:               120 * time.Second, // as in sshd
			EnrolmentGrace:      10 * time.Minute,
			TemporaryPassphrase: 240 * time.Hour,
			ChannelsAfter:       12 * time.Hour,
			Remembered:          Remembered{Lifetime: 12 * time.Hour, IPv4: 32, IPv6: 64},
			Inactivity:          180 * 24 * time.Hour,
		},
		Limits: Limits{
			Startups:  Startups{Begin: 10, Rate: 30, Full: 100}, // as in sshd
			PerSource: 8,
			Events:    Events{Burst: 20_000, PerSecond: 8}, // 12 MB, then 400 MB a day
			Dial:      10 * time.Second,
		},
		Guides: Guides{Contact: refusal.Someone},
		Drain:  30 * time.Second,
		Log:    Log{Level: "info"},
	}
}
