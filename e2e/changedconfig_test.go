package e2e

import (
	"syscall"
	"testing"
)

// TestChangedConfigurationIsTold: who changes entry.yaml and sends SIGHUP reads that it isn't
// in force, and what would keep the next start from it.
func TestChangedConfigurationIsTold(t *testing.T) {
	beside(t)
	s, _ := quickSite(t, recordAll())
	s.proc.Signal(syscall.SIGHUP)
	s.logs(`policy loaded`)
	s.configure(func(c map[string]any) { c["operators"] = map[string]any{"erase_needs_two": true} })
	s.proc.Signal(syscall.SIGHUP)
	s.logs(`THE CONFIGURATION HAS CHANGED SINCE THE SERVER STARTED, AND ISN'T IN FORCE`)
	s.configure(func(c map[string]any) { c["operators"] = map[string]any{"erase_needs_twoo": true} })
	s.proc.Signal(syscall.SIGHUP)
	s.logs(`the configuration can't be read any more`)
}
