package admin

import (
	"errors"
	"fmt"

	"entry/audit/plain"
	"entry/bastion/identity"
	"entry/policy"
)

// Lines are what an operator is to read of one of many, a sentence each; none where all went
// as it was asked for.
func (r ManyResult) Lines() (lines []string) {
	switch r.Outcome {
	case Left:
		lines = append(lines, fmt.Sprintf("%s: left out: %s", r.User, r.Reason))
	case identity.Barred:
		lines = append(lines, r.User+": the account is disabled, and stays so")
	}
	for _, d := range r.Differs {
		lines = append(lines, fmt.Sprintf("%s: the account was there already, and keeps its %s, which is not the file's; entry user %s %s changes it", r.User, d, d, r.User))
	}
	return lines
}

// ManySums is what became of many, in numbers.
type ManySums struct {
	of      map[identity.Outcome]int
	differs int // accounts that are otherwise than they were asked for
}

// SumMany counts what became of them.
func SumMany(all []ManyResult) ManySums {
	s := ManySums{of: map[identity.Outcome]int{}}
	for _, r := range all {
		s.of[r.Outcome]++
		if len(r.Differs) > 0 {
			s.differs++
		}
	}
	return s
}

func (s ManySums) String() string {
	return fmt.Sprintf("%d added, %d renewed, %d invited before, %d in use, %d disabled", s.of[identity.Added], s.of[identity.Renewed],
		s.of[identity.Waits], s.of[identity.InUse], s.of[identity.Barred])
}

// Err says that not everything is as it was asked for, the gravest first.
func (s ManySums) Err() error {
	users := func(n int) string { return plain.Count(n, "user") }
	switch {
	case s.of[identity.Barred] > 0:
		return errors.New(users(s.of[identity.Barred]) + " could not be added")
	case s.of[Left] > 0:
		return errors.New(users(s.of[Left]) + " could not be invited anew")
	case s.differs > 0:
		return fmt.Errorf("the accounts of %s are not as the file has them", users(s.differs))
	}
	return nil
}

// AddedNowhere are those who were added and whom the policy leads nowhere.
func AddedNowhere(all []ManyResult, p *policy.Policy) (names []string) {
	for _, r := range all {
		if r.Outcome == identity.Added && len(p.LabsOf(r.User)) == 0 {
			names = append(names, r.User)
		}
	}
	return names
}
