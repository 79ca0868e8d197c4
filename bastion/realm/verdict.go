package realm

import (
	"errors"
	"fmt"
	"regexp"

	"github.com/go-ldap/ldap/v3"
)

// bar is why a directory lets an account nowhere.
type bar uint8

const (
	barRefused bar = iota
	barLocked
	barDisabled
	barAccountExpired
	barExpired
	barMustChange
	barHours
	barPlace
	barAmbiguous
	barUnreadable
)

// String is for the log.
func (b bar) String() string {
	return [...]string{
		"refused", "locked", "disabled", "account expired", "passphrase expired",
		"passphrase must be changed", "not at this time", "not from this machine", "more than one entry",
		"unreadable end",
	}[b]
}

// barredError says that the directory knows the account and doesn't let it in,
// or knows more than one.
type barredError struct {
	why         bar
	right       bool
	name, where string
}

// Error is for the log.
func (e *barredError) Error() string {
	return fmt.Sprintf("realm %s: barred there: %s", e.name, e.why)
}

// Barred returns one sentence for the account's owner, and whether the
// directory says this only after a right passphrase.
func (e *barredError) Barred() (text string, right bool) {
	there := "The directory " + e.name + " "
	switch e.why {
	case barLocked:
		text = there + "has locked your account: wait, or ask for help there."
	case barDisabled:
		text = there + "has disabled your account: ask for help there."
	case barAccountExpired:
		text = "Your account has expired in the directory " + e.name + ": ask for help there."
	case barExpired:
		text = "Your passphrase has expired: change it at " + e.where + ", then log in again."
	case barMustChange:
		text = "Your passphrase must be changed: do it at " + e.where + ", then log in again."
	case barHours:
		text = there + "doesn't let your account log in at this time."
	case barPlace:
		text = there + "lets your account log in only from certain machines, and this isn't one: ask for help there."
	case barAmbiguous:
		text = there + "has more than one account of your name: ask your lab's administrator."
	case barUnreadable:
		text = there + "says something of your account's end that can't be read: ask for help there."
	default:
		text = there + "doesn't let your account log in: ask for help there."
	}
	return text, e.right
}

func (r *Realm) barred(why bar, right bool) *barredError {
	return &barredError{why: why, right: right, name: r.o.Name, where: r.o.Where}
}

// bindUser is the one bind of a dialogue with the user's credentials.
func (q *query) bindUser(name, passphrase string) (bool, error) {
	request := ldap.NewSimpleBindRequest(name, passphrase, []ldap.Control{ldap.NewControlBeheraPasswordPolicy()})
	result, err := q.conn.SimpleBind(request)
	var failure *ldap.Error
	if err != nil && !errors.As(err, &failure) {
		return false, err
	}
	if barred := q.r.byPolicy(result, err == nil); barred != nil {
		return false, barred
	}
	if failure == nil {
		return true, nil
	}
	return false, q.r.byCode(failure)
}

// byPolicy reads the password policy control, which OpenLDAP and others send:
// error 0 passwordExpired, 1 accountLocked, 2 changeAfterReset (draft-behera
// §6.2). The others are about changing a password.
func (r *Realm) byPolicy(result *ldap.SimpleBindResult, bound bool) *barredError {
	if result == nil {
		return nil
	}
	c, ok := ldap.FindControl(result.Controls, ldap.ControlTypeBeheraPasswordPolicy).(*ldap.ControlBeheraPasswordPolicy)
	if !ok {
		return nil
	}
	switch {
	case c.Error == 0:
		return r.barred(barExpired, true) // looked at after the passphrase (draft-behera §7.1)
	case c.Error == 1:
		return r.barred(barLocked, bound)
	case c.Error == 2:
		return r.barred(barMustChange, bound)
	case c.Error > 0 && bound:
		return r.barred(barRefused, bound)
	}
	return nil
}

// adData finds the code that Active Directory puts into the diagnostic message
// of a refused bind: "… AcceptSecurityContext error, data 52e, v4563".
var adData = regexp.MustCompile(`AcceptSecurityContext error, data ([0-9a-fA-F]{1,8})\b`)

// adBars are the Windows error codes that say more than "wrong" (525 no such
// user, 52e wrong). Only 775 is also told to whoever has a wrong passphrase.
var adBars = map[string]bar{
	"530": barHours,
	"531": barPlace,
	"532": barExpired,
	"533": barDisabled,
	"701": barAccountExpired,
	"773": barMustChange,
	"775": barLocked,
}

// byCode turns a refused bind into wrong credentials (nil), a *barredError, or
// the failure itself.
func (r *Realm) byCode(failure *ldap.Error) error {
	switch failure.ResultCode {
	case ldap.LDAPResultInvalidCredentials:
		if m := adData.FindStringSubmatch(failure.Err.Error()); m != nil {
			if why, ok := adBars[m[1]]; ok {
				return r.barred(why, why != barLocked)
			}
		}
		return nil
	case ldap.LDAPResultNoSuchObject, ldap.LDAPResultInappropriateAuthentication:
		return nil // no such entry, or one without a passphrase
	case ldap.LDAPResultUnwillingToPerform:
		return r.barred(barRefused, false) // 389 Directory Server: the account is inactivated
	case ldap.LDAPResultConstraintViolation:
		return r.barred(barLocked, false) // 389 Directory Server: too many wrong passphrases
	}
	return fmt.Errorf("bind as the user: result %d", failure.ResultCode) // its text may quote the name
}
