package policy

import (
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // zones are decided by the program, not by the machine it is on
	"unicode/utf8"

	"entry/policy/strict"
)

var dayNames = []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"} // by time.Weekday

func (b *builder) readTimes(when, valid strict.Value) times {
	return times{when: b.readWhen(when), valid: b.readValid(valid)}
}

// readWhen reads one window or a list of them.
func (b *builder) readWhen(v strict.Value) schedule {
	if !v.Present() {
		return nil
	}
	items := []strict.Value{v}
	if v.IsList() {
		items = v.SomeItems()
	} else if !v.IsMapping() {
		v.WrongKind("a window (days, hours, zone) or a list of them")
		return nil
	}
	var out schedule
	always := false
	for _, item := range items {
		f := item.Fields("days", "hours", "zone")
		place := b.readZone(f.Need("zone"))
		days := readDays(f.Get("days"))
		stretches := readHours(f.Get("hours"))
		if place == nil || days == 0 {
			continue
		}
		for _, hours := range stretches {
			w := window{days: days, from: hours[0], to: hours[1], place: place}
			if slices.ContainsFunc(out, func(o window) bool { return o.same(w) }) {
				item.Errorf(codeTwice, "this window stands in the list twice")
			}
			out, always = append(out, w), always || w.always()
		}
	}
	if always {
		return nil
	}
	return out
}

// readZone reads the name of a place in the IANA time zone database.
func (b *builder) readZone(v strict.Value) *time.Location {
	name, ok := v.Want(`a time zone such as "Europe/Oslo" or "UTC"`)
	if !ok {
		return nil
	}
	if place := b.places[name]; place != nil {
		return place
	}
	// "Local" and "" are whatever the machine is set to.
	place, err := time.LoadLocation(name)
	if err != nil || name == "" || name == "Local" {
		v.Errorf(codeTime, "%q is no time zone; want one such as Europe/Oslo or UTC", name)
		return nil
	}
	b.places[name] = place
	return place
}

// readDays reads "mon" and "mon-fri"; absent is every day, 0 is wrong.
func readDays(v strict.Value) uint8 {
	if !v.Present() {
		return everyDay
	}
	var out uint8
	for _, item := range v.SomeItems() {
		s, ok := item.Want(`a day such as "mon" or "mon-fri"`)
		if !ok {
			continue
		}
		first, last, span := strings.Cut(s, "-")
		if !span {
			last = first
		}
		from, to := slices.Index(dayNames, first), slices.Index(dayNames, last)
		if from < 0 || to < 0 || span && from == to {
			item.Errorf(codeTime, `%q is no day; want mon, tue, wed, thu, fri, sat, sun or a span such as "mon-fri"`, s)
			continue
		}
		for d := from; ; d = (d + 1) % 7 {
			if out>>d&1 != 0 {
				item.Errorf(codeTwice, "%s stands in this list twice", dayNames[d])
			}
			out |= 1 << d
			if d == to {
				break
			}
		}
	}
	return out
}

// readHours reads "08:00-18:00" or a list of such, in minutes since midnight;
// what ends before it begins ends on the next day.
func readHours(v strict.Value) [][2]int {
	if !v.Present() {
		return [][2]int{{0, dayLength}}
	}
	var out [][2]int
	for _, item := range v.OneOrMore() {
		s, ok := item.Want(`hours such as "08:00-18:00"`)
		if !ok {
			continue
		}
		first, last, _ := strings.Cut(s, "-")
		from, ok1 := parseClock(first)
		to, ok2 := parseClock(last)
		switch {
		case !ok1 || !ok2 || from == dayLength:
			item.Errorf(codeTime, `%q: want hours such as "08:00-18:00", from 00:00 to 24:00`, s)
		case from == to:
			item.Errorf(codeNever, "%q is no time at all; leave hours out for the whole day", s)
		case to < from:
			out = append(out, [2]int{from, to + dayLength})
		default:
			out = append(out, [2]int{from, to})
		}
	}
	return out
}

// parseClock reads "08:00" as minutes since midnight, "24:00" included.
func parseClock(s string) (int, bool) {
	if s == "24:00" {
		return dayLength, true
	}
	t, err := time.Parse("15:04", s)
	return t.Hour()*60 + t.Minute(), err == nil && len(s) == len("15:04")
}

