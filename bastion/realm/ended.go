package realm

import (
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/go-ldap/ldap/v3"
)

// lockAttributes say in a user's entry that somebody has locked the account for
// good, or that it has ended: OpenLDAP's ppolicy (draft-behera-10), Active Directory
// and its Lightweight sister, 389 Directory Server and FreeIPA, eDirectory, OpenDJ,
// RFC 2307's shadow, and Samba's accounts in a directory of any kind. A server that keeps one of them for others to read, as
// OpenLDAP does with shadow's, lets a bind pass by it. Locks that end by themselves,
// after wrong passphrases, aren't looked at: otherwise strangers who guess there
// could end sessions here, and at a login the directory judges those itself.
var lockAttributes = []string{
	"pwdAccountLockedTime", "pwdEndTime",
	"userAccountControl", "accountExpires", "msDS-UserAccountDisabled",
	"nsAccountLock", "krbPrincipalExpiration",
	"loginDisabled", "loginExpirationTime",
	"ds-pwp-account-disabled", "ds-pwp-account-expiration-time",
	"shadowExpire", "shadowLastChange", "shadowMax", "shadowInactive",
	"sambaAcctFlags",
}

// ended is why an entry lets nobody in at now. What stands there and can't be read
// lets nobody in either: whoever wrote it meant something by it.
func ended(e *ldap.Entry, now time.Time) (why bar, over bool) {
	day := now.Unix() / 86400
	for _, one := range []struct {
		why bar
		is  func(value string) (over, ok bool)
		of  []string
	}{
		{barLocked, lockedForGood, []string{"pwdAccountLockedTime"}},
		{barLocked, isTrue, []string{"nsAccountLock"}},
		{barDisabled, isTrue, []string{"loginDisabled", "msDS-UserAccountDisabled", "ds-pwp-account-disabled"}},
		{barDisabled, sambaDisabled, []string{"sambaAcctFlags"}},
		{barDisabled, numbered(func(n int64) bool { return n&adDisabled != 0 }), []string{"userAccountControl"}},
		{barAccountExpired, numbered(func(n int64) bool { return pastFiletime(n, now) }), []string{"accountExpires"}},
		{barAccountExpired, pastTime(now), []string{"pwdEndTime", "krbPrincipalExpiration", "loginExpirationTime", "ds-pwp-account-expiration-time"}},
		// What some take 0 for, "no end", others take for 1970: it is the latter here, as
		// for who comes from a shadow file. Only -1 says nothing.
		{barAccountExpired, numbered(func(n int64) bool { return n != -1 && day >= n }), []string{"shadowExpire"}},
	} {
		for _, name := range one.of {
			for _, value := range e.GetEqualFoldAttributeValues(name) {
				switch over, ok := one.is(value); {
				case !ok:
					return barUnreadable, true
				case over:
					return one.why, true
				}
			}
		}
	}
	return aged(e, day)
}

// aged is shadow(5)'s end of an account whose passphrase is so old that its owner
// can't change it any more, as pam_unix reckons it. One that only has to be changed is
// the directory's to judge.
func aged(e *ldap.Entry, day int64) (why bar, over bool) {
	days := [3]int64{-1, -1, -1} // set on, most, grace
	for i, name := range []string{"shadowLastChange", "shadowMax", "shadowInactive"} {
		for _, value := range e.GetEqualFoldAttributeValues(name) {
			// That many days no calendar has, and their sum is a number.
			n, err := strconv.ParseInt(value, 10, 32)
			if err != nil {
				return barUnreadable, true
			}
			days[i] = n
		}
	}
	set, most, grace := days[0], days[1], days[2]
	return barAccountExpired, set > 0 && most >= 0 && grace >= 0 && day-set > most+grace
}

// noLockTime is ppolicy's time for a lock without an end (draft-behera §5.3.3).
const noLockTime = "000001010000Z"

// lockedForGood tells whether a ppolicy lock has no end; every other one has.
func lockedForGood(value string) (over, ok bool) { return value == noLockTime, true }

// isTrue reads a boolean (RFC 4517 §3.3.3), in any case of letters.
func isTrue(value string) (over, ok bool) {
	is := strings.EqualFold(value, "TRUE")
	return is, is || strings.EqualFold(value, "FALSE")
}

// sambaDisabled reads the letters of sambaAcctFlags (pdbedit(8)): D is an account that
// is disabled. L, which Samba sets after wrong passphrases and takes away by itself once
// somebody logs in there, is none of the locks that are looked at.
func sambaDisabled(value string) (over, ok bool) {
	flags, begins := strings.CutPrefix(value, "[")
	flags, ends := strings.CutSuffix(flags, "]")
	return strings.Contains(flags, "D"), begins && ends && strings.Trim(flags, "ABCDEFGHIJKLMNOPQRSTUVWXYZ ") == ""
}

// numbered reads an integer for f.
func numbered(f func(int64) bool) func(string) (over, ok bool) {
	return func(value string) (over, ok bool) {
		n, err := strconv.ParseInt(value, 10, 64)
		return err == nil && f(n), err == nil
	}
}

const (
	adDisabled = 2 // ADS_UF_ACCOUNTDISABLE of userAccountControl
	// filetimeEpoch is how many 100 ns intervals lie between 1601 and 1970, in which
	// Active Directory counts.
	filetimeEpoch = 116444736000000000
)

// pastFiletime tells whether accountExpires is over; 0 and the greatest number are
// never ([MS-ADA1] §2.1).
func pastFiletime(n int64, now time.Time) bool {
	return n != 0 && n != math.MaxInt64 && (n < filetimeEpoch || !now.Before(time.UnixMicro((n-filetimeEpoch)/10)))
}

// pastTime reads a generalized time (RFC 4517 §3.3.13), with minutes and seconds or
// without; a fraction of a second may follow.
func pastTime(now time.Time) func(string) (over, ok bool) {
	return func(value string) (over, ok bool) {
		for _, form := range []string{"20060102150405Z0700", "200601021504Z0700", "2006010215Z0700"} {
			if at, err := time.Parse(form, value); err == nil {
				return !now.Before(at), true
			}
		}
		return false, false
	}
}
