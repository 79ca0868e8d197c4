package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"entry/audit"
)

func auditorKeyCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "auditor-key FILE",
		Short: "Make a key with which an auditor signs for gaps of the log",
		Long: `Make a signing key in FILE, for its owner alone, and its public half in FILE.pub.
It is called as FILE is, without the ending. Keep it away from the server: whoever
has it can say that records of the log were lost.`,
		Example: "  entry audit auditor-key ada.key",
		Args:    usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			name := filepath.Base(args[0])
			signer, verifier, err := audit.GenerateKey(strings.TrimSuffix(name, filepath.Ext(name)))
			if err != nil {
				return failf(exitUsage, "%w", err)
			}
			for _, f := range []struct {
				path, text string
				mode       os.FileMode
			}{{args[0], signer, 0o600}, {args[0] + ".pub", verifier, 0o644}} {
				w, err := os.OpenFile(f.path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, f.mode)
				if err != nil {
					return err
				}
				_, err = fmt.Fprintln(w, f.text)
				if err := errors.Join(err, w.Close()); err != nil {
					return err
				}
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s\n", verifier)
			return nil
		},
	}
}