func (w window) same(o window) bool {
	return w.days == o.days && w.from == o.from && w.to == o.to && w.place.String() == o.place.String()
}

// readValid reads the period in which a rule is in force.
func (b *builder) readValid(v strict.Value) period {
	f := v.Fields("from", "until", "zone")
	from, until, zone := f.Get("from"), f.Get("until"), f.Get("zone")
	if v.IsMapping() && !from.Present() && !until.Present() {
		v.Errorf(strict.CodeMissing, "say from when, until when, or both")
	}
	var p period
	p.from, _ = b.readMoment(from, zone, false)
	p.until, _ = b.readMoment(until, zone, true)
	if !p.from.IsZero() && !p.until.IsZero() && !p.from.Before(p.until) {
		until.Errorf(codeNever, "this ends before it begins")
	}
	return p
}

// checkTimes warns of windows that the period leaves out.
func (r *rule) checkTimes(when, valid strict.Value) {
	if r.when != nil && !r.valid.from.IsZero() {
		if _, ok := r.start(r.valid.from); !ok {
			when.Warnf(codeNeverHolds, "rule %s never holds: none of these windows lies in the period under valid", r.ref.Name)
		}
	}
	if until := r.valid.until; !until.IsZero() {
		r.lapsed = valid.Place().Warning(codeLapsed, "rule %s is over since %s", r.ref.Name, until.Format(momentWords))
	}
}

// momentForms are the ways to write a moment without its offset from UTC.
var momentForms = []string{time.DateOnly, "2006-01-02 15:04", "2006-01-02T15:04", "2006-01-02 15:04:05", "2006-01-02T15:04:05"}

// readMoment reads "2026-03-02", "2026-03-02 08:00" on the clock of zone, or
// "2026-03-02T08:00:00+01:00" without one. A date alone is the whole day: as an
// end it means the day's.
func (b *builder) readMoment(v, zone strict.Value, end bool) (time.Time, bool) {
	const want = `a date such as 2026-03-02, or "2026-03-02 08:00"`
	in := b.readZone(zone)
	if in == nil {
		in = time.UTC // to find more problems
	}
	s, ok := v.Scalar(want)
	if !ok {
		return time.Time{}, false
	}
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return t, momentInRange(v, t)
	}
	for _, form := range momentForms {
		t, err := time.ParseInLocation(form, s, in)
		if err != nil && !strings.Contains(err.Error(), "out of range") {
			continue
		}
		switch {
		case err != nil:
			v.Errorf(codeNever, "%q never occurs: no calendar has that day or hour", s)
		case !zone.Present():
			v.Errorf(strict.CodeMissing, "whose clock is meant? add zone: Europe/Oslo, say, or zone: UTC, beside it")
		case form != time.DateOnly && t.Format(form) != s:
			v.Errorf(codeNever, "%q never occurs: the clock is put forward over it", s)
		case !momentInRange(v, t):
		case form == time.DateOnly && end:
			return t.AddDate(0, 0, 1), true
		default:
			return t, true
		}
		return time.Time{}, false
	}
	v.Errorf(codeTime, "%q is no time; want %s", s, want)
	return time.Time{}, false
}

// momentInRange keeps typing errors in the year out, and times that no
// arithmetic reaches.
func momentInRange(v strict.Value, t time.Time) bool {
	if y := t.Year(); y < 2000 || y > 2200 {
		v.Errorf(strict.CodeValue, "%d is hardly the year that is meant", y)
		return false
	}
	return true
}

// factors are what a login's method is made of.
var factors = []string{"passphrase", "publickey", "otp", "sk", "remembered", "recovery", "temporary", "enrolment", "sms"}

