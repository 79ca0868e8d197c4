//go:build linux

package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/spf13/cobra"

	"entry/audit/plain"
	"entry/cmd/entry/demo"
)

func demoCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Run a demonstration on this machine, with nothing to configure",
		Long: `Run a jump host, a lab "tinker" with the user alice, and a home machine, all in
this process and on loopback only, and print the command to log in with.

The home machine is the demo's own small SSH server. It runs an ordinary shell
of YOUR account, in a folder of the demo's directory.

Everything lies in ./demo, or where --dir says. Run it again on the same
directory and it carries on with the same state.`,
		Example: "  entry demo\n  entry demo --dir /tmp/demo --listen 127.0.0.1:2200",
		Args:    usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			dir, err := dirOnly(cmd)
			if err != nil {
				return err
			}
			if dir == "" {
				dir = "demo"
			}
			listen, err := cmd.Flags().GetString("listen")
			if err != nil {
				return err
			}
			if dir, err = filepath.Abs(dir); err != nil {
				return err
			}
			if err := checkLoopback(listen); err != nil {
				return err
			}
			return demo.Run(cmd.Context(), demo.Options{Dir: dir, Listen: listen, Policy: loadPolicy}, demoReady)
		},
	}
	cmd.Flags().String("listen", "127.0.0.1:2222", "`ADDR` of the demo's jump host; loopback only")
	return cmd
}

// checkLoopback refuses an address that others could reach.
func checkLoopback(listen string) error {
	host, _, err := net.SplitHostPort(listen)
	if err != nil {
		return hinted(failf(exitUsage, "--listen %q is no address with a port", listen), "give it as 127.0.0.1:2222")
	}
	if ip := net.ParseIP(host); ip == nil || !ip.IsLoopback() {
		return hinted(failf(exitUsage, "--listen %q is not a loopback address", listen), "the demo is for this machine only; entry init makes a real installation")
	}
	return nil
}

// demoReady tells scripts with its first word, and people with the rest.
func demoReady(r demo.Ready) {
	ask := "It asks for the passphrase that you set and a code from your authenticator app."
	if r.Passphrase != "" {
		ask = "Temporary passphrase, for the first login:\n\n    " + r.Passphrase +
			"\n\nYou will choose your own passphrase and scan a QR code with an authenticator app."
	}
	fmt.Printf(`ready %s

In another terminal, log in as alice:

    ssh -F %s -J entry home

%s

Afterwards, see what security staff see:

    %[5]s sessions ls --dir %[4]s
    %[5]s sessions play last --dir %[4]s
    %[5]s audit verify --dir %[4]s

Stop the demo with Ctrl-C; run it again and it carries on.
`, r.Listen, plain.Shell(r.SSHConfig), ask, plain.Shell(r.Dir), plain.Shell(program()))
}

// program is how a shell in another directory calls this program.
func program() string {
	path, err := os.Executable()
	if err != nil {
		return "entry"
	}
	if found, err := exec.LookPath("entry"); err == nil && sameFile(found, path) {
		return "entry"
	}
	return path
}

func sameFile(a, b string) bool {
	x, err := os.Stat(a)
	if err != nil {
		return false
	}
	y, err := os.Stat(b)
	return err == nil && os.SameFile(x, y)
}
