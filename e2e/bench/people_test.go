package bench

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"
)

// person answers the dialogue of a first login, and a code after that.
type person struct {
	t         testing.TB
	name      string
	temporary string   // the passphrase that `user add` prints
	seed      string   // of the authenticator, once there is one
	step      int64    // the newest one whose code was used
	asked     []string // every prompt
}

var (
	groupedSecret = regexp.MustCompile(`\b((?:[A-Z2-7]{4}[\s|]+){7}[A-Z2-7]{4})\b`)
	newPassphrase = regexp.MustCompile(`(New|Repeat new) entry passphrase: ?$`)
	recoveryCode  = regexp.MustCompile(`\b([a-z0-9]{4}-){2}[a-z0-9]{4}\b`)
)

// answers is called with each round of the dialogue.
func (p *person) answers(_, _ string, questions []string, _ []bool) ([]string, error) {
	var out []string
	for _, q := range questions {
		p.asked = append(p.asked, q)
		m := groupedSecret.FindStringSubmatch(q)
		switch {
		case m != nil && p.seed == "":
			p.seed = strings.NewReplacer(" ", "", "|", "", "\r", "", "\n", "").Replace(m[1])
			out = append(out, p.code())
		case strings.Contains(q, "one-time code: "):
			out = append(out, p.code())
		case newPassphrase.MatchString(q):
			out = append(out, "quartz-Ferry 71 "+p.name+" lantern/moss")
		case strings.HasSuffix(q, "entry passphrase: "):
			out = append(out, p.temporary)
		case recoveryCode.MatchString(q):
			out = append(out, "") // recovery codes, and Enter
		default:
			return nil, fmt.Errorf("no answer to %q", q)
		}
	}
	return out, nil
}

// code is the next one that wasn't used. Of the three that entry takes, the oldest is
// about to end.
func (p *person) code() string {
	const step = 30 // seconds
	for ; ; <-time.After(100 * time.Millisecond) {
		now := time.Now()
		if p.step < now.Unix()/step+1 {
			p.step = max(p.step+1, now.Unix()/step)
			code, err := totp.GenerateCode(p.seed, time.Unix(p.step*step, 0))
			if err != nil {
				p.t.Fatal(err)
			}
			return code
		}
	}
}
