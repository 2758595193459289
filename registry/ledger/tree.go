package ledger

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

// Layout of C2SP tlog-tiles: a tile holds 256 hashes, a bundle 256 entries.
const (
	height = 8
	width  = 1 << height
)

// Tree is a ledger that grows at its right edge: the tiles that are not full yet,
// from the leaves up, and the full ones since the last Write.
type Tree struct {
	size    int64 // entries
	written int64 // of them on disk
	edge    [][]Hash
	bundle  []byte // entries of the last, partial bundle
	full    []file // not written yet
	flushed bool   // some were, but perhaps not to the disk
}

// file is a tile or bundle to be written.
type file struct {
	path string
	data []byte
}

// Size is the number of entries.
func (t *Tree) Size() int64 { return t.size }

// Add appends an entry.
func (t *Tree) Add(entry []byte) {
	t.bundle = append(t.bundle, byte(len(entry)>>8), byte(len(entry)))
	t.bundle = append(t.bundle, entry...)
	t.size++
	if t.size%width == 0 {
		t.full = append(t.full, file{entriesPath(t.size/width-1, width), t.bundle})
		t.bundle = nil
	}
	t.addHash(0, tlog.RecordHash(entry))
}

// addHash appends to a level of tiles. A tile that is full becomes a hash of the next.
func (t *Tree) addHash(level int, h Hash) {
	if level == len(t.edge) {
		t.edge = append(t.edge, make([]Hash, 0, width))
	}
	t.edge[level] = append(t.edge[level], h)
	if len(t.edge[level]) < width {
		return
	}
	n := t.size>>(height*(level+1)) - 1
	t.full = append(t.full, file{tilePath(level, n, width), flat(t.edge[level])})
	whole := root(t.edge[level])
	t.edge[level] = t.edge[level][:0]
	t.addHash(level+1, whole)
}

// Root is the hash of the whole tree.
func (t *Tree) Root() Hash {
	if t.size == 0 {
		h, err := tlog.TreeHash(0, nil)
		if err != nil {
			panic("ledger: internal error: " + err.Error())
		}
		return h
	}
	var below []Hash // the root of what lies below, if there is any
	for _, level := range t.edge {
		nodes := append(append(make([]Hash, 0, width+1), level...), below...)
		below = nil
		if len(nodes) > 0 {
			below = []Hash{root(nodes)}
		}
	}
	return below[0]
}

// root is the hash of a tree over nodes: split at the largest power of two below
// their number (RFC 6962).
func root(nodes []Hash) Hash {
	if len(nodes) == 1 {
		return nodes[0]
	}
	k := 1
	for 2*k < len(nodes) {
		k *= 2
	}
	return tlog.NodeHash(root(nodes[:k]), root(nodes[k:]))
}

func flat(nodes []Hash) []byte {
	out := make([]byte, 0, len(nodes)*tlog.HashSize)
	for _, h := range nodes {
		out = append(out, h[:]...)
	}
	return out
}

// tilePath and entriesPath are where tile or bundle n with w members is.
func tilePath(level int, n int64, w int) string {
	p := tlog.Tile{H: height, L: level, N: n, W: w}.Path()
	return filepath.FromSlash("tile/" + strings.TrimPrefix(p, "tile/8/"))
}

func entriesPath(n int64, w int) string {
	p := tlog.Tile{H: height, L: 0, N: n, W: w}.Path()
	return filepath.FromSlash("tile/entries/" + strings.TrimPrefix(p, "tile/8/0/"))
}

// Folder is where a ledger is kept.
type Folder string

// Tree reads the tree of a size from disk. Its right edge is held against the
// tiles' own widths, not against a head: compare Root.
func (f Folder) Tree(size int64) (*Tree, error) {
	t := &Tree{size: size, written: size}
	if w := int(size % width); w > 0 {
		data, err := f.read(entriesPath(size/width, w))
		if err != nil {
			return nil, err
		}
		t.bundle = data
	}
	for level := 0; size>>(height*level) > 0; level++ {
		nodes := make([]Hash, 0, width)
		n := size >> (height * level)
		if w := int(n % width); w > 0 {
			data, err := f.read(tilePath(level, n/width, w))
			if err != nil {
				return nil, err
			}
			if len(data) != w*tlog.HashSize {
				return nil, fmt.Errorf("tile %s has %d bytes, want %d", tilePath(level, n/width, w), len(data), w*tlog.HashSize)
			}
			for i := range w {
				nodes = append(nodes, Hash(data[i*tlog.HashSize:]))
			}
		}
		t.edge = append(t.edge, nodes)
	}
	return t, nil
}

