//go:build linux

package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"entry/audit/plain"
	"entry/audit/witness"
	"entry/bastion/site"
	"entry/configs"
)

func witnessCmd() *cobra.Command {
	var listen, cert, key string
	cmd := &cobra.Command{
		Use:   "witness DIR",
		Short: "Cosign other machines' logs: none can be changed unseen",
		Long: `Run a witness until SIGTERM or Ctrl-C. It keeps the newest checkpoint of each log
that DIR/logs names, and cosigns another one only with a proof that the log grew to
it: a smaller log, or one that was changed and signed again, is refused. What it has
cosigned is on its disk before it answers.

It belongs on another machine than the logs, and under other operators: it is worth
as much as it is out of reach of those who have the log's key. It needs 32 bytes of a
log and never sees a record. It speaks C2SP tlog-witness (POST /add-checkpoint), so
it serves other logs than entry's, and entry other witnesses.

DIR/logs has the logs' public keys, one a line: each server's keys/audit.pub, and while a
server changes its key (entry keys rotate audit) the next one too. The name
in a key is the log's origin, which is to be another one for each log; a log that
changes its key has both for a while. Once the log has grown by the next one, nothing is
cosigned by the one before any more; take its line out. SIGHUP reads the file again.

It listens on this machine alone until told otherwise. Give it a certificate, or put
it behind a server that has one. DIR/state is what it has cosigned: where that was
lost, nothing starts, since a witness that forgot would cosign anything. Then make
another witness, under another name.`,
		Example: `  entry audit witness init /var/lib/entry-witness --name witness.example.org
  cat tinker-audit.pub >> /var/lib/entry-witness/logs
  entry audit witness DIR --listen :8480 --cert cert.pem --key key.pem`,
		Args: usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if (cert == "") != (key == "") {
				return failf(exitUsage, "--cert and --key go together")
			}
			log, err := site.NewLogger(configs.Default())
			if err != nil {
				return err
			}
			w, err := witness.Open(args[0])
			switch {
			case errors.Is(err, os.ErrNotExist):
				return hinted(failf(exitUsage, "%s is no witness's directory: %w", args[0], err), "make one with entry audit witness init DIR --name NAME")
			case errors.Is(err, witness.ErrNoState):
				return hinted(failf(exitFailure, "%s: %w", args[0], err), "put it back; if it is lost, make another witness under another name: one that forgot what it cosigned would cosign anything")
			case err != nil:
				return failf(exitFailure, "%s: %w", args[0], err)
			}
			return errors.Join(serveWitness(cmd, w, args[0], listen, cert, key, log), w.Close())
		},
	}
	cmd.Flags().StringVar(&listen, "listen", "127.0.0.1:8480", "the `ADDRESS` to listen on, such as :8480 for every one of this machine")
	cmd.Flags().StringVar(&cert, "cert", "", "`FILE` with a PEM certificate and those that vouch for it, for https")
	cmd.Flags().StringVar(&key, "key", "", "`FILE` with its PEM key")
	cmd.AddCommand(witnessInitCmd())
	return cmd
}

// serveWitness runs w, whose directory is dir, until a signal ends it.
func serveWitness(cmd *cobra.Command, w *witness.Witness, dir, listen, cert, key string, log *zap.Logger) error {
	o := witness.ServeOptions{Told: func(a witness.Answered) { a.Log(log) }}
	if cert != "" {
		pair, err := tls.LoadX509KeyPair(cert, key)
		if err != nil {
			return failf(exitUsage, "--cert, --key: %w", err)
		}
		o.TLS = &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}}
	}
	ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return hinted(failf(exitFailure, "listen: %w", err), "is another witness running on that address?")
	}
	o.Again = hup
	o.Reload = func() {
		logs, err := witness.ReadLogs(dir)
		if err != nil {
			log.Error("the logs weren't read again, those before stay", zap.Error(err))
			return
		}
		w.Know(logs)
		log.Info("logs read again", zap.Int("logs", len(logs)))
	}
	fmt.Fprintf(cmd.OutOrStdout(), "ready %s %s\n", l.Addr(), w.PublicKey())
	return w.Serve(ctx, l, o)
}

func witnessInitCmd() *cobra.Command {
	var name string
	cmd := &cobra.Command{
		Use:   "init DIR --name NAME",
		Short: "Make a witness's directory, with a key of its own",
		Long: `Make DIR with a witness's key, an empty state and an empty list of logs, as the
account that will run it. NAME is what the logs' servers and auditors know it by, for
ever: a host name, say, without space and plus. It prints the lines that belong into
their entry.yaml.`,
		Example: "  entry audit witness init /var/lib/entry-witness --name witness.example.org",
		Args:    usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if name == "" {
				return hinted(failf(exitUsage, "init needs --name"), "for example: --name witness.example.org")
			}
			public, err := witness.Init(args[0], name)
			if errors.Is(err, os.ErrExist) {
				return hinted(failf(exitFailure, "%s holds a witness already: %w", args[0], err), "nothing that exists is overwritten; choose another directory")
			}
			if err != nil {
				return failf(exitUsage, "%w", err)
			}
			fmt.Fprintf(cmd.OutOrStdout(), `Made %[1]s. Next:
  1. Put the public key of each log that it is to cosign, its server's keys/audit.pub,
     into %[2]s, one a line.
  2. Start it:  entry audit witness %[3]s
  3. In each server's entry.yaml:

audit:
  witnesses:
    - url: https://%[4]s:8480
      key: %[5]s

     Auditors need the key, too: entry audit verify --witness KEY
`, args[0], filepath.Join(args[0], "logs"), plain.Shell(args[0]), name, public)
			return nil
		},
	}
	cmd.Flags().StringVar(&name, "name", "", "the witness's `NAME`")
	return cmd
}
