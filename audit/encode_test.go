package audit

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

var update = flag.Bool("update", false, "write the golden files")

// fullEvent sets every field there is, by reflection, so that a field which
// the encoder forgets fails the round trip.
func fullEvent(t *testing.T) Event {
	t.Helper()
	var e Event
	var fill func(v reflect.Value, name string)
	n := int64(0)
	fill = func(v reflect.Value, name string) {
		n++
		switch v.Kind() {
		case reflect.Pointer:
			v.Set(reflect.New(v.Type().Elem()))
			fill(v.Elem(), name)
		case reflect.Struct:
			if v.Type() == reflect.TypeFor[time.Time]() {
				v.Set(reflect.ValueOf(time.Date(2026, 3, 1, 9, 0, 0, int(n)*1000, time.UTC)))
				return
			}
			for i := range v.NumField() {
				fill(v.Field(i), v.Type().Field(i).Name)
			}
		case reflect.Slice:
			v.Set(reflect.MakeSlice(v.Type(), 2, 2))
			for i := range v.Len() {
				fill(v.Index(i), name)
			}
		case reflect.String:
			v.SetString("value of " + name)
		case reflect.Int, reflect.Int64:
			v.SetInt(n)
		case reflect.Uint32, reflect.Uint64:
			v.SetUint(uint64(n))
		default:
			t.Fatalf("field %s has a kind that the test doesn't know: %v", name, v.Kind())
		}
	}
	fill(reflect.ValueOf(&e).Elem(), "Event")
	e.Schema, e.Type = Schema, SessionEnded
	return e
}

func TestEncodeEveryField(t *testing.T) {
	want := fullEvent(t)
	line := want.AppendJSON(nil)
	got, _, err := decode(line, nil)
	if err != nil {
		t.Fatalf("%v\n%s", err, line)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("round trip:\n got %+v\nwant %+v", got, want)
	}
	// The struct tags, by which other programs' decoders go, say the same.
	std, err := json.Marshal(want)
	if err != nil || string(std) != string(line) {
		t.Errorf("encoding/json writes\n%s\nthe log\n%s", std, line)
	}
}

