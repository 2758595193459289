package ledger_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"birdring/registry/ledger"
)

func entry(i int) []byte { return fmt.Appendf(nil, "entry %d of a ledger", i) }

// storedTree is the same tree by package tlog, hash for hash.
func storedTree(t *testing.T, n int) (hashes []tlog.Hash, read tlog.HashReaderFunc) {
	t.Helper()
	read = func(indexes []int64) ([]tlog.Hash, error) {
		out := make([]tlog.Hash, len(indexes))
		for i, x := range indexes {
			out[i] = hashes[x]
		}
		return out, nil
	}
	for i := range n {
		more, err := tlog.StoredHashes(int64(i), entry(i), read)
		if err != nil {
			t.Fatal(err)
		}
		hashes = append(hashes, more...)
	}
	return hashes, read
}

// The tree, grown in steps of any length and read back in between, is that of RFC
// 6962 as package tlog computes it, and every tile is the one its layout names.
func TestTreeIsThatOfTlog(t *testing.T) {
	const n = 66_000 // three levels of tiles
	_, read := storedTree(t, n)
	f := ledger.Folder(t.TempDir())
	rng := rand.New(rand.NewPCG(1, 2))
	tree := &ledger.Tree{}
	for size, old := 0, 0; size < n; {
		step := min(n-size, 1+rng.IntN([]int{3, 700, 20_000}[rng.IntN(3)]))
		for range step {
			tree.Add(entry(size))
			size++
		}
		if err := f.Write(tree); err != nil {
			t.Fatal(err)
		}
		if err := f.Prune(int64(old), int64(size)); err != nil {
			t.Fatal(err)
		}
		old = size
		want, err := tlog.TreeHash(int64(size), read)
		if err != nil {
			t.Fatal(err)
		}
		if got := tree.Root(); got != want {
			t.Fatalf("size %d: root %s, want %s", size, got, want)
		}
		if tree, err = f.Tree(int64(size)); err != nil {
			t.Fatal(err)
		}
		if tree.Root() != want {
			t.Fatalf("size %d: the root read back is another", size)
		}
	}
	seen := 0
	for _, q := range tlog.NewTiles(8, 0, n) {
		data, err := tlog.ReadTileData(q, read)
		if err != nil {
			t.Fatal(err)
		}
		path := strings.Replace(q.Path(), "tile/8/", "tile/", 1)
		got, err := os.ReadFile(filepath.Join(string(f), path))
		if err != nil || !bytes.Equal(got, data) {
			t.Errorf("%s is not the tile of its name: %v", path, err)
		}
		seen++
	}
	files := 0
	err := filepath.WalkDir(string(f), func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() && !strings.Contains(path, "entries") {
			files++
		}
		return err
	})
	if err != nil || files != seen {
		t.Errorf("%d tiles on disk, want %d: %v", files, seen, err)
	}
	at := 0
	whole, err := f.Check(n, func(before *ledger.Tree, e []byte) error {
		if before.Size() != int64(at) || !bytes.Equal(e, entry(at)) {
			return fmt.Errorf("entry %d comes back as %q", before.Size(), e)
		}
		at++
		return nil
	})
	if err != nil || at != n || whole.Root() != tree.Root() {
		t.Errorf("check of %d entries: %v", at, err)
	}
}

// A changed byte anywhere is found, in an entry as in a tile of hashes.
func TestCheckFindsAChangedByte(t *testing.T) {
	f := ledger.Folder(t.TempDir())
	tree := &ledger.Tree{}
	for i := range 700 {
		tree.Add(entry(i))
	}
	if err := f.Write(tree); err != nil {
		t.Fatal(err)
	}
	var files []string
	err := filepath.WalkDir(string(f), func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			files = append(files, path)
		}
		return err
	})
	if err != nil || len(files) != 7 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, path := range files {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		data[len(data)-1] ^= 1
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		whole, err := f.Check(700, func(*ledger.Tree, []byte) error { return nil })
		if err == nil && whole.Root() == tree.Root() {
			t.Errorf("%s was changed unseen", path)
		}
		data[len(data)-1] ^= 1
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if whole, err := f.Check(700, func(*ledger.Tree, []byte) error { return nil }); err != nil || whole.Root() != tree.Root() {
		t.Errorf("as it was: %v", err)
	}
}

