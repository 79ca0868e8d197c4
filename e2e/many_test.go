package e2e

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"entry/e2e/testkit"
)

// TestCourseOfThreeHundred: a running server takes a whole course at once, in
// seconds, and each gets in with what stands in their own files.
func TestCourseOfThreeHundred(t *testing.T) {
	beside(t)
	const course = 300
	s := initSite(t)
	home := s.startHome()
	members, file := []string{}, "name,lab,end\n"
	for i := range course {
		name := fmt.Sprintf("student%d", i)
		members = append(members, name)
		file += name + ",tinker,2099-12-31\n"
	}
	s.setPolicy(members, []string{home.Target(t, "home")}, recordAll())
	s.serve()
	testkit.WriteFile(t, s.path("course.csv"), file)
	testkit.Check(t, os.Mkdir(s.path("guides"), 0o700))
	began := time.Now()
	s.mustEntry("user", "invite", "--from", s.path("course.csv"), "--out", s.path("course"), "--guide", s.path("guides"))
	if took := time.Since(began); took > testkit.Bound(10*time.Second) {
		t.Errorf("%d invitations took %s", course, took)
	}
	files, err := os.ReadDir(s.path("course"))
	if err != nil || len(files) != 2*course+1 { // and who was begun with
		t.Fatalf("%d files, %v", len(files), err)
	}
	if fi, err := os.Stat(s.path("course", "student7.first-half")); err != nil || fi.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", fi, err)
	}
	half := func(part string) string {
		return strings.TrimSpace(testkit.ReadFile(t, s.path("course", "student299."+part)))
	}
	last := &person{t: t, name: "student299", temporary: half("first-half") + half("second-half")}
	c, err := s.dial(last)
	if err != nil {
		t.Fatalf("%v (asked %q)", err, last.asked())
	}
	c.Close()
	if n := strings.Count(s.mustEntry("user", "ls", "--pending"), "\n"); n != course { // and the line of titles
		t.Errorf("%d lines of who has yet to come", n)
	}
	if n := len(s.events("user.invited")); n != course {
		t.Errorf("%d invitations are in the log", n)
	}
}