func readMFA(v strict.Value) *mfa {
	if !v.Present() {
		return nil
	}
	f := v.Fields("methods", "max_age")
	m := &mfa{maxAge: f.Get("max_age").Duration(0, time.Second, 31*24*time.Hour)}
	for _, item := range f.Get("methods").SomeItems() {
		s, ok := item.Want(`a method such as "otp" or "publickey+otp"`)
		if !ok {
			continue
		}
		bad := ""
		for factor := range strings.SplitSeq(s, "+") {
			if !slices.Contains(factors, factor) {
				bad = factor
			}
		}
		switch {
		case bad != "" || s == "":
			item.Errorf(strict.CodeValue, "%q is no factor of a login; there are %s, joined by +", bad, strings.Join(factors, ", "))
		case slices.Contains(m.methods, s):
			item.Errorf(codeTwice, "%q stands in this list twice", s)
		default:
			m.methods = append(m.methods, s)
		}
	}
	if f.Empty() {
		v.Errorf(strict.CodeMissing, "say methods, max_age or both")
	}
	return m
}

// maxNeed is the most approvals that a rule may ask for; more people never meet.
const maxNeed = 10

// maxUses is the most sessions that an approval may count; who means more means
// any number.
const maxUses = 1000

func (b *builder) readApproval(v strict.Value) *approval {
	if !v.Present() {
		return nil
	}
	f := v.Fields("approvers", "need", "for", "wait", "uses")
	a := &approval{people: map[string]bool{}}
	for _, item := range f.Need("approvers").SomeItems() {
		s, ok := item.Want(`a user, or a group such as "tinker/stewards"`)
		if !ok {
			continue
		}
		users := []string{s}
		if strings.Contains(s, "/") {
			group := b.findGroup(item)
			if group == nil {
				continue
			}
			users = group.users
		} else if err := ValidUser(s); err != nil {
			item.Errorf(codeName, "%q: %v", s, err)
			continue
		}
		if slices.Contains(a.approvers, s) {
			item.Errorf(codeTwice, "%q stands in this list twice", s)
			continue
		}
		a.approvers = append(a.approvers, s)
		for _, user := range users {
			a.people[user] = true
		}
	}
	a.need = int(f.Get("need").Int(1, 1, maxNeed))
	a.lasts = f.Need("for").Duration(0, time.Minute, 31*24*time.Hour)
	a.wait = f.Get("wait").Duration(15*time.Minute, time.Second, 12*time.Hour)
	a.uses = int(f.Get("uses").Int(0, 1, maxUses))
	if len(a.approvers) > 0 && len(a.people) < a.need {
		f.Get("approvers").Errorf(codeQuorum, "%d people must approve, of %d that there are", a.need, len(a.people))
	}
	return a
}

// maxByteLimit is more than anybody carries in a day.
const maxByteLimit = 1 << 50

func readLimits(v strict.Value) Limits {
	f := v.Fields("session", "idle", "concurrent", "connections", "session_down", "session_up", "day_down", "day_up")
	size := func(key string) int64 { return f.Get(key).Size(0, 1, maxByteLimit) }
	return Limits{
		Session:     f.Get("session").Duration(0, time.Second, 31*24*time.Hour),
		Idle:        f.Get("idle").Duration(0, time.Second, 31*24*time.Hour),
		Concurrent:  int(f.Get("concurrent").Int(0, 1, 10_000)),
		Connections: int(f.Get("connections").Int(0, 1, 10_000)),
		SessionDown: size("session_down"), SessionUp: size("session_up"),
		DayDown: size("day_down"), DayUp: size("day_up"),
	}
}

// maxCommand bounds a command that a rule spells out, in bytes.
const maxCommand = 1024

// readCommands reads the only commands that exec stands for, nil for any.
func readCommands(v strict.Value, may Capabilities) []string {
	if v.Present() && !may.Has(Exec) {
		v.Errorf(codeMisplaced, "this has no effect without exec under may")
	}
	if v.Present() && may.Has(Shell) {
		v.Errorf(codeMisplaced, "this has no effect beside shell under may: a shell runs any command")
	}
	var out []string
	for _, item := range v.SomeItems() {
		s, ok := item.Want(`a command such as "/usr/bin/uptime"`)
		switch {
		case !ok:
		case strings.TrimSpace(s) == "" || len(s) > maxCommand || !utf8.ValidString(s):
			item.Errorf(strict.CodeValue, "want a whole command of 1 to %d bytes", maxCommand)
		case slices.Contains(out, s):
			item.Errorf(codeTwice, "%q stands in this list twice", s)
		default:
			out = append(out, s)
		}
	}
	return out
}
