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

	"entry/e2e/testkit"
)

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
	r := seal(t, t.TempDir(), 1)
	segment := -1
	for i := range r.all {
		for segment+1 < len(r.starts)-1 && i >= r.starts[segment+1] {
			segment++
		}
		for _, mask := range []byte{0x01, 0x80, 0xff} {
			bad := bytes.Clone(r.all)
			bad[i] ^= mask
			r.rewrite(t, bad)
			v, _ := found(t, r.dir, r.id)
			if v == nil || v.Segment != segment {
				t.Fatalf("byte %d of segment %d flipped by %#x: Verify says %v", i, segment, mask, v)
			}
			if frames, err := readAll(t, r.dir, r.id); errors.Is(err, io.EOF) {
				t.Fatalf("byte %d flipped by %#x: all %d frames were read", i, mask, len(frames))
			}
		}
	}
	t.Logf("%d bytes, each flipped in three ways", len(r.all))
}

// restart marks the recording as a restart does that finds it like this.
func (r written) restart(t testing.TB) {
	t.Helper()
	a, aborted, err := Inspect(r.dir, r.id)
	testkit.Check(t, err)
	if !aborted {
		t.Fatal("a restart wouldn't find it")
	}
	b, err := a.Mark(time.Now())
	testkit.Check(t, err)
	testkit.Check(t, os.WriteFile(filepath.Join(r.dir, r.id+AbortedExt), b, 0o600))
	if _, again, err := Inspect(r.dir, r.id); err != nil || again {
		t.Fatalf("the next restart finds it again: %v", err)
	}
}

func TestEveryTruncationIsFoundAndNamed(t *testing.T) {
	r := seal(t, t.TempDir(), 1)
	segment := -1
	for n := range r.all {
		for segment+1 < len(r.starts)-1 && n >= r.starts[segment+1] {
			segment++
		}
		r.rewrite(t, r.all[:n])
		v, _ := found(t, r.dir, r.id)
		if v == nil || v.Segment != segment {
			t.Fatalf("cut to %d bytes, in segment %d: Verify says %v", n, segment, v)
		}
		// A restart takes it for a crash; what the audit log knows tells.
		r.restart(t)
		v, _ = found(t, r.dir, r.id, r.ended())
		if v == nil || v.Segment != segment || segment >= 0 && v.Fault != Cut {
			t.Fatalf("cut to %d bytes and marked as aborted: Verify says %v", n, v)
		}
		testkit.Check(t, os.Remove(filepath.Join(r.dir, r.id+AbortedExt)))
	}
	r.rewrite(t, r.all, []byte{0})
	if v, _ := found(t, r.dir, r.id); v == nil || v.Segment != 4 {
		t.Errorf("a byte was appended: Verify says %v", v)
	}
}

func TestCutAfterRecoveryIsFound(t *testing.T) {
	r := seal(t, t.TempDir(), 1)
	torn := r.all[:r.starts[2]+10]
	r.rewrite(t, torn)
	r.restart(t)
	if info, err := Verify(r.dir, r.id); err != nil || info.State != StateAborted || info.Segments != 2 {
		t.Fatalf("as the restart found it: %+v, %v", info, err)
	}
	for _, n := range []int{r.starts[1], r.starts[2], r.starts[2] + 9} {
		r.rewrite(t, r.all[:n])
		if v, _ := found(t, r.dir, r.id); v == nil {
			t.Errorf("cut from %d to %d bytes after the restart: unnoticed", len(torn), n)
		}
	}
	r.rewrite(t, r.all[:r.starts[3]])
	if v, _ := found(t, r.dir, r.id); v == nil || v.Fault != OtherHead {
		t.Error("a segment that the restart didn't find appeared")
	}
}

func TestMovedSegmentsAreFoundAndNamed(t *testing.T) {
	r := seal(t, t.TempDir(), 1)
	all, s := r.all, r.starts
	o := seal(t, r.dir, 2)
	other := o.all
	seg := func(i int) []byte { return all[s[i]:s[i+1]] }
	for _, tc := range []struct {
		name  string
		bytes [][]byte
		want  int
		fault Fault
	}{
		{"dropped first", [][]byte{all[:s[0]], all[s[1]:]}, 0, Broken},
		{"dropped middle", [][]byte{all[:s[1]], all[s[2]:]}, 1, Broken},
		{"dropped last", [][]byte{all[:s[3]]}, 3, Cut},
		{"duplicated", [][]byte{all[:s[2]], seg(1), all[s[2]:]}, 2, Broken},
		{"duplicated final", [][]byte{all, seg(3)}, 4, Broken},
		{"swapped", [][]byte{all[:s[1]], seg(2), seg(1), all[s[3]:]}, 1, Broken},
		{"of another recording", [][]byte{all[:s[1]], other[o.starts[1]:o.starts[2]], all[s[2]:]}, 1, Broken},
		{"tail of another recording", [][]byte{all[:s[3]], other[o.starts[3]:]}, 3, Broken},
		{"another recording whole", [][]byte{other}, -1, Swapped},
		{"header of another recording", [][]byte{other[:o.starts[0]], all[s[0]:]}, -1, Swapped},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r.rewrite(t, tc.bytes...)
			v, read := found(t, r.dir, r.id)
			if v == nil || v.Segment != tc.want || v.Fault != tc.fault {
				t.Errorf("Verify says %v, want segment %d %s", v, tc.want, tc.fault)
			}
			if read != nil && read.Segment != tc.want {
				t.Errorf("reading says %v, want segment %d", read, tc.want)
			}
		})
	}
}