// TestGolden pins the bytes of a log: they are an external format, which
// auditors' tools parse and old logs hold.
func TestGolden(t *testing.T) {
	channel, exit := uint32(0), 0
	until := time.Date(2026, 3, 1, 9, 15, 0, 0, time.UTC)
	list := []Event{
		fullEvent(t),
		{Type: ServerStarted},
		{Type: LoginLocked, UserHash: "hmac-sha256:00ff", Source: "[2001:db8::7]:50122", Reason: "too-many", Until: &until},
		{Type: ChannelOpened, Channel: &channel, ChannelType: "session"},
		{Type: SessionEnded, Exit: &exit, BytesDown: 1 << 40, Recording: &Recording{ID: "01J"}},
		{Type: UserAdded, User: "bob", Actor: &Actor{LoginUID: 4294967295}},
		{Type: SessionReviewed, Session: "01J", Actor: &Actor{LoginUID: 1001, Name: "root", LoginName: "carol"}},
		{Type: JumpRefused, AskedLogin: "Ødegård \"q\" \\ \x1b]0;t\a\x00\u009b\u202e\u2028 \xff\xfe 🔑", Detail: "<&>"},
		{Type: ForwardRefused, Destination: strings.Repeat("å", 300)},
	}
	var got []byte
	for i, e := range list {
		e.Schema, e.Seq, e.Time = Schema, uint64(i+1), time.Date(2026, 3, 1, 9, 0, i, 120, time.UTC)
		got = append(e.AppendJSON(got), '\n')
	}
	golden := filepath.Join("testdata", "events.golden.jsonl")
	if *update {
		if err := os.WriteFile(golden, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	for line := range strings.Lines(string(want)) {
		if _, _, err := decode([]byte(strings.TrimSuffix(line, "\n")), nil); err != nil {
			t.Errorf("%v: %s", err, line)
		}
	}
}

func TestDecodeRefusesOtherSpellings(t *testing.T) {
	head := `{"schema":"entry.audit/v1","seq":1,"time":"2026-03-01T09:00:00Z","type":"login.failed"`
	for name, line := range map[string]string{
		"space":            head + `, "user":"a"}`,
		"unknown key":      head + `,"password":"a"}`,
		"other case":       head + `,"User":"a"}`,
		"key twice":        head + `,"user":"a","user":"b"}`,
		"empty field":      head + `,"user":""}`,
		"null":             head + `,"actor":null}`,
		"order":            head + `,"target":"a","user":"b"}`,
		"raw UTF-8":        head + `,"user":"å"}`,
		"needless escape":  head + `,"user":"\u0061"}`,
		"upper-case hex":   head + `,"user":"\u00E5"}`,
		"lone surrogate":   head + `,"user":"\ud800"}`,
		"long string":      head + `,"detail":"` + strings.Repeat("a", MaxDetail+1) + `"}`,
		"after the object": head + `}{}`,
		"nothing":          ``,
		"array":            `[]`,
		"deep":             strings.Repeat("[", 20000),
		"schema":           `{"schema":"entry.audit/v2","seq":1,"time":"2026-03-01T09:00:00Z","type":"login.failed"}`,
		"type":             `{"schema":"entry.audit/v1","seq":1,"time":"2026-03-01T09:00:00Z","type":"login.fabricated"}`,
		"zone":             `{"schema":"entry.audit/v1","seq":1,"time":"2026-03-01T09:00:00+00:00","type":"login.failed"}`,
		"trailing zeros":   `{"schema":"entry.audit/v1","seq":1,"time":"2026-03-01T09:00:00.10Z","type":"login.failed"}`,
		"leading zero":     `{"schema":"entry.audit/v1","seq":01,"time":"2026-03-01T09:00:00Z","type":"login.failed"}`,
		"beyond maxLine":   head + `,"detail":"` + strings.Repeat("a", maxLine) + `"}`,
	} {
		if _, _, err := decode([]byte(line), nil); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, _, err := decode([]byte(head+"}"), nil); err != nil {
		t.Errorf("the form itself: %v", err)
	}
}

func TestDecodeTruncatedAtEveryByte(t *testing.T) {
	line := fullEvent(t).AppendJSON(nil)
	for i := range line {
		if _, _, err := decode(line[:i], nil); err == nil {
			t.Errorf("the first %d bytes are accepted", i)
		}
	}
}

// TestLongestEventFits: clipping must make every event fit a line, or a peer
// could make one that can't be logged.
func TestLongestEventFits(t *testing.T) {
	for _, s := range []string{strings.Repeat("\x00", 1<<20), strings.Repeat("\xff", 1<<20), strings.Repeat("\U0010ffff", 1<<18), strings.Repeat("é", 1<<19)} {
		e := fullEvent(t)
		var set func(v reflect.Value)
		set = func(v reflect.Value) {
			switch v.Kind() {
			case reflect.Pointer:
				set(v.Elem())
			case reflect.Struct:
				for i := range v.NumField() {
					if v.Field(i).CanSet() {
						set(v.Field(i))
					}
				}
			case reflect.Slice:
				v.Set(reflect.MakeSlice(v.Type(), 2*MaxSessions, 2*MaxSessions))
				for i := range v.Len() {
					set(v.Index(i))
				}
			case reflect.String:
				v.SetString(s)
			}
		}
		set(reflect.ValueOf(&e).Elem())
		words := slices.Repeat([]string{strings.Repeat("w", 1<<10)}, 2*MaxSessions) // of entry's own, which no peer chooses
		e.Sessions, *e.Rewrap = words, Rewrap{From: words[0], Set: words[0], Count: 1 << 40, In: words, Out: words, Proof: words[0]}
		for i := range e.Missing {
			e.Missing[i] = Missing{Why: words[0], Stream: words[0], Bytes: 1 << 60, Lines: 1 << 60}
		}
		e.Schema, e.Type = Schema, LoginFailed
		e.Holds, e.Gap.Reason = nil, "" // of records that have little else
		line := e.AppendJSON(nil)
		if len(line) > 127<<10 {
			t.Errorf("%d bytes", len(line))
		}
		got, _, err := decode(line, nil)
		if err != nil {
			t.Fatal(err)
		}
		if len(got.Detail) > MaxDetail || len(got.Detail) < MaxDetail-8 || !strings.HasSuffix(got.Detail, "…") {
			t.Errorf("Detail of %d bytes, ending %q", len(got.Detail), got.Detail[len(got.Detail)-6:])
		}
	}
}

// FuzzEncode: whatever a peer sends, the line is printable ASCII, reads back as
// what was sent (cut and made valid), and encodes to itself.
func FuzzEncode(f *testing.F) {
	f.Add("alice", "home", int64(0), int64(5))
	f.Add("\x1b[2J\u009b\u202e", "\xff\xc0\xaf\xed\xa0\x80", int64(-62135596800), int64(-1))
	f.Add(strings.Repeat("ø", 255)+"x", strings.Repeat("\x80", 171), int64(253402300799), int64(1)<<62)
	f.Fuzz(func(t *testing.T, a, b string, sec, n int64) {
		at := time.Unix(sec, 0)
		if !plausible(at) {
			return
		}
		e := Event{Schema: Schema, Seq: uint64(n), Time: at, Type: AccessRefused, AskedLogin: a, Detail: b, BytesUp: n}
		line := e.AppendJSON(nil)
		for _, c := range line {
			if c < 0x20 || c > 0x7e {
				t.Fatalf("raw byte %#x in %q", c, line)
			}
		}
		got, _, err := decode(line, nil)
		if err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		for _, s := range [][2]string{{a, got.AskedLogin}, {b, got.Detail}} {
			if utf8.ValidString(s[0]) && len(s[0]) <= MaxDetail && s[0] != s[1] {
				t.Fatalf("%q became %q", s[0], s[1])
			}
			if len(s[1]) > MaxDetail {
				t.Fatalf("%d bytes stay", len(s[1]))
			}
		}
		if again := got.AppendJSON(nil); string(again) != string(line) {
			t.Fatalf("%s\nencodes again to\n%s", line, again)
		}
	})
}

// What a channel lacks is bounded like everything else: no line becomes too long.
func TestMissingIsBounded(t *testing.T) {
	e := Event{Type: ChannelClosed, Missing: make([]Missing, 100)}
	for i := range e.Missing {
		e.Missing[i] = Missing{Why: strings.Repeat("w", 1000), Stream: strings.Repeat("s", 1000), Bytes: 1 << 62, Lines: 1 << 62}
	}
	line := e.AppendJSON(nil)
	got, _, err := decode(line, nil)
	if err != nil || len(got.Missing) != maxMissing || len(got.Missing[0].Why) != maxCode || len(got.Missing[0].Stream) != maxCode || got.Missing[0].Lines != 1<<62 {
		t.Errorf("%v: %s", err, line)
	}
}

// So are the sessions that one event has, of which none is open to what a peer says.
func TestSessionsAreBounded(t *testing.T) {
	e := Event{Type: RecordingRead, Sessions: make([]string, 2*MaxSessions)}
	for i := range e.Sessions {
		e.Sessions[i] = "01JQ8Z3M6W0000000000000001\"é" + strings.Repeat("w", 1000)
	}
	line := e.AppendJSON(nil)
	got, _, err := decode(line, nil)
	if err != nil || len(got.Sessions) != MaxSessions || got.Sessions[0] != "01JQ8Z3M6W0000000000000001" {
		t.Errorf("%v: %s", err, line)
	}
}

// So are the changes of key that one event carries on.
func TestRekeysAreBounded(t *testing.T) {
	e := Event{Type: LogDropped, Rekeys: make([]Rekey, 2*maxRekeys), Detail: strings.Repeat("\u00e5", MaxDetail)}
	for i := range e.Rekeys {
		long := strings.Repeat("w", 1000)
		e.Rekeys[i] = Rekey{From: long, To: long, Root: long, Old: long, New: long, Size: 1 << 62}
	}
	line := e.AppendJSON(nil)
	got, _, err := decode(line, nil)
	if err != nil || len(got.Rekeys) != maxRekeys || len(got.Rekeys[0].To) != maxKeyText || len(line) > maxLine/4 {
		t.Errorf("%v: %d bytes: %.300s", err, len(line), line)
	}
}

// So are the legal holds that one record carries on.
func TestHoldsAreBounded(t *testing.T) {
	for _, s := range []string{strings.Repeat("\x00", 1000), strings.Repeat("w", 1000)} {
		n := 1 << 60
		e := Event{Type: LogSegment, Count: n, Standing: &n, Holds: make([]Standing, 2*maxHolds), Detail: s}
		for i := range e.Holds {
			e.Holds[i] = Standing{ID: s, Session: s, User: s, Lab: s, Reason: s, By: &Actor{Name: s, LoginName: s}}
		}
		line := e.AppendJSON(nil)
		got, _, err := decode(line, nil)
		if err != nil || len(got.Holds) != maxHolds || len(line) > 127<<10 {
			t.Errorf("%v: %d bytes: %.300s", err, len(line), line)
		}
	}
}

// TestNoFieldForSecrets holds the design property that no event can carry a
// secret by name: a new field whose name suggests one must be argued here.
func TestNoFieldForSecrets(t *testing.T) {
	allowed := map[string]bool{
		"Event.Key":     true, // a public key's fingerprint
		"Event.Rekey":   true, // public keys, and signatures
		"Event.Rekeys":  true, // likewise
		"Recording.Key": true, // the hash of a file that holds a key sealed to auditors
	}
	var check func(typ reflect.Type)
	check = func(typ reflect.Type) {
		for i := range typ.NumField() {
			f := typ.Field(i)
			name := strings.ToLower(f.Name)
			for _, word := range []string{"pass", "secret", "seed", "code", "token", "key", "otp", "command", "path", "password", "content", "input"} {
				if strings.Contains(name, word) && !allowed[typ.Name()+"."+f.Name] {
					t.Errorf("%s.%s sounds like a place for a secret", typ.Name(), f.Name)
				}
			}
			switch ft := f.Type; {
			case ft.Kind() == reflect.Pointer && ft.Elem().Kind() == reflect.Struct && ft.Elem() != reflect.TypeFor[time.Time]():
				check(ft.Elem())
			case ft == reflect.TypeFor[[]Missing](), ft == reflect.TypeFor[[]Rekey](), ft == reflect.TypeFor[[]Standing](): // bounded in number and length, of entry's own words
				check(ft.Elem())
			case typ.Name()+"."+f.Name == "Event.Sessions": // IDs, bounded likewise
			case typ == reflect.TypeFor[Rewrap]() && (f.Name == "In" || f.Name == "Out"): // fingerprints, bounded likewise
			case ft.Kind() == reflect.Slice, ft.Kind() == reflect.Map, ft.Kind() == reflect.Interface:
				t.Errorf("%s.%s is open-ended: %v", typ.Name(), f.Name, ft)
			}
		}
	}
	check(reflect.TypeFor[Event]())
}
