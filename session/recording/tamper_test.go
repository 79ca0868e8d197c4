package recording

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"filippo.io/age"
)

// sealed makes a small recording of four segments in dir and returns its bytes,
// where each segment starts and, last, the end.
func sealed(t testing.TB, b *bench, n int) (all []byte, starts []int, sum Summary) {
	t.Helper()
	w := b.create(n)
	for i := range 3 {
		b.sleep(time.Second)
		b.must(w.Frame(Output, 0, []byte{byte('a' + i)}))
		b.must(b.tick())
	}
	sum, err := w.Close()
	b.must(err)
	all, err = os.ReadFile(b.path(n))
	b.must(err)
	_, hash, size, err := parseHeader(all)
	b.must(err)
	walk := newWalker(bytes.NewReader(all[size:]), hash, size)
	for {
		starts = append(starts, int(walk.size))
		if _, err := walk.step(); err != nil {
			if !errors.Is(err, io.EOF) || len(starts) != 5 {
				t.Fatalf("%d segments, %v", len(starts)-1, err)
			}
			return all, starts, sum
		}
	}
}

// found returns which segment Verify, and reading with the key, complain about.
func found(t *testing.T, dir, id string, expect ...Expect) (byVerify, byReading *BadSegment) {
	t.Helper()
	_, err := Verify(dir, id, expect...)
	if err != nil && !errors.As(err, &byVerify) {
		t.Fatalf("Verify = %v, want a *BadSegment", err)
	}
	_, err = readAll(t, dir, id)
	switch {
	case errors.As(err, &byReading), errors.Is(err, io.EOF), errors.Is(err, ErrTruncated):
	default:
		t.Fatalf("reading = %v", err)
	}
	return byVerify, byReading
}

func TestEveryFlippedByteIsFoundAndNamed(t *testing.T) {
	b := newBench(t, nil)
	all, starts, _ := sealed(t, b, 1)
	segment := -1
	for i := range all {
		for segment+1 < len(starts)-1 && i >= starts[segment+1] {
			segment++
		}
		for _, mask := range []byte{0x01, 0x80, 0xff} {
			bad := bytes.Clone(all)
			bad[i] ^= mask
			b.must(os.WriteFile(b.path(1), bad, 0o600))
			v, _ := found(t, b.dir, id(1))
			if v == nil || v.Segment != segment {
				t.Fatalf("byte %d of segment %d flipped by %#x: Verify says %v", i, segment, mask, v)
			}
			if frames, err := readAll(t, b.dir, id(1)); errors.Is(err, io.EOF) {
				t.Fatalf("byte %d flipped by %#x: all %d frames were read", i, mask, len(frames))
			}
		}
	}
	t.Logf("%d bytes, each flipped in three ways", len(all))
}

func TestEveryTruncationIsFoundAndNamed(t *testing.T) {
	b := newBench(t, nil)
	all, starts, sum := sealed(t, b, 1)
	segment := -1
	for n := range all {
		for segment+1 < len(starts)-1 && n >= starts[segment+1] {
			segment++
		}
		b.must(os.WriteFile(b.path(1), all[:n], 0o600))
		v, _ := found(t, b.dir, id(1))
		if v == nil || v.Segment != segment {
			t.Fatalf("cut to %d bytes, in segment %d: Verify says %v", n, segment, v)
		}
		// A restart takes it for a crash; what the audit log knows tells.
		if _, err := Recover(b.dir, nil); err != nil {
			t.Fatal(err)
		}
		v, _ = found(t, b.dir, id(1), Expect{Segments: sum.Segments, Head: sum.Head, Final: true})
		if v == nil || v.Segment != segment {
			t.Fatalf("cut to %d bytes and marked as aborted: Verify says %v", n, v)
		}
		b.must(os.Remove(filepath.Join(b.dir, id(1)+abortedExt)))
	}
	b.must(os.WriteFile(b.path(1), append(bytes.Clone(all), 0), 0o600))
	if v, _ := found(t, b.dir, id(1)); v == nil || v.Segment != 4 {
		t.Errorf("a byte was appended: Verify says %v", v)
	}
}

func TestCutAfterRecoveryIsFound(t *testing.T) {
	b := newBench(t, nil)
	all, starts, _ := sealed(t, b, 1)
	torn := all[:starts[2]+10]
	b.must(os.WriteFile(b.path(1), torn, 0o600))
	if _, err := Recover(b.dir, nil); err != nil {
		t.Fatal(err)
	}
	if info, err := Verify(b.dir, id(1)); err != nil || info.State != StateAborted || info.Segments != 2 {
		t.Fatalf("as the restart found it: %+v, %v", info, err)
	}
	for _, n := range []int{starts[1], starts[2], starts[2] + 9} {
		b.must(os.WriteFile(b.path(1), all[:n], 0o600))
		if v, _ := found(t, b.dir, id(1)); v == nil {
			t.Errorf("cut from %d to %d bytes after the restart: unnoticed", len(torn), n)
		}
	}
	b.must(os.WriteFile(b.path(1), all[:starts[3]], 0o600))
	if v, _ := found(t, b.dir, id(1)); v == nil {
		t.Error("a segment that the restart didn't find appeared")
	}
}

