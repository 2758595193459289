package journal_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"birdring/beacon/journal"
)

// TestMain turns the test binary into a writer for the kill test.
func TestMain(m *testing.M) {
	if dir := os.Getenv("JOURNAL_TEST_WRITER"); dir != "" {
		writeForEver(dir)
	}
	os.Exit(m.Run())
}

// writeForEver appends numbered records and prints each number once Append returned.
func writeForEver(dir string) {
	j, err := journal.OpenWith(dir, journal.Options{SegmentBytes: 16 << 10})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	out := bufio.NewWriterSize(os.Stdout, 16)
	for i := 0; ; i++ {
		if err := j.Append(fmt.Appendf(nil, "record %d %s", i, strings.Repeat("x", i%300))); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		fmt.Fprintln(out, i)
		out.Flush()
	}
}

func open(t *testing.T, dir string, o journal.Options) *journal.Journal {
	t.Helper()
	j, err := journal.OpenWith(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := j.Close(); err != nil {
			t.Error(err)
		}
	})
	return j
}

func all(t *testing.T, dir string) (records []string) {
	t.Helper()
	_, err := journal.Read(dir, journal.Position{}, func(rec []byte, _ journal.Position) error {
		records = append(records, string(rec))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return records
}

func lastSegment(t *testing.T, dir string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.hits"))
	if err != nil || len(files) == 0 {
		t.Fatalf("segments %v, %v", files, err)
	}
	return files[len(files)-1]
}

func TestReadsBackInOrderOverSegments(t *testing.T) {
	dir := t.TempDir()
	j := open(t, dir, journal.Options{SegmentBytes: 500})
	var want []string
	for i := range 100 {
		rec := fmt.Sprintf("hit %d", i)
		want = append(want, rec)
		if err := j.Append([]byte(rec)); err != nil {
			t.Fatal(err)
		}
	}
	if got := all(t, dir); !slices.Equal(got, want) {
		t.Fatalf("read %d records %q, want %d", len(got), got, len(want))
	}
	// Ten at a time, from the stored position on, nothing comes twice.
	var got []string
	var at journal.Position
	enough := errors.New("enough")
	for {
		before := len(got)
		var err error
		at, err = j.Read(at, func(rec []byte, next journal.Position) error {
			if len(got) == before+10 {
				return enough
			}
			got = append(got, string(rec))
			return nil
		})
		if err == nil && len(got) == before {
			break
		}
		if err != nil && !errors.Is(err, enough) {
			t.Fatal(err)
		}
	}
	if !slices.Equal(got, want) {
		t.Fatalf("in steps: read %d records, want %d", len(got), len(want))
	}
	if at != j.End() {
		t.Errorf("position at the end %v, want %v", at, j.End())
	}
	removed, err := j.Remove(at)
	if err != nil || removed == 0 {
		t.Errorf("removed %d segments, %v", removed, err)
	}
	if at2, err := j.Read(at, func([]byte, journal.Position) error { return errors.New("a record again") }); err != nil || at2 != at {
		t.Errorf("after removal: %v, %v", at2, err)
	}
}

func TestOnlyOneWriter(t *testing.T) {
	dir := t.TempDir()
	open(t, dir, journal.Options{})
	_, err := journal.Open(dir)
	if !errors.Is(err, journal.ErrInUse) || strings.Contains(err.Error(), "\n") {
		t.Fatalf("second writer: %v, want ErrInUse", err)
	}
}

func TestReopenGoesOn(t *testing.T) {
	dir := t.TempDir()
	for i := range 3 {
		j, err := journal.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		if err := j.Append([]byte{byte('a' + i)}); err != nil {
			t.Fatal(err)
		}
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
		if err := j.Append([]byte("late")); err == nil {
			t.Error("a closed journal takes records")
		}
	}
	if got := all(t, dir); !slices.Equal(got, []string{"a", "b", "c"}) {
		t.Errorf("read %q", got)
	}
	if files, _ := filepath.Glob(filepath.Join(dir, "*.hits")); len(files) != 1 {
		t.Errorf("segments %v, want one", files)
	}
}

func TestTornTailIsIgnoredAndKept(t *testing.T) {
	for cut := 1; cut < 20; cut++ {
		dir := t.TempDir()
		j, err := journal.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, rec := range []string{"first", "second"} {
			if err := j.Append([]byte(rec)); err != nil {
				t.Fatal(err)
			}
		}
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
		path := lastSegment(t, dir)
		st, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		want := []string{"first", "second"}
		if cut <= len("second")+12 {
			want = want[:1]
		} else {
			want = nil
		}
		if err := os.Truncate(path, st.Size()-int64(cut)); err != nil {
			t.Fatal(err)
		}
		if got := all(t, dir); !slices.Equal(got, want) {
			t.Fatalf("cut by %d: read %q, want %q", cut, got, want)
		}
		j = open(t, dir, journal.Options{})
		if err := j.Append([]byte("third")); err != nil {
			t.Fatal(err)
		}
		if got := all(t, dir); !slices.Equal(got, append(want, "third")) {
			t.Fatalf("cut by %d, reopened: read %q", cut, got)
		}
	}
}

func TestDamageInTheMiddleIsSteppedOver(t *testing.T) {
	dir := t.TempDir()
	j := open(t, dir, journal.Options{SegmentBytes: 200})
	for i := range 30 {
		if err := j.Append(fmt.Appendf(nil, "record %02d", i)); err != nil {
			t.Fatal(err)
		}
	}
	first := filepath.Join(dir, "0000000000000001.hits")
	data, err := os.ReadFile(first)
	if err != nil {
		t.Fatal(err)
	}
	data[bytes.Index(data, []byte("record 03"))] ^= 1
	if err := os.WriteFile(first, data, 0o600); err != nil {
		t.Fatal(err)
	}
	got := all(t, dir)
	if len(got) != 29 || slices.Contains(got, "record 03") || got[3] != "record 04" {
		t.Fatalf("read %d records: %q", len(got), got)
	}
	if n, err := journal.Skipped(dir); err != nil || n != 21 {
		t.Errorf("skipped %d bytes, %v; want 21", n, err)
	}
}

func TestPositionOfAnotherJournalIsLoud(t *testing.T) {
	dir := t.TempDir()
	j := open(t, dir, journal.Options{})
	for _, at := range []journal.Position{{Segment: 7, Offset: 16}, {Segment: 1, Offset: 4096}} {
		if _, err := j.Read(at, nil); !errors.Is(err, journal.ErrBehind) {
			t.Errorf("read from %v: %v, want ErrBehind", at, err)
		}
	}
	if at, err := j.Read(journal.Position{}, nil); err != nil {
		t.Errorf("read an empty journal: %v, %v", at, err)
	}
}

func TestRefusesSizes(t *testing.T) {
	j := open(t, t.TempDir(), journal.Options{SegmentBytes: 64})
	for _, n := range []int{0, journal.MaxRecord + 1} {
		if err := j.Append(make([]byte, n)); err == nil {
			t.Errorf("took a record of %d bytes", n)
		}
	}
	if err := j.Append(make([]byte, journal.MaxRecord)); err != nil {
		t.Error(err)
	}
}

func TestNewerVersionIsRefused(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "0000000000000001.hits"), []byte("brdjrnl\x02\x01\x00\x00\x00\x00\x00\x00\x00"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := journal.Open(dir); err == nil || !strings.Contains(err.Error(), "newer version") {
		t.Fatalf("opened a newer journal: %v", err)
	}
}

func TestConcurrentAppendsAreAllThere(t *testing.T) {
	dir := t.TempDir()
	j := open(t, dir, journal.Options{SegmentBytes: 4096, SyncEach: true, SyncEvery: time.Millisecond})
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := range 50 {
				if err := j.Append(fmt.Appendf(nil, "%d-%d", w, i)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	got := all(t, dir)
	slices.Sort(got)
	if len(slices.Compact(got)) != 400 {
		t.Fatalf("%d different records, want 400", len(got))
	}
}

// TestFullDiskIsLoudAndHeals uses a file size limit in place of a full disk: the
// system cuts the write short and then refuses it.
func TestFullDiskIsLoudAndHeals(t *testing.T) {
	if os.Getenv("JOURNAL_TEST_LIMIT") == "" {
		cmd := exec.Command(os.Args[0], "-test.run=^TestFullDiskIsLoudAndHeals$", "-test.v")
		cmd.Env = append(os.Environ(), "JOURNAL_TEST_LIMIT=1")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	dir := t.TempDir()
	j := open(t, dir, journal.Options{})
	if err := j.Append([]byte("before")); err != nil {
		t.Fatal(err)
	}
	var old syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
		t.Fatal(err)
	}
	// The journal ends at 34; 50 bytes leave room for a part of a record.
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: 50, Max: old.Max}); err != nil {
		t.Fatalf("a lower limit is everybody's to set: %v", err)
	}
	err := j.Append([]byte("does not fit"))
	if err == nil || j.Err() == nil {
		t.Errorf("a full disk: append %v, health %v", err, j.Err())
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
		t.Fatal(err)
	}
	if err := j.Append([]byte("after")); err != nil {
		t.Fatalf("the disk has room again: %v", err)
	}
	if err := j.Err(); err != nil {
		t.Errorf("healed, but health says %v", err)
	}
	if got := all(t, dir); !slices.Equal(got, []string{"before", "after"}) {
		t.Errorf("read %q", got)
	}
}

// Who reads the journal is behind: what does not fit is refused, loudly, until
// segments are removed. A restart remembers how much waits.
func TestQuota(t *testing.T) {
	dir := t.TempDir()
	o := journal.Options{Quota: 16 << 10}
	j, err := journal.OpenWith(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	rec := bytes.Repeat([]byte("x"), 500)
	stored := 0
	for err = j.Append(rec); err == nil; err = j.Append(rec) {
		stored++
	}
	if !errors.Is(err, journal.ErrFull) || !errors.Is(j.Err(), journal.ErrFull) {
		t.Fatalf("after %d records: %v, health %v", stored, err, j.Err())
	}
	if held, quota := j.Held(); held > quota || held < quota-1024 || stored < 25 {
		t.Errorf("%d records, %d of %d bytes", stored, held, quota)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	j = open(t, dir, o)
	if err := j.Append(rec); !errors.Is(err, journal.ErrFull) {
		t.Errorf("a restart made room: %v", err)
	}
	if got := len(all(t, dir)); got != stored {
		t.Errorf("%d records are there, %d were accepted", got, stored)
	}
	if n, err := j.Remove(j.End()); err != nil || n == 0 {
		t.Fatalf("removed %d: %v", n, err)
	}
	if err := j.Append(rec); err != nil || j.Err() != nil {
		t.Errorf("after room was made: %v, health %v", err, j.Err())
	}
}

// A batch is there as a whole and in order, or not at all.
func TestBatch(t *testing.T) {
	dir := t.TempDir()
	j := open(t, dir, journal.Options{SegmentBytes: 2000})
	var b journal.Batch
	var want []string
	for i := range 50 {
		b.Reset()
		for k := range i % 7 {
			rec := fmt.Sprintf("record %d of batch %d", k, i)
			if err := b.Add([]byte(rec)); err != nil {
				t.Fatal(err)
			}
			want = append(want, rec)
		}
		if err := j.AppendBatch(&b); err != nil {
			t.Fatal(err)
		}
	}
	if got := all(t, dir); !slices.Equal(got, want) {
		t.Errorf("%d records, want %d", len(got), len(want))
	}
	if err := b.Add(nil); err == nil {
		t.Error("an empty record was taken")
	}
}

// TestKill: everything that Append accepted is there after kill -9, whenever it comes.
func TestKill(t *testing.T) {
	dir := t.TempDir()
	next := 0 // of the records expected from this run's child
	var want []string
	for round := range 4 {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), "JOURNAL_TEST_WRITER="+dir)
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		next = 0
		for lines.Scan() {
			n, err := strconv.Atoi(lines.Text())
			if err != nil {
				break // the last line may be cut off
			}
			next = n + 1
			if n == 300+97*round {
				if err := cmd.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
		}
		_ = cmd.Wait() // it was killed
		if next <= 300 {
			t.Fatalf("the writer stopped after %d records", next)
		}
		for i := range next {
			want = append(want, fmt.Sprintf("record %d %s", i, strings.Repeat("x", i%300)))
		}
		got := all(t, dir)
		// Written but not yet reported when the kill came: at most one.
		if len(got) > len(want) {
			want = append(want, fmt.Sprintf("record %d %s", next, strings.Repeat("x", next%300)))
		}
		if !slices.Equal(got, want) {
			t.Fatalf("round %d: read %d records, want %d", round, len(got), len(want))
		}
	}
	t.Logf("%d records over 4 kills, none lost", len(want))
}

func FuzzRead(f *testing.F) {
	f.Add([]byte("brdjrnl\x01\x01\x00\x00\x00\x00\x00\x00\x00HIT1\x01\x00\x00\x00\x00\x00\x00\x00x"))
	f.Add([]byte{})
	dir := f.TempDir()
	j, err := journal.Open(filepath.Join(dir, "seed"))
	if err != nil {
		f.Fatal(err)
	}
	for range 3 {
		if err := j.Append([]byte("a whole record")); err != nil {
			f.Fatal(err)
		}
	}
	if err := j.Close(); err != nil {
		f.Fatal(err)
	}
	seed, err := os.ReadFile(filepath.Join(dir, "seed", "0000000000000001.hits"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seed)
	f.Fuzz(func(t *testing.T, data []byte) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "0000000000000001.hits"), data, 0o600); err != nil {
			t.Fatal(err)
		}
		var before [][]byte
		_, err := journal.Read(dir, journal.Position{}, func(rec []byte, next journal.Position) error {
			if len(rec) == 0 || next.Offset > int64(len(data)) {
				t.Fatalf("record of %d bytes ends at %v of %d", len(rec), next, len(data))
			}
			before = append(before, bytes.Clone(rec))
			return nil
		})
		if err != nil {
			return
		}
		// Whatever was there, appending keeps all of it and adds to the end.
		j, err := journal.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		if err := j.Append([]byte("new")); err != nil {
			t.Fatal(err)
		}
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
		var after [][]byte
		if _, err := journal.Read(dir, journal.Position{}, func(rec []byte, _ journal.Position) error {
			after = append(after, bytes.Clone(rec))
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		if len(after) < len(before)+1 || string(after[len(after)-1]) != "new" {
			t.Fatalf("%d records before, %d after", len(before), len(after))
		}
	})
}

func BenchmarkAppend(b *testing.B) {
	j, err := journal.Open(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	rec := make([]byte, 400)
	b.SetBytes(int64(len(rec)))
	b.ReportAllocs()
	for b.Loop() {
		if err := j.Append(rec); err != nil {
			b.Fatal(err)
		}
	}
	if err := j.Close(); err != nil {
		b.Fatal(err)
	}
}