func signer(t testing.TB, seed byte) *ledger.Signer {
	t.Helper()
	s, err := ledger.NewSigner(bytes.Repeat([]byte{seed}, 32), bytes.Repeat([]byte{seed + 1}, 32))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// A head opens with its own keys alone, with the time it was signed at, and with
// the public key by package note.
func TestHeadIsSigned(t *testing.T) {
	s := signer(t, 1)
	h := ledger.Head{Size: 12, Root: ledger.Hash(sha256.Sum256([]byte("x"))), At: time.Unix(1_790_000_000, 0).UTC()}
	data, err := s.Sign(h)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := s.Open(data); err != nil || got != h {
		t.Errorf("opened %+v, %v; want %+v", got, err, h)
	}
	if _, err := signer(t, 9).Open(data); !errors.Is(err, ledger.ErrHead) {
		t.Errorf("a foreign head opens: %v", err)
	}
	v, err := note.NewVerifier(s.Key())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := note.Open(data, note.VerifierList(v)); err != nil {
		t.Errorf("package note: %v", err)
	}
	lines := strings.Split(string(data), "\n")
	for i, line := range lines[:3] {
		lines[i] = line + "1"
		if _, err := s.Open([]byte(strings.Join(lines, "\n"))); !errors.Is(err, ledger.ErrHead) {
			t.Errorf("line %d changed: %v", i, err)
		}
		lines[i] = line
	}
	// The time is signed as well: a later one does not open.
	last := strings.Fields(lines[5])
	sig, err := base64.StdEncoding.DecodeString(last[2])
	if err != nil {
		t.Fatal(err)
	}
	sig[11]++
	lines[5] = strings.Join([]string{last[0], last[1], base64.StdEncoding.EncodeToString(sig)}, " ")
	if _, err := s.Open([]byte(strings.Join(lines, "\n"))); !errors.Is(err, ledger.ErrHead) {
		t.Errorf("another time opens: %v", err)
	}
}

func FuzzHead(f *testing.F) {
	s := signer(f, 1)
	data, err := s.Sign(ledger.Head{Size: 3, At: time.Unix(1_790_000_000, 0)})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte("birdring/ledger/0\n1\nAAAA\n\n— x y\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		h, err := s.Open(data)
		if err != nil {
			if !errors.Is(err, ledger.ErrHead) {
				t.Errorf("%v is no ErrHead", err)
			}
			return
		}
		if h.Size != 3 {
			t.Errorf("a head that was never signed opens: %+v", h)
		}
	})
}

func samples() []*ledger.Entry {
	var out []*ledger.Entry
	for c := ledger.Commitment; c <= ledger.Audit; c++ {
		nums, texts := c.Fields()
		e := &ledger.Entry{Class: c, Backfilled: c%2 == 0, Recorded: 1_790_000_000_000_000, Nums: []int64{}, Strings: []string{}}
		for i := range nums {
			e.Nums = append(e.Nums, int64(i*i*1000)-1)
		}
		for i := range texts {
			e.Strings = append(e.Strings, strings.Repeat("x", 40*i))
		}
		out = append(out, e)
	}
	return out
}

// The format of entries is frozen: what stands in a signed ledger is read for ever.
func TestEntryComesBackAndIsFrozen(t *testing.T) {
	h := sha256.New()
	for _, e := range samples() {
		data := e.Append(nil)
		h.Write(data)
		err := ledger.Cut(data, func(data []byte) error {
			got, err := ledger.Parse(data)
			if err == nil && !reflect.DeepEqual(got, e) {
				err = fmt.Errorf("%+v comes back as %+v", e, got)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
	if got := fmt.Sprintf("%x", h.Sum(nil)[:8]); got != "a14aad185fc487db" {
		t.Errorf("entries are spelt differently: %s", got)
	}
}

func FuzzEntry(f *testing.F) {
	for _, e := range samples() {
		f.Add(e.Append(nil)[2:])
	}
	f.Add([]byte{1, 3, 0, 0x80, 0x00})
	f.Fuzz(func(t *testing.T, data []byte) {
		e, err := ledger.Parse(data)
		if err != nil {
			if !errors.Is(err, ledger.ErrEntry) {
				t.Errorf("%v is no ErrEntry", err)
			}
			return
		}
		if back := e.Append(nil); !bytes.Equal(back[2:], data) {
			t.Errorf("%x is another spelling of %x", data, back[2:])
		}
	})
}

func BenchmarkAppend(b *testing.B) {
	f := ledger.Folder(b.TempDir())
	tree := &ledger.Tree{}
	e := ledger.Entry{Class: ledger.Exposure, Recorded: 1_790_000_000_000_000, Nums: []int64{12, 1_000_000, 1_790_000_000_000_000, 0, 0}, Strings: []string{"profile", ""}}
	var buf []byte
	for b.Loop() {
		buf = e.Append(buf[:0])
		tree.Add(buf[2:])
		if tree.Pending() > 1<<20 {
			if err := f.Flush(tree); err != nil {
				b.Fatal(err)
			}
		}
	}
}
