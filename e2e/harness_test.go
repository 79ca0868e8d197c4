// Package e2e drives the built program with the clients people really use,
// against a real OpenSSH sshd. Nothing here knows entry's packages: the tests
// see what a user, an operator and an auditor see, which is prompts, exit
// statuses, files and the program's own verbs.
package e2e

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"sync"
	"testing"

	"entry/e2e/testkit"
)

// roleVar makes this test binary act as a small helper program (see
// roles_test.go) instead of running tests.
const roleVar = "ENTRY_E2E_ROLE"

func TestMain(m *testing.M) {
	if role := os.Getenv(roleVar); role != "" {
		os.Exit(playRole(role))
	}
	flag.Parse()
	if !given("test.parallel") {
		// Tests wait for programs, and for the next code, more than they compute.
		// This is also what bounds how many servers and sshds live at once.
		if err := flag.Set("test.parallel", strconv.Itoa(4*runtime.GOMAXPROCS(0))); err != nil {
			fmt.Fprintln(os.Stderr, "e2e:", err)
			os.Exit(2)
		}
	}
	code, err := buildAndRun(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		os.Exit(1)
	}
	os.Exit(code)
}

// built is the path of the program under test.
var built string

// buildAndRun builds ./cmd/entry once, as a user would build it, and runs the
// tests on it.
func buildAndRun(m *testing.M) (code int, err error) {
	dir, err := os.MkdirTemp("", "entry-e2e-bin")
	if err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if built, err = testkit.BuildEntry(dir); err != nil {
		return 1, err
	}
	return m.Run(), nil
}

// lookAtProgram looks at what the program is made of, once: see testkit.LookAtTree.
var lookAtProgram = sync.OnceValue(func() error { return testkit.LookAtTree("..") })

// given tells whether the command line sets a flag.
func given(name string) (yes bool) {
	flag.Visit(func(f *flag.Flag) { yes = yes || f.Name == name })
	return yes
}
