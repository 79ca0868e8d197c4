package play

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"testing"
	"time"

	"entry/session/recording"
	"entry/session/recording/screen"
)

func TestReplay(t *testing.T) {
	var out, notes bytes.Buffer
	var slept []time.Duration
	err := Replay(t.Context(), from(visit()), &out, Options{
		Channel: recording.Channel{Number: 1, PTY: true, Cols: 100, Rows: 30}, Speed: 2, Idle: 4 * time.Second, Notes: &notes,
		Sleep: func(_ context.Context, d time.Duration) error { slept = append(slept, d); return nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	if want := "$ lsé☃\nnew\n"; out.String() != want {
		t.Errorf("played %q, want %q", out.String(), want)
	}
	var sum time.Duration
	for _, d := range slept {
		sum += d
	}
	if want := (1*time.Second + time.Second + 4*time.Second + time.Second/2 + time.Second/2) / 2; sum != want {
		t.Errorf("it took %v, want %v", sum, want)
	}
	for _, want := range []string{"resized to 120x40", `not kept: 5 B of output, SHA-256 00`, `a gap: "the disk\x1b is full"`, "exit status 7"} {
		if !strings.Contains(notes.String(), want) {
			t.Errorf("notes %q lack %q", notes.String(), want)
		}
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	stop := errors.New("stop")
	cancel(stop)
	if err := Replay(ctx, from(visit()), &out, Options{Channel: recording.Channel{Number: 1}}); !errors.Is(err, stop) {
		t.Errorf("cancelled: %v", err)
	}
}

// Where no terminal shows the screen, its lines come as they scroll off, whole, as text
// alone: what was hidden reads as the rest does.
func TestReplayPlain(t *testing.T) {
	for _, tc := range []struct{ name, in, want string }{
		{"scrolled", "1\r\n2\r\n3\r\n4\r\n5", "1\n2\n3\n4\n5\n"},
		{"wrapped", "0123456789abc\r\n1\r\n2\r\n3\r\n0123456789abc", "0123456789abc\n1\n2\n3\n0123456789abc\n"},
		{"colours", "\x1b[31mred\x1b[0m x\r\n", "red x\n"},
		{"hidden", "a\x1b[8mbc\x1b[0m \x1b[31;41md\x1b[0m\r\n", "abc d\n"},
		{"a colour that stays", "\x1b[41m\x1b[Kx\r\n\x1b[m", "x\n"},
		{"what could act outside", "\x1b]52;c;cm0gLXJm\a\x1b[6nx\x1b[?1049h", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var out bytes.Buffer
			frames := []recording.Frame{{Kind: recording.Output, Data: []byte(tc.in)}}
			if err := Replay(t.Context(), from(frames), &out, Options{Channel: recording.Channel{PTY: true, Cols: 10, Rows: 3}, AtOnce: true}); err != nil {
				t.Fatal(err)
			}
			if out.String() != tc.want {
				t.Errorf("got %q, want %q", out.String(), tc.want)
			}
		})
	}
}

// With a moment to stand still at, what stood on the screen then is all that is written:
// nothing that scrolled off before, and nothing that came later.
func TestReplayStill(t *testing.T) {
	frames := []recording.Frame{output(1, "$ ls\r\n1\r\n2\r\n3\r\n$ vi\r\n"), output(2, "\x1b[?1049h\x1b[Hin the editor\x1b[2;2Hx"), output(3, "\x1b[?1049lafter")}
	for at, want := range map[time.Duration]string{0: "", 1500: "3\n$ vi\n", 2000: "in the editor\n x\n", 2900: "in the editor\n x\n", 9000: "3\n$ vi\nafter\n"} {
		var out, notes bytes.Buffer
		o := Options{Channel: recording.Channel{PTY: true, Cols: 20, Rows: 3}, AtOnce: true, Still: true, From: at * time.Millisecond, Notes: &notes}
		if err := Replay(t.Context(), from(frames), &out, o); err != nil || out.String() != want || notes.Len() > 0 {
			t.Errorf("at %v: %q, %v, notes %q, want %q", o.From, out.String(), err, notes.String(), want)
		}
	}
}

// What the terminal hid is shown to who reviews, and told apart.
func TestReplayShowsWhatWasHidden(t *testing.T) {
	r := &reader{term: screen.New(30, 4), keys: map[time.Duration]string{}, seen: map[time.Duration]string{}}
	r.play(t, []recording.Frame{output(1, "a\x1b[8mbc\x1b[0m\x1b[31;41md\x1b[44;34m  \x1b[0me"), output(9, "\r\n")}, Options{Channel: recording.Channel{PTY: true, Cols: 20, Rows: 3}})
	if s := r.written.String(); strings.Contains(s, ";8m") || strings.Contains(s, ";8;") || !strings.Contains(s, "\x1b[0;2;9mbc") || strings.Contains(s, ";31;41m") || !strings.Contains(s, ";34;44m") {
		t.Errorf("%q", s)
	}
}

// reader is somebody before a terminal: keys typed at moments of the replay's
// own time, and a terminal that shows what is painted.
type reader struct {
	term    *screen.Terminal
	written bytes.Buffer
	now     time.Duration
	keys    map[time.Duration]string
	seen    map[time.Duration]string // what was shown before the keys of that moment
}

func newReader(cols, rows int, keys map[time.Duration]string) *reader {
	return &reader{term: screen.New(cols, rows), keys: keys, seen: map[time.Duration]string{}}
}

func (r *reader) Write(b []byte) (int, error) {
	r.written.Write(b)
	r.term.Write(b)
	return len(b), nil
}

func (r *reader) shows() string {
	var b strings.Builder
	_, rows := r.term.Size()
	for y := range rows {
		var line strings.Builder
		for _, c := range r.term.Cells(y) {
			line.WriteString(r.term.Text(c))
		}
		b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
	return strings.TrimRight(b.String(), "\n")
}

// play replays frames before the reader.
func (r *reader) play(t *testing.T, frames []recording.Frame, o Options) {
	t.Helper()
	o.View = &View{Size: r.term.Size, Keys: func() []Key {
		var keys []Key
		for at, typed := range r.keys {
			if at <= r.now {
				r.seen[at] = r.shows()
				keys = append(keys, ParseKeys([]byte(typed))...)
				delete(r.keys, at)
			}
		}
		return keys
	}}
	o.Sleep = func(_ context.Context, d time.Duration) error { r.now += d; return nil }
	o.Again = func() (func() (recording.Frame, error), error) { return from(frames), nil }
	o.Start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	if err := Replay(t.Context(), from(frames), r, o); err != nil {
		t.Fatal(err)
	}
}

func output(s float64, data string) recording.Frame {
	return recording.Frame{At: time.Duration(s * float64(time.Second)), Kind: recording.Output, Data: []byte(data)}
}

func TestReplayOnATerminal(t *testing.T) {
	frames := []recording.Frame{
		output(0, "\x1b]0;title\a\x1b[1;1Hone 日本 \x1b[41mred"), output(10, "\x1b[?1049h\x1b[H\x1b[2Jtwo\x1b[?1000h\x1b[5n"), output(30, "\x1b[2;3Hthree"), output(60, "\x1b[?1049lend"),
	}
	c := recording.Channel{PTY: true, Cols: 20, Rows: 4}
	at := func(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
	for _, tc := range []struct {
		name string
		o    Options
		keys map[time.Duration]string
		want map[float64]string
	}{
		{"as it was", Options{}, map[time.Duration]string{at(5): "", at(20): "", at(50): ""}, map[float64]string{5: "one 日本 red", 20: "two", 50: "two\n  three"}},
		{"faster", Options{Speed: 10}, map[time.Duration]string{at(.5): "", at(2): ""}, map[float64]string{.5: "one 日本 red", 2: "two"}},
		{"from a moment", Options{From: at(35)}, map[time.Duration]string{at(1): ""}, map[float64]string{1: "two\n  three"}},
		{"pause", Options{}, map[time.Duration]string{at(5): " ", at(90): "", at(95): " ", at(102): ""}, map[float64]string{90: "one 日本 red", 102: "two"}},
		{"steps", Options{}, map[time.Duration]string{at(1): ".", at(2): ".", at(3): "", at(4): " "}, map[float64]string{2: "two", 3: "two\n  three"}},
		{"on and back", Options{}, map[time.Duration]string{at(1): "\x1b[C\x1b[C", at(2): "\x1b[D\x1b[D\x1b[D", at(3): ""}, map[float64]string{2: "two", 3: "one 日本 red"}},
		{"to the start", Options{From: at(31)}, map[time.Duration]string{at(1): "0", at(2): ""}, map[float64]string{1: "two\n  three", 2: "one 日本 red"}},
		{"speed", Options{}, map[time.Duration]string{at(1): "++++", at(4): ""}, map[float64]string{4: "two\n  three"}},
		{"quit", Options{}, map[time.Duration]string{at(1): "q", at(20): ""}, map[float64]string{1: "one 日本 red"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := newReader(80, 5, tc.keys)
			tc.o.Channel = c
			r.play(t, frames, tc.o)
			for s, want := range tc.want {
				got := r.seen[at(s)]
				if shown, status, ok := cutStatus(got); !ok || shown != want || !strings.Contains(status, "2026-01-02 03:0") {
					t.Errorf("after %v s it shows %q, want %q", s, got, want)
				}
			}
			if bad := foreign.ReplaceAllString(r.written.String(), ""); strings.ContainsAny(bad, "\x1b\a") || strings.Contains(bad, "title") {
				t.Errorf("the terminal got %q", bad)
			}
			if tc.name == "quit" && r.now > at(2) {
				t.Errorf("it went on until %v", r.now)
			}
		})
	}
}

// foreign is all that a player sends beside text: styles, its own places, and the
// screen it takes and gives back.
var foreign = regexp.MustCompile(`\x1b\[[0-9;]*[mH]|\x1b\[2J|\x1b\[\?(25|1049)[hl]`)

// cutStatus parts the last line from what is above it.
func cutStatus(s string) (shown, status string, ok bool) {
	i := strings.LastIndexByte(s, '\n')
	if i < 0 {
		return "", s, false
	}
	return strings.TrimRight(s[:i], "\n"), s[i+1:], true
}

// A larger recording is told of and scrolled, after the cursor or the reader's
// keys.
func TestReplayOfALargerScreen(t *testing.T) {
	frames := []recording.Frame{output(0, "top left\x1b[40;100Hcursor"), output(100, "")}
	second := time.Second
	r := newReader(40, 11, map[time.Duration]string{second: "", 10 * second: "kkkkkkkkhhhhh", 11 * second: "f", 12 * second: "q"})
	r.play(t, frames, Options{Channel: recording.Channel{PTY: true, Cols: 120, Rows: 50}})
	first, status, _ := cutStatus(r.seen[second])
	if !strings.HasSuffix(first, "cursor") || !strings.HasPrefix(status, " [recorded in 120x50, here is room for") {
		t.Errorf("it shows %q", r.seen[second])
	}
	if moved, _, _ := cutStatus(r.seen[11*second]); moved != "top left" {
		t.Errorf("moved, it shows %q", moved)
	}
	if back, _, _ := cutStatus(r.seen[12*second]); !strings.HasSuffix(back, "cursor") {
		t.Errorf("following again, it shows %q", back)
	}
}

// A live recording goes on where it was cut, and ends once nobody writes it.
func TestReplayFollows(t *testing.T) {
	frames := []recording.Frame{output(0, "one"), output(5, " two")}
	asked := 0
	next := func() (recording.Frame, error) {
		if len(frames) == 0 {
			return recording.Frame{}, fmt.Errorf("x: %w", recording.ErrTruncated)
		}
		f := frames[0]
		frames = frames[1:]
		return f, nil
	}
	var out bytes.Buffer
	var slept time.Duration
	err := Replay(t.Context(), next, &out, Options{
		Channel: recording.Channel{PTY: true}, From: time.Hour, AtOnce: true,
		More: func() bool {
			asked++
			if asked == 3 {
				frames = []recording.Frame{output(9, " three")}
			}
			return asked < 5
		},
		Sleep: func(_ context.Context, d time.Duration) error { slept += d; return nil },
	})
	if !errors.Is(err, recording.ErrTruncated) || out.String() != "one two three\n" || asked != 5 || slept != 5*followTime {
		t.Errorf("%v, %q, asked %d times in %v", err, out.String(), asked, slept)
	}
	if err := Replay(t.Context(), func() (recording.Frame, error) { return recording.Frame{}, io.EOF }, &out, Options{}); err != nil {
		t.Error(err)
	}
}

// Whatever is recorded, a terminal gets nothing but text, styles and the
// player's own sequences.
func FuzzReplay(f *testing.F) {
	f.Add([]byte("\x1b]52;c;x\a\x1b[31mred\x1b[6n日e\u0301\x1b(0q\u009b5n\u202e"), byte(20), byte(5))
	f.Fuzz(func(t *testing.T, in []byte, cols, rows byte) {
		r := newReader(int(cols%30)+1, int(rows%9)+2, map[time.Duration]string{time.Second: "kh", 2 * time.Second: "f"})
		r.play(t, []recording.Frame{output(0, string(in)), output(3, string(in)), output(9, "x")}, Options{Channel: recording.Channel{PTY: true, Cols: uint32(rows) % 50, Rows: uint32(cols) % 50}})
		rest := foreign.ReplaceAllString(r.written.String(), "")
		if i := strings.IndexFunc(rest, func(r rune) bool {
			return r < 0x20 && r != '\r' && r != '\n' || r >= 0x7f && r < 0xa0 || r >= 0x202a && r <= 0x202e
		}); i >= 0 {
			t.Errorf("%q reaches the terminal: %q", in, rest)
		}
	})
}
