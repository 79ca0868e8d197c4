package catalog

import (
	"cmp"
	"encoding/hex"
	"encoding/json"
	"io"
	"strings"

	"entry/audit/evidence"
	"entry/audit/plain"
	"entry/session/recording"
	"entry/session/recording/play"
)

// Sheet is all that is known of one session.
type Sheet struct {
	Verdict  evidence.Verdict
	Notes    evidence.Notes
	Channels []recording.Channel // as far as the recording was opened for them
	Refused  []string            // lines about what was refused in it
	Readers  string              // who can open it
	Err      error               // what verifying and reading said
}

// line is what a list has of it, by its channels where they are known.
func (s Sheet) line() Line {
	l := LineOf(s.Verdict.Info, s.Notes)
	if len(s.Channels) > 0 {
		l.Coverage = leastOf(s.Channels)
	}
	return l
}

// MarshalJSON returns it as one object: what a Line has, and more.
func (s Sheet) MarshalJSON() ([]byte, error) {
	v := s.Verdict
	if isGone(v.Info) {
		return json.Marshal(s.line())
	}
	j := struct {
		Line
		HeaderHash string          `json:"header_hash"`
		Head       string          `json:"head"`
		Notice     string          `json:"notice,omitempty"`
		Verified   bool            `json:"verified"`
		Against    string          `json:"against,omitempty"` // "" if verifying wasn't asked for
		Bad        string          `json:"bad,omitempty"`
		Failed     string          `json:"failed,omitempty"`
		Channels   []channelLine   `json:"channels,omitempty"`
		Holds      []evidence.Hold `json:"holds,omitempty"`
		Auditors   []string        `json:"auditors,omitempty"`  // fingerprints of the keys that open it, where they are known
		Rewrapped  int             `json:"rewrapped,omitempty"` // how often it was sealed anew
		Pending    bool            `json:"rewrap_pending,omitempty"`
		Unheld     []string        `json:"key_unheld,omitempty"` // which records aren't here that may say that it was sealed anew since
	}{Line: s.line(), HeaderHash: hexOf(v.Info.HeaderHash), Head: hexOf(v.Info.Head), Notice: v.Info.Notice,
		Verified: s.Err == nil && v.Against != evidence.Nothing, Against: v.Against.String(), Failed: v.Failed, Channels: channelLines(s.Channels),
		Holds: s.Notes.Holds(v.Info), Auditors: v.Sealed.Auditors, Rewrapped: v.Sealed.Rewraps, Pending: v.Sealed.Pending(), Unheld: v.Sealed.Unheld}
	if s.Err != nil {
		j.Bad = s.Err.Error()
	}
	return json.Marshal(j)
}

// Tell writes it for people.
func (s Sheet) Tell(out io.Writer) error {
	v, i, said := s.Verdict, s.Verdict.Info, s.line()
	w := plain.NewTable(out)
	gone := isGone(i)
	rows := [][2]string{
		{"session", i.ID}, {"user", i.User}, {"lab", i.Lab}, {"target", i.Target}, {"login", i.Login}, {"source", i.Source},
		{"rule", i.Rule}, {"policy", i.Policy}, {"start", plain.Time(i.Start)}, {"end", plain.Time(i.End)}, {"state", string(said.State)},
	}
	if gone {
		rows = append(rows, [2]string{"coverage", string(said.Coverage)})
	} else {
		rows = append(rows, [][2]string{{"input", map[bool]string{true: "recorded", false: "not recorded"}[i.Input]}, {"notice", i.Notice},
			{"header hash", hexOf(i.HeaderHash)}, {"head", hexOf(i.Head)}, {"size", plain.Size(i.Size) + " in " + plain.Count(int(i.Segments), "segment")},
			{"open to", s.Readers}, {"failed", v.Failed}, {"verified", s.verified()}, {"coverage", cmp.Or(coverageOfAll(s.Channels), string(said.Coverage))}}...)
	}
	for _, row := range rows {
		if row[1] != "" {
			w.Row(row[0], plain.Line(row[1]))
		}
	}
	if r := said.Removed; r != nil && gone {
		w.Row("removed", plain.Time(r.At)+", "+removedBy(*r))
	}
	if len(said.Starts) > 0 {
		w.Row("start files", plain.Line(strings.Join(said.Starts, ", "))+": what starts there since may be another program than its name says")
	}
	for _, what := range said.Beside {
		if text := besideWords[what]; text != "" {
			w.Row("said beside", text)
		}
	}
	for n, line := range s.Refused {
		w.Row(map[bool]string{true: "refused", false: ""}[n == 0], plain.Line(line))
	}
	for _, row := range [][2]string{{"ended by", killOf(said.Killed)}, {"reviewed", reviewOf(said)}, {"held", heldBy(s.Notes.Holds(i))}} { // in operators' own words
		if row[1] != "" {
			w.Row(row[0], row[1])
		}
	}
	for n, c := range s.Channels {
		w.Row(map[bool]string{true: "channels", false: ""}[n == 0], play.Describe(c))
		for _, line := range play.Asked(c) {
			w.Row("", "  "+line)
		}
	}
	return w.Flush()
}

// besideWords say what was too much of what targets said.
var besideWords = map[string]string{
	"words": "the user's targets said more in words that day than they may: look at what was said in all transfers of that day",
	"names": "more names and answers came back to the user that day than transfers bring, where nothing may be downloaded",
}

func (s Sheet) verified() string {
	switch {
	case s.Err != nil:
		return "NO: " + strings.ReplaceAll(s.Err.Error(), "\n", "; ")
	case s.Verdict.Against == evidence.Nothing:
		return "not asked for"
	}
	if len(s.Verdict.Sealed.Unheld) > 0 {
		return "yes, " + s.Verdict.Against.String() + "; but its key not against all of it: " + strings.Join(s.Verdict.Sealed.Unheld, "; ")
	}
	return "yes, " + s.Verdict.Against.String()
}

func hexOf(h [32]byte) string { return hex.EncodeToString(h[:]) }
