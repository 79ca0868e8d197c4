package takeover

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// forever is the greatest number of days that tools write where a passphrase has
// no age (login.defs' PASS_MAX_DAYS); what is as old as that isn't.
const forever = 99999

// standing is how one account of a shadow file stands.
type standing struct {
	hash   string // crypt(3)'s; "" for none
	real   bool   // somebody's account: there is or was a hash, as system accounts have none
	barred string // why nobody could log in to it, "" if its owner could

	set        time.Time     // when the passphrase was set; zero where that isn't known
	mustChange bool          // the passphrase opens nothing but its change
	maxAge     time.Duration // after which it has to be changed; 0 for any
	ends       time.Time     // last moment of the account; zero for none
}

// parseShadow reads a shadow file as shadow(5) and pam_unix do, judged at now. Of a
// name that stands there twice nobody can log in here: which line counts depends on
// who reads. Lines for NIS are read as in a passwd file.
func parseShadow(text string, now time.Time) (map[string]standing, error) {
	all := map[string]standing{}
	barred, err := eachLine(text, func(n int, line string) error {
		name, s, ok := parseShadowLine(line, now)
		if !ok {
			return fmt.Errorf("line %d is none of a shadow file: want NAME:HASH:… and days as numbers", n)
		}
		if _, twice := all[name]; twice {
			s = standing{real: true, barred: "it has more than one line in the shadow file"}
		}
		all[name] = s
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, name := range barred {
		if _, ok := all[name]; ok {
			all[name] = standing{real: true, barred: "the shadow file bars it (-" + name + ")"}
		}
	}
	return all, nil
}

func parseShadowLine(line string, now time.Time) (name string, s standing, ok bool) {
	fields := strings.Split(line, ":")
	if len(fields) < 2 || len(fields) > 9 || strings.HasPrefix(fields[1], " ") {
		return "", s, false
	}
	// The days: last change, minimum, maximum, warning, inactivity, expiry. One
	// that is empty or -1 says nothing.
	days := [6]int64{-1, -1, -1, -1, -1, -1}
	for i, f := range fields[2:min(len(fields), 8)] {
		if f == "" {
			continue
		}
		d, err := strconv.ParseInt(f, 10, 32)
		if err != nil || d < -1 {
			return "", s, false
		}
		days[i] = d
	}
	s.hash = fields[1]
	s.age(days[0], days[2], days[4], now.UTC())
	s.expire(days[5], now)
	s.lock()
	return fields[0], s, true
}

// lock judges the hash, last: that is why first.
func (s *standing) lock() {
	switch bare := strings.TrimLeft(s.hash, "!*"); {
	case bare != s.hash:
		s.real = bare != ""
		s.hash, s.barred = "", "it is locked in the shadow file ("+s.hash[:1]+")"
	case s.hash == "":
	case !fittable(s.hash):
		s.real = true
		s.hash, s.barred = "", "no passphrase fits what stands in the shadow file"
	default:
		s.real = true
	}
}

// sums are how long what crypt(5) computes is, by the kind of hash.
var sums = map[string]int{"1": 22, "5": 43, "6": 86, "y": 43, "gy": 43, "2a": 53, "2b": 53, "2x": 53, "2y": 53, "7": 43, "sha1": 28}

// fittable tells whether crypt(3) could compute that from some passphrase. What an
// administrator has put somewhere into a hash (a !, -disabled) has it fit none, as a cut
// does; which of the two it was, nobody can tell.
func fittable(hash string) bool {
	const digits = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	all := func(s, of string) bool { return strings.Trim(s, of) == "" }
	switch {
	case strings.ContainsAny(hash, "!*;\\ \t") || strings.ContainsFunc(hash, func(r rune) bool { return r < ' ' || r > '~' }):
		return false // as libxcrypt has it
	case strings.HasPrefix(hash, "_"): // of BSDi
		return len(hash) == 20 && all(hash[1:], digits)
	case !strings.HasPrefix(hash, "$"): // of DES, whose 64 bits leave two of the last digit
		return len(hash) == 13 && all(hash, digits) && strings.IndexByte(digits, hash[12])%4 == 0
	}
	kind, rest, ok := strings.Cut(hash[1:], "$")
	sum := rest[strings.LastIndexByte(rest, '$')+1:]
	size, known := sums[kind]
	if !known {
		return ok && sum != "" && all(sum, digits+"+=")
	}
	return ok && all(sum, digits) && len(sum) == size
}

// age reads when the passphrase was set and how old it may become, in days.
func (s *standing) age(set, most, grace int64, now time.Time) {
	today := now.Unix() / 86400
	if set > 0 && set <= today {
		s.set = day(set)
	}
	if most >= 0 && most < forever {
		s.maxAge = max(1, time.Duration(most)) * 24 * time.Hour
	}
	switch {
	case set == 0:
		s.mustChange = true
	case set < 0 || s.maxAge == 0 || today-set <= most:
	case grace >= 0 && today-set > most+grace:
		s.barred = fmt.Sprintf("its passphrase was too old: that ended the account on %s", day(set+most+grace+1).Format(time.DateOnly))
	default:
		s.mustChange = true
	}
}

// expire reads the day on which the account is no more. What some take 0 for, "no
// end", others take for 1970: it is the latter here.
func (s *standing) expire(on int64, now time.Time) {
	if on < 0 {
		return
	}
	if s.ends = day(on).Add(-time.Second); !s.ends.After(now) {
		s.barred = "it ended on " + day(on).Format(time.DateOnly)
	}
}

// day is the beginning of a day that is counted from 1970.
func day(n int64) time.Time { return time.Unix(n*86400, 0).UTC() }