func TestMovedSegmentsAreFoundAndNamed(t *testing.T) {
	b := newBench(t, nil)
	all, s, _ := sealed(t, b, 1)
	other, o, _ := sealed(t, b, 2)
	seg := func(i int) []byte { return all[s[i]:s[i+1]] }
	for _, tc := range []struct {
		name  string
		bytes [][]byte
		want  int
	}{
		{"dropped first", [][]byte{all[:s[0]], all[s[1]:]}, 0},
		{"dropped middle", [][]byte{all[:s[1]], all[s[2]:]}, 1},
		{"dropped last", [][]byte{all[:s[3]]}, 3},
		{"duplicated", [][]byte{all[:s[2]], seg(1), all[s[2]:]}, 2},
		{"duplicated final", [][]byte{all, seg(3)}, 4},
		{"swapped", [][]byte{all[:s[1]], seg(2), seg(1), all[s[3]:]}, 1},
		{"of another recording", [][]byte{all[:s[1]], other[o[1]:o[2]], all[s[2]:]}, 1},
		{"tail of another recording", [][]byte{all[:s[3]], other[o[3]:]}, 3},
		{"another recording whole", [][]byte{other}, -1},
		{"header of another recording", [][]byte{other[:o[0]], all[s[0]:]}, -1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b.must(os.WriteFile(b.path(1), bytes.Join(tc.bytes, nil), 0o600))
			v, r := found(t, b.dir, id(1))
			if v == nil || v.Segment != tc.want {
				t.Errorf("Verify says %v, want segment %d", v, tc.want)
			}
			if r != nil && r.Segment != tc.want {
				t.Errorf("reading says %v, want segment %d", r, tc.want)
			}
		})
	}
}

// TestNewChainIsFound is about somebody who can write the spool but has no
// key: the chain can be computed anew, the seals and the audit log can't.
func TestNewChainIsFound(t *testing.T) {
	b := newBench(t, nil)
	all, s, sum := sealed(t, b, 1)
	forged := bytes.Clone(all[:s[1]])
	_, hash, size, err := parseHeader(all)
	b.must(err)
	w := newWalker(bytes.NewReader(all[size:]), hash, size)
	_, err = w.step()
	b.must(err)
	head := w.head
	for i := 1; i < 4; i++ {
		seg := bytes.Clone(all[s[i]:s[i+1]])
		if i == 2 {
			seg[segmentHead] ^= 1
		}
		head = chainHash(head, seg[:len(seg)-32])
		forged = append(append(forged, seg[:len(seg)-32]...), head[:]...)
	}
	b.must(os.WriteFile(b.path(1), forged, 0o600))
	v, r := found(t, b.dir, id(1))
	if v != nil || r == nil || r.Segment != 2 {
		t.Errorf("Verify alone says %v, reading %v; want nothing, segment 2", v, r)
	}
	ticks := []Expect{{Head: hash}, {Segments: sum.Segments, Head: sum.Head, Final: true}}
	for _, tick := range b.ticks[:3] {
		c, err := ReadTick(b.dir, tick)
		b.must(err)
		ticks = append(ticks, Expect{Segments: c[0].Segments, Head: c[0].Head})
	}
	if v, _ := found(t, b.dir, id(1), ticks...); v == nil || v.Segment != 2 {
		t.Errorf("Verify against the ticks says %v, want segment 2", v)
	}
	if v, _ := found(t, b.dir, id(1), ticks[1]); v == nil {
		t.Error("Verify against session.ended found nothing")
	}
	b.must(os.WriteFile(b.path(1), all, 0o600))
	if v, r := found(t, b.dir, id(1), ticks...); v != nil || r != nil {
		t.Errorf("the true recording: %v, %v", v, r)
	}
	if v, _ := found(t, b.dir, id(1), Expect{Head: [32]byte{1}}); v == nil || v.Segment != -1 {
		t.Errorf("another header in the log: %v", v)
	}
}

