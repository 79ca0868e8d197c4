package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// execute runs a verb in this process.
func execute(cmd *cobra.Command, args ...string) (stdout, stderr string, err error) {
	var out, errs bytes.Buffer
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	cmd.SetOut(&out)
	cmd.SetErr(&errs)
	cmd.SetArgs(args)
	err = cmd.ExecuteContext(context.Background())
	return out.String(), errs.String(), err
}

// Who may not read something is told who may.
func TestPermitted(t *testing.T) {
	denied := permitted(fmt.Errorf("list recordings: %w", fs.ErrPermission))
	if hint := hintOf(denied); !strings.Contains(hint, "run this as root or as the server's own account") || exitCode(denied) != exitFailure {
		t.Errorf("%v: %q", denied, hint)
	}
	if other := errors.New("a disk error"); permitted(other).Error() != other.Error() || hintOf(permitted(other)) != "" {
		t.Error("another error is changed")
	}
}

// JSON of every verb has what a terminal might obey escaped.
func TestPrintJSON(t *testing.T) {
	var out bytes.Buffer
	cmd := &cobra.Command{}
	cmd.SetOut(&out)
	if err := printJSON(cmd, "a\u009b\u202eb", "<c>"); err != nil || out.String() != "\"a\\u009b\\u202eb\"\n\"<c>\"\n" {
		t.Errorf("%q, %v", out.String(), err)
	}
}