// TestNewChainIsFound is about somebody who can write the spool but has no
// key: the chain can be computed anew, the seals and the audit log can't.
func TestNewChainIsFound(t *testing.T) {
	r := seal(t, t.TempDir(), 1)
	forged := bytes.Clone(r.all[:r.starts[1]])
	head := r.heads[0]
	for i := 1; i < 4; i++ {
		seg := bytes.Clone(r.all[r.starts[i]:r.starts[i+1]])
		if i == 2 {
			seg[segmentHead] ^= 1
		}
		head = chainHash(head, seg[:len(seg)-32])
		forged = append(append(forged, seg[:len(seg)-32]...), head[:]...)
	}
	r.rewrite(t, forged)
	v, read := found(t, r.dir, r.id)
	if v != nil || read == nil || read.Segment != 2 {
		t.Errorf("Verify alone says %v, reading %v; want nothing, segment 2", v, read)
	}
	ticks := []Expect{{Head: r.headerHash}, r.ended()}
	for i, head := range r.heads[:3] {
		ticks = append(ticks, Expect{Segments: uint32(i + 1), Head: head})
	}
	if v, _ := found(t, r.dir, r.id, ticks...); v == nil || v.Segment != 2 || v.Fault != OtherHead {
		t.Errorf("Verify against the ticks says %v, want segment 2", v)
	}
	if v, _ := found(t, r.dir, r.id, ticks[1]); v == nil {
		t.Error("Verify against session.ended found nothing")
	}
	r.rewrite(t, r.all)
	if v, read := found(t, r.dir, r.id, ticks...); v != nil || read != nil {
		t.Errorf("the true recording: %v, %v", v, read)
	}
	if v, _ := found(t, r.dir, r.id, Expect{Head: [32]byte{1}}); v == nil || v.Segment != -1 || v.Fault != OtherHeader {
		t.Errorf("another header in the log: %v", v)
	}
}

func TestKeys(t *testing.T) {
	dir := t.TempDir()
	seal(t, dir, 1)
	seal(t, dir, 2)
	key := func(n int) string { return filepath.Join(dir, id(n)+KeyExt) }
	stranger, err := age.GenerateX25519Identity()
	testkit.Check(t, err)
	if _, err := OpenRecording(dir, id(1), stranger); !errors.Is(err, ErrKey) {
		t.Errorf("a stranger's identity: %v", err)
	}
	if _, err := OpenRecording(dir, id(1)); !errors.Is(err, ErrKey) {
		t.Errorf("no identity: %v", err)
	}
	own, err := os.ReadFile(key(1))
	testkit.Check(t, err)
	foreign, err := os.ReadFile(key(2))
	testkit.Check(t, err)
	testkit.Check(t, os.WriteFile(key(1), foreign, 0o600))
	if _, err := OpenRecording(dir, id(1), auditor()); !errors.Is(err, ErrKey) {
		t.Errorf("another recording's key: %v", err)
	}
	for i := range own {
		bad := bytes.Clone(own)
		bad[i] ^= 1
		testkit.Check(t, os.WriteFile(key(1), bad, 0o600))
		if _, err := OpenRecording(dir, id(1), auditor()); !errors.Is(err, ErrKey) {
			t.Errorf("byte %d of the key file flipped: %v", i, err)
		}
	}
	// Rewrapped to another auditor, outside the digest.
	plain, err := age.Decrypt(bytes.NewReader(own), auditor())
	testkit.Check(t, err)
	k, err := io.ReadAll(plain)
	testkit.Check(t, err)
	again, err := wrapKey(k, []age.Recipient{stranger.Recipient()})
	testkit.Check(t, err)
	testkit.Check(t, os.WriteFile(key(1), again, 0o600))
	r, err := OpenRecording(dir, id(1), stranger)
	testkit.Check(t, err)
	testkit.Check(t, r.Close())
	// Shredded.
	testkit.Check(t, os.Remove(key(1)))
	if _, err := OpenRecording(dir, id(1), auditor()); !errors.Is(err, ErrShredded) {
		t.Errorf("without the key file: %v", err)
	}
	if info, err := Verify(dir, id(1)); err != nil || info.State != Complete {
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
	dir := t.TempDir()
	cut, flipped := seal(t, dir, 1), seal(t, dir, 2)
	seal(t, dir, 3)
	cut.rewrite(t, cut.all[:cut.starts[2]+5])
	flipped.all[3] ^= 1
	flipped.rewrite(t, flipped.all)
	testkit.Check(t, os.WriteFile(filepath.Join(dir, "notes.txt"), nil, 0o600))
	list, err := List(dir)
	testkit.Check(t, err)
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
	ids, err := age.ParseIdentities(bytes.NewReader(key))
	if err != nil {
		f.Fatal(err)
	}
	if err := os.CopyFS(dir, os.DirFS(golden)); err != nil {
		f.Fatal(err)
	}
	path := filepath.Join(dir, id(1)+Ext)
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
	f.Add(AppendFrame(nil, 5, Output, 3, []byte("x")))
	f.Fuzz(func(t *testing.T, data []byte) {
		delta, frame, rest, err := cutFrame(data)
		if err != nil {
			return
		}
		again := append(AppendFrame(nil, delta, frame.Kind, frame.Channel, frame.Data), rest...)
		d2, f2, r2, err := cutFrame(again)
		if err != nil || d2 != delta || f2.Kind != frame.Kind || !bytes.Equal(f2.Data, frame.Data) || !bytes.Equal(r2, rest) {
			t.Errorf("%x decodes, but not after encoding: %v", data, err)
		}
	})
}
