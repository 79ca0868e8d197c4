package bundle

import (
	"encoding/json"
	"fmt"
	"io"

	"entry/audit"
	"entry/audit/evidence"
	"entry/audit/plain"
	"entry/session/recording"
)

// MarshalJSON returns what was proven as one object, with the records as they stand in the
// log.
func (rep Report) MarshalJSON() ([]byte, error) {
	type proven Report // without this method
	line := struct {
		proven
		State    recording.State   `json:"recording,omitempty"`
		Segments uint32            `json:"segments,omitempty"`
		Records  []json.RawMessage `json:"records"`
	}{proven: proven(rep)}
	if rep.Recording != nil {
		line.State, line.Segments = rep.Recording.State, rep.Recording.Segments
	}
	for _, e := range rep.Events {
		line.Records = append(line.Records, e.AppendJSON(nil))
	}
	return json.Marshal(line)
}

// Tell writes what was proven for people. Notes belong to it.
func (rep Report) Tell(out io.Writer) error {
	name, err := audit.LogName(rep.Key)
	if err != nil {
		return err
	}
	before := ""
	if len(rep.Followed) > 0 {
		before = " and those before it"
	}
	fmt.Fprintf(out, "%s proven to stand in the log %s, of %s%s\n", plain.Count(len(rep.Events), "record"), plain.Word(name), plain.Count(int(rep.Size), "record"), before)
	for _, c := range rep.Changes {
		fmt.Fprintln(out, c)
	}
	for _, f := range rep.Followed {
		what := "ended with"
		if f.Earlier > 0 {
			what = fmt.Sprintf("is proven up to record %d, by its own key, and ended with", f.Earlier)
		}
		fmt.Fprintf(out, "the log before %s %s %s, as that one's first record says, which an auditor signed\n", plain.Word(f.Log), what, plain.Count(int(f.At), "record"))
	}
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
	return nil
}

// Notes say what isn't shown.
func (rep Report) Notes() (notes []string) {
	for _, what := range rep.Lacks {
		notes = append(notes, what+" isn't in it; the log may have it")
	}
	if rep.Rest > 0 {
		notes = append(notes, plain.Count(rep.Rest, "later log")+" in it, which began anew after yours, can't be held against your key: give the newest one's")
	}
	for _, f := range rep.Followed {
		if f.Earlier > 0 {
			notes = append(notes, fmt.Sprintf("the records of the log before %s behind %d are lost: that those up to there are the same log's is by its own key alone", plain.Word(f.Log), f.Earlier))
		}
	}
	if rep.Recording != nil && rep.Recording.State == recording.StateAborted {
		notes = append(notes, "a crash of the server cut the recording: it is proven up to there, and has nothing of what came after")
	}
	if rep.Sealed.Unproven > 0 {
		notes = append(notes, "its key was sealed anew, and nothing shows that who did that could open it: its header is of an older version")
	}
	switch {
	case len(rep.Cosigned) > 0:
	case rep.Unheld > 0:
		notes = append(notes, fmt.Sprintf("it has %s beside the log's, which weren't looked at: name the keys of witnesses that you know (--witness KEY). Without one whoever has the log's key could have made it", plain.Count(rep.Unheld, "signature")))
	default:
		notes = append(notes, "no witness has cosigned it: whoever has the log's key could have made it")
	}
	if rep.OwnKey {
		notes = append(notes, fmt.Sprintf("this was held against the key in the bundle, which who made it chose. Whose log it is isn't shown: compare %s with the key that you have from elsewhere, or give that with --log-key", rep.Key))
	}
	return notes
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
