package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"entry/audit"
	"entry/audit/bundle"
	"entry/audit/evidence"
	"entry/audit/plain"
	"entry/session/recording"
)

func verifyBundleCmd() *cobra.Command {
	var t bundle.Trust
	cmd := &cobra.Command{
		Use:   "verify-bundle FILE",
		Short: "Check a session's bundle, or one record's proof",
		Long: `Check a bundle of a session, or one record's proof: that every record in it stands in
the log, by a proof to a tree head that the log's key signed and witnesses cosigned,
and that the recording is whole and the one that those records speak of, with its
sealed key. Neither a configuration nor a network is needed, nor a key that opens
recordings.

The keys in a bundle come from who made it. --log-key and --witness are the ones that
you have from elsewhere: from the institution, or whoever runs a witness. Without
--log-key it isn't shown whose log it is, which is said.

That the log has no other record of the session isn't shown by a bundle: only the whole
log does (entry audit verify). README.txt in a bundle is no part of what is proven. Exit code 1: something isn't what was written; 2: the
file isn't a bundle, or isn't whole.`,
		Example: `  entry verify-bundle case-17.tar --log-key audit.pub
  entry verify-bundle case-17.tar --log-key audit.pub --witness "$(cat w.pub)"
  entry verify-bundle login.tlog-proof --log-key audit.pub`,
		Args: usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := readTrust(&t); err != nil {
				return err
			}
			rep, err := verifyFile(args[0], t)
			if err != nil {
				return disproven(args[0], err)
			}
			return tellProven(cmd, rep, t)
		},
	}
	f := cmd.Flags()
	f.StringVar(&t.Key, "log-key", "", "the log's public `KEY`, or the file that has it")
	f.StringArrayVar(&t.Witnesses, "witness", nil, "public `KEY` of a witness, once for each")
	f.IntVar(&t.Need, "need", 0, "`NUMBER` of these witnesses that have to have cosigned; all without it")
	f.Bool("json", false, "one JSON object: what was proven, with the records")
	return cmd
}

// readTrust makes a key of a file with one.
func readTrust(t *bundle.Trust) error {
	if t.Key != "" && exists(t.Key) {
		key, err := audit.ReadKey(t.Key)
		if err != nil {
			return &exitError{code: exitUsage, err: err}
		}
		t.Key = key
	}
	if t.Key != "" {
		if _, err := audit.LogName(t.Key); err != nil {
			return failf(exitUsage, "--log-key: neither a file nor a public key of a log")
		}
	}
	v := vouchers{given: t.Witnesses, need: t.Need}
	_, dirs, err := v.split()
	if err == nil && len(dirs) > 0 {
		err = failf(exitUsage, "--witness %.80q isn't a witness's public key", dirs[0])
	}
	if err == nil && t.Need > 0 && len(t.Witnesses) == 0 {
		err = failf(exitUsage, "--need %d: no witness is given by --witness KEY", t.Need)
	}
	return err
}

// verifyFile verifies a bundle, or the proof of one record.
func verifyFile(path string, t bundle.Trust) (rep bundle.Report, err error) {
	f, err := os.Open(path)
	if err != nil {
		return rep, &exitError{code: exitUsage, err: err}
	}
	defer f.Close()
	const proof = "c2sp.org/tlog-proof@"
	head := make([]byte, len(proof))
	if n, err := io.ReadFull(f, head); err == nil && string(head[:n]) == proof {
		return verifyRecord(path, io.MultiReader(strings.NewReader(proof), f), t)
	}
	b, _, leave, err := openBundle(path)
	if err != nil {
		return rep, err
	}
	defer func() { err = errors.Join(err, leave()) }()
	return b.Verify(t)
}

func verifyRecord(path string, r io.Reader, t bundle.Trust) (rep bundle.Report, err error) {
	const most = 1 << 20 // bytes; more is no record
	text, err := io.ReadAll(io.LimitReader(r, most+1))
	if err != nil {
		return rep, err
	}
	record, err := bundle.ParseRecord(text)
	if err != nil {
		return rep, failf(exitUsage, "%s %w", path, err)
	}
	if t.Key == "" {
		return rep, hinted(failf(exitUsage, "one record doesn't say whose log it is of"), "give the log's public key, as you have it from elsewhere: --log-key KEY")
	}
	return record.Verify(t)
}

// tellProven says what was proven.
func tellProven(cmd *cobra.Command, rep bundle.Report, t bundle.Trust) error {
	out := cmd.OutOrStdout()
	if asJSON(cmd) {
		line := struct {
			bundle.Report
			State    recording.State   `json:"recording,omitempty"`
			Segments uint32            `json:"segments,omitempty"`
			Records  []json.RawMessage `json:"records"`
		}{Report: rep}
		if rep.Recording != nil {
			line.State, line.Segments = rep.Recording.State, rep.Recording.Segments
		}
		for _, e := range rep.Events {
			line.Records = append(line.Records, e.AppendJSON(nil))
		}
		return plain.JSON(out).Encode(line)
	}
	name, err := audit.LogName(rep.Key)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%s proven to stand in the log %s, of %s\n", plain.Count(len(rep.Events), "record"), plain.Word(name), plain.Count(int(rep.Size), "record"))
	whose := ""
	if rep.OwnNames {
		whose = ", by a key that the bundle itself names"
	}
	for _, c := range rep.Cosigned {
		fmt.Fprintf(out, "cosigned by %s (%s)%s\n", plain.Word(c.Name), plain.Time(c.At), whose)
	}
	switch i := rep.Recording; {
	case i != nil:
		fmt.Fprintf(out, "recording %s, %s in %s: %s, the one that these records speak of%s\n", i.ID, plain.Size(i.Size), plain.Count(int(i.Segments), "segment"), i.State, sealedKey(rep.Sealed))
	case rep.Session != "":
		fmt.Fprintf(out, "session %s, without the recording\n", rep.Session)
	}
	var line []byte
	for _, e := range rep.Events {
		if _, err := out.Write(append(audit.AppendText(line[:0], "", e), '\n')); err != nil {
			return err
		}
	}
	for _, what := range rep.Lacks {
		fmt.Fprintf(cmd.ErrOrStderr(), "entry: note: %s isn't in it; the log may have it\n", what)
	}
	if rep.Sealed.Unproven > 0 {
		fmt.Fprintln(cmd.ErrOrStderr(), "entry: note: its key was sealed anew, and nothing shows that who did that could open it: its header is of an older version")
	}
	if len(rep.Cosigned) == 0 {
		fmt.Fprintln(cmd.ErrOrStderr(), "entry: note: no witness has cosigned it: whoever has the log's key could have made it")
	}
	if rep.OwnKey {
		fmt.Fprintf(cmd.ErrOrStderr(), "entry: note: this was held against the key in the bundle, which who made it chose. Whose log it is isn't shown: compare %s with the key that you have from elsewhere, or give that with --log-key\n", rep.Key)
	}
	return nil
}

// sealedKey says what a bundle's records say of the recording's sealed key.
func sealedKey(s evidence.Sealing) string {
	switch {
	case s.Key == "":
		return "; of its sealed key they say nothing"
	case s.Pending():
		return ", and its sealed key is one of the two that it had while it was sealed anew: that this was finished they don't say"
	}
	return ", and so is its sealed key"
}
