package access

import (
	"fmt"
	"sync"
	"time"

	"entry/audit"
	"entry/audit/plain"
)

// What targets may say to one user beside files in a day (UTC), over all transfers. Stock
// programs say next to nothing in words, and 500 bytes of names for each run; they list
// 100,000 files in 14 MB.
const (
	wordsADay    = 1 << 20   // bytes; no more words pass
	unlistedADay = 1 << 20   // bytes of names and attributes; any more have a line
	backADay     = 256 << 20 // bytes of names, with a line or not, and of rsync's and git's answers, to who may not download: more is an alarm
)

// besides counts what targets say to users beside files. It is safe for concurrent use.
type besides struct {
	now func() time.Time

	mu  sync.Mutex // guards what follows
	day int64
	of  map[string]*beside
}

// beside is one user's day.
type beside struct {
	words, unlisted, back int64
	told                  map[string]bool // of which alarms were raised
}

func newBesides(now func() time.Time) *besides {
	return &besides{now: now, of: map[string]*beside{}}
}

// count has f count for user. It returns what is to be told as f says, "" for nothing, once
// a day each.
func (b *besides) count(user string, f func(u *beside) (alarm string)) (alarm string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if day := b.now().Unix() / (24 * 60 * 60); day != b.day {
		b.day, b.of = day, map[string]*beside{}
	}
	u := b.of[user]
	if u == nil {
		u = &beside{told: map[string]bool{}}
		b.of[user] = u
	}
	alarm = f(u)
	if u.told[alarm] {
		return ""
	}
	u.told[alarm] = true
	return alarm
}

// Beside counts what targets say beside files to one user, whose transfers all have one
// bound. A restart of the server begins it anew. It is safe for concurrent use.
type Beside struct {
	gate  *Gate
	user  string
	event func(audit.Type) audit.Event
}

// Words gives how many of n bytes more targets may still say in words today.
func (b *Beside) Words(n int) (fits int) {
	b.alarm(b.gate.besides.count(b.user, func(u *beside) string {
		left := wordsADay - u.words
		if u.words += int64(n); int64(n) <= left {
			fits = n
			return ""
		}
		fits, u.words = int(max(0, left)), wordsADay
		return "words"
	}))
	return fits
}

// Unlisted reports whether n bytes of names and attributes may do without a line in the
// manifest today.
func (b *Beside) Unlisted(n int64) (ok bool) {
	b.gate.besides.count(b.user, func(u *beside) string {
		if ok = u.unlisted+n <= unlistedADay; ok {
			u.unlisted += n
		}
		return ""
	})
	return ok
}

// Back counts n bytes that came back, with or without a line, where nothing may be
// downloaded.
func (b *Beside) Back(n int64) {
	b.alarm(b.gate.besides.count(b.user, func(u *beside) string {
		if u.back += n; u.back > backADay {
			return "names"
		}
		return ""
	}))
}

// alarm puts on record what there is much of. It doesn't wait: who asks holds up a channel.
func (b *Beside) alarm(what string) {
	if what == "" {
		return
	}
	e := b.event(audit.AlarmBeside)
	e.Reason = what
	switch what {
	case "words":
		e.Detail = fmt.Sprintf("targets said %s in words beside the files today, in all transfers; no more of that passes", plain.Limit(wordsADay))
	case "names":
		e.Detail = fmt.Sprintf("more than %s of names and answers came back from targets today, where nothing may be downloaded", plain.Limit(backADay))
	}
	b.gate.o.Trouble("transfers of "+b.user, fmt.Errorf("%s", e.Detail))
	b.gate.own.Go("alarm of what was said beside files", func() { b.gate.append(e) })
}