func TestKeys(t *testing.T) {
	b := newBench(t, nil)
	sealed(t, b, 1)
	sealed(t, b, 2)
	key := func(n int) string { return filepath.Join(b.dir, id(n)+keyExt) }
	stranger, err := age.GenerateX25519Identity()
	b.must(err)
	if _, err := OpenRecording(b.dir, id(1), stranger); !errors.Is(err, ErrKey) {
		t.Errorf("a stranger's identity: %v", err)
	}
	if _, err := OpenRecording(b.dir, id(1)); !errors.Is(err, ErrKey) {
		t.Errorf("no identity: %v", err)
	}
	own, err := os.ReadFile(key(1))
	b.must(err)
	foreign, err := os.ReadFile(key(2))
	b.must(err)
	b.must(os.WriteFile(key(1), foreign, 0o600))
	if _, err := OpenRecording(b.dir, id(1), auditor()); !errors.Is(err, ErrKey) {
		t.Errorf("another recording's key: %v", err)
	}
	for i := range own {
		bad := bytes.Clone(own)
		bad[i] ^= 1
		b.must(os.WriteFile(key(1), bad, 0o600))
		if _, err := OpenRecording(b.dir, id(1), auditor()); !errors.Is(err, ErrKey) {
			t.Errorf("byte %d of the key file flipped: %v", i, err)
		}
	}
	// Rewrapped to another auditor, outside the digest.
	plain, err := age.Decrypt(bytes.NewReader(own), auditor())
	b.must(err)
	k, err := io.ReadAll(plain)
	b.must(err)
	again, err := wrapKey(k, []age.Recipient{stranger.Recipient()})
	b.must(err)
	b.must(os.WriteFile(key(1), again, 0o600))
	r, err := OpenRecording(b.dir, id(1), stranger)
	b.must(err)
	b.must(r.Close())
	// Shredded.
	b.must(os.Remove(key(1)))
	if _, err := OpenRecording(b.dir, id(1), auditor()); !errors.Is(err, ErrShredded) {
		t.Errorf("without the key file: %v", err)
	}
	if info, err := Verify(b.dir, id(1)); err != nil || info.State != Complete {
		t.Errorf("the chain without the key file: %v, %v", info.State, err)
	}
}

func TestMissing(t *testing.T) {
	for _, id := range []string{id(1), "", "../x", "LAST"} {
		if _, err := Verify(t.TempDir(), id); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("Verify(%q) = %v", id, err)
		}
		if _, err := OpenRecording(t.TempDir(), id); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("OpenRecording(%q) = %v", id, err)
		}
	}
}

func TestListNamesWhatIsDamaged(t *testing.T) {
	b := newBench(t, nil)
	_, s, _ := sealed(t, b, 1)
	all, _, _ := sealed(t, b, 2)
	sealed(t, b, 3)
	b.must(os.Truncate(b.path(1), int64(s[2]+5)))
	all[3] ^= 1
	b.must(os.WriteFile(b.path(2), all, 0o600))
	b.must(os.WriteFile(filepath.Join(b.dir, "notes.txt"), nil, 0o600))
	list, err := List(b.dir)
	b.must(err)
	if len(list) != 3 || list[0].State != StateAborted || list[0].Segments != 2 || list[1].State != Damaged || list[1].ID != id(2) || list[2].State != Complete {
		t.Errorf("List = %+v", list)
	}
}

func FuzzRead(f *testing.F) {
	// The golden recording: every fuzzing process must know the same bytes.
	dir := f.TempDir()
	key, err := os.ReadFile(golden + "/identity")
	if err != nil {
		f.Fatal(err)
	}
	ids, err := ParseIdentities(bytes.NewReader(key))
	if err != nil {
		f.Fatal(err)
	}
	if err := os.CopyFS(dir, os.DirFS(golden)); err != nil {
		f.Fatal(err)
	}
	path := filepath.Join(dir, id(1)+recExt)
	all, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(all)
	f.Add(all[:len(all)/2])
	f.Add(append(bytes.Clone(all), all[len(all)-100:]...))
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		same := bytes.Equal(data, all)
		if _, err := Verify(dir, id(1)); (err == nil) != same {
			t.Errorf("Verify = %v; the bytes are the ones that were written: %v", err, same)
		}
		if _, err := readAll(t, dir, id(1), ids...); errors.Is(err, io.EOF) != same {
			t.Errorf("reading = %v; the bytes are the ones that were written: %v", err, same)
		}
		if _, err := List(dir); err != nil {
			t.Errorf("List = %v", err)
		}
	})
}

func FuzzFrame(f *testing.F) {
	f.Add(appendFrame(nil, 5, Output, 3, []byte("x")))
	f.Fuzz(func(t *testing.T, data []byte) {
		delta, frame, rest, err := cutFrame(data)
		if err != nil {
			return
		}
		again := append(appendFrame(nil, delta, frame.Kind, frame.Channel, frame.Data), rest...)
		d2, f2, r2, err := cutFrame(again)
		if err != nil || d2 != delta || f2.Kind != frame.Kind || !bytes.Equal(f2.Data, frame.Data) || !bytes.Equal(r2, rest) {
			t.Errorf("%x decodes, but not after encoding: %v", data, err)
		}
	})
}
