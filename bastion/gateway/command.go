package gateway

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"syscall"
	"time"
)

// killWait is how long a command that was killed may hold its standard input.
const killWait = time.Second

// command is a site's program for notices.
type command struct {
	argv    []string
	timeout time.Duration
}

// run gives line to the command on standard input and waits for it. Its output
// goes nowhere: nobody reads it here, and a log is no place for what a program
// says. It runs in a process group of its own, which is killed as a whole.
func (c command) run(ctx context.Context, line []byte) error {
	ctx, cancel := context.WithTimeoutCause(ctx, c.timeout, fmt.Errorf("the command took longer than %v", c.timeout))
	defer cancel()
	cmd := exec.CommandContext(ctx, c.argv[0], c.argv[1:]...)
	cmd.Env = []string{"PATH=/usr/local/bin:/usr/bin:/bin"}
	cmd.Dir = "/"
	cmd.Stdin = bytes.NewReader(line)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = killWait
	err := cmd.Run()
	if err != nil && ctx.Err() != nil {
		return errors.Join(context.Cause(ctx), err)
	}
	if err != nil {
		return fmt.Errorf("run the command: %w", err)
	}
	return nil
}