func (f Folder) read(path string) ([]byte, error) {
	data, err := os.ReadFile(filepath.Join(string(f), path))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("ledger: %s is missing: restore the folder from a backup", path)
	}
	return data, err
}

// Write puts what was added since the last Write on disk: full tiles, then the
// partial ones of this size. The same tree written again gives the same files.
func (f Folder) Write(t *Tree) error {
	files := t.full
	if w := int(t.size % width); w > 0 {
		files = append(files, file{entriesPath(t.size/width, w), t.bundle})
	}
	for level, nodes := range t.edge {
		if n := t.size >> (height * level); len(nodes) > 0 && n != t.written>>(height*level) {
			files = append(files, file{tilePath(level, n/width, len(nodes)), flat(nodes)})
		}
	}
	if err := f.writeAll(files, t.flushed); err != nil {
		return fmt.Errorf("write ledger: %w", err)
	}
	t.full, t.written, t.flushed = nil, t.size, false
	return nil
}

// Flush writes the full tiles alone, without waiting for the disk: a long append
// keeps memory small by it. Write must follow.
func (f Folder) Flush(t *Tree) error {
	for _, q := range t.full {
		if err := f.put(q, syncEach); err != nil {
			return fmt.Errorf("write ledger: %w", err)
		}
	}
	t.full, t.flushed = nil, true
	return nil
}

// Pending is how many bytes Flush would write.
func (t *Tree) Pending() (n int) {
	for _, q := range t.full {
		n += len(q.data)
	}
	return n
}

// Prune removes the partial tiles of a former size that full or wider ones
// replace, as the layout allows.
func (f Folder) Prune(old, now int64) error {
	if old == now {
		return nil
	}
	var errs []error
	drop := func(path string) {
		path = filepath.Join(string(f), path)
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
		os.Remove(filepath.Dir(path)) // the folder of partial tiles, if it is empty now
	}
	if w := int(old % width); w > 0 {
		drop(entriesPath(old/width, w))
	}
	for level := 0; old>>(height*level) > 0; level++ {
		was, is := old>>(height*level), now>>(height*level)
		if w := int(was % width); w > 0 && was != is {
			drop(tilePath(level, was/width, w))
		}
	}
	return errors.Join(errs...)
}

// Entries reads the entries of a tree of a size in order, each without its length.
func (f Folder) Entries(size int64, visit func(position int64, entry []byte) error) error {
	for n := int64(0); n*width < size; n++ {
		w := int(min(width, size-n*width))
		data, err := f.read(entriesPath(n, w))
		if err != nil {
			return err
		}
		at, end := n*width, n*width+int64(w)
		err = Cut(data, func(entry []byte) error {
			if at == end {
				return fmt.Errorf("%w: %s holds more than %d", ErrEntry, entriesPath(n, w), w)
			}
			at++
			return visit(at-1, entry)
		})
		if err == nil && at < end {
			err = fmt.Errorf("%w: %s holds %d entries, want %d", ErrEntry, entriesPath(n, w), at-n*width, w)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Check computes the tree of a size from its entries and compares every tile on
// disk with it. visit is called before each entry is added to the tree so far. It
// returns the whole tree, which must not be written.
func (f Folder) Check(size int64, visit func(t *Tree, entry []byte) error) (*Tree, error) {
	t := &Tree{}
	compare := func(files []file) error {
		for _, q := range files {
			data, err := f.read(q.path)
			if err != nil {
				return err
			}
			if string(data) != string(q.data) {
				return fmt.Errorf("ledger: %s does not hold what its entries give: it was changed", q.path)
			}
		}
		return nil
	}
	err := f.Entries(size, func(_ int64, entry []byte) error {
		if err := visit(t, entry); err != nil {
			return err
		}
		t.Add(entry)
		if len(t.full) < 64 {
			return nil
		}
		err := compare(t.full)
		t.full = nil
		return err
	})
	if err != nil {
		return nil, err
	}
	for level, nodes := range t.edge {
		if len(nodes) > 0 {
			t.full = append(t.full, file{tilePath(level, (size>>(height*level))/width, len(nodes)), flat(nodes)})
		}
	}
	err = compare(t.full)
	t.full = nil
	return t, err
}
