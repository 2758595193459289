// Package ledger is the registry's log of what it took in, so made that nobody
// can rewrite it unseen: a Merkle tree (RFC 6962) over entries, kept as static
// files in the layout of C2SP tlog-tiles (https://c2sp.org/tlog-tiles), under
// tree heads signed in the form of C2SP tlog-checkpoint.
//
//	tree, err := folder.Tree(size)            // as it stands on disk
//	for _, e := range entries { tree.Add(e) } // in order
//	err = folder.Write(tree)                  // tiles, on disk when it returns
//	head, err := signer.Sign(tree.Head(), now)
//
// An entry stands for one row: its key, when it was recorded, and a keyed digest
// of the rest. No account, address or text of a page is in it, only pseudonyms.
//
// The package knows no database: package registry gives every row its place in
// the transaction that stores it, and compares rows with entries.
//
// What it does not do: it cannot tell whether what was first taken in was true,
// and a holder of the registry's keys can sign another history. Against that help
// heads kept elsewhere (anybody may copy the file checkpoint) and time stamps.
package ledger

import (
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"
)

// Class says what kind of row an entry stands for.
type Class uint8

// The classes of entries. Numbers and fields are a format: they only grow.
const (
	Commitment  Class = 1 // to the keyring, before an epoch is used
	Viewer      Class = 2 // a number given to a viewer
	Exposure    Class = 3
	Sighting    Class = 4
	Attribution Class = 5 // made, grown or voided: the last entry of an account on a site counts
	Removal     Class = 6 // rows that retention or a person's wish took away
	Leak        Class = 7 // an epoch's secret is in other hands since a time
	Forgotten   Class = 8 // an account that was forgotten: its numbers stay, nobody is behind them
	Audit       Class = 9 // what somebody did that others may ask about
)

// shape names the fields of a class.
type shape struct {
	name         string
	nums, blanks []string // whole numbers, then strings of bytes
}

var shapes = map[Class]shape{
	Commitment:  {"commitment", []string{"epoch", "at"}, []string{"commitment"}},
	Viewer:      {"viewer", []string{"viewer", "given_at"}, []string{"pseudonym"}},
	Exposure:    {"exposure", []string{"decoy", "viewer", "at", "fetched", "picture"}, []string{"surface", "digest"}},
	Sighting:    {"sighting", []string{"sighting", "captured_at", "stored_at"}, []string{"digest"}},
	Attribution: {"attribution", []string{"attribution", "millibits", "first_at", "updated_at", "void"}, []string{"pseudonym", "digest"}},
	Removal:     {"removal", []string{"of", "rows", "before"}, []string{"positions"}},
	Leak:        {"leak", []string{"epoch", "since", "at"}, []string{"digest"}},
	Forgotten:   {"forgotten", []string{"viewers"}, []string{"pseudonym"}},
	Audit:       {"audit", []string{"audit", "at"}, []string{"digest"}},
}

// String is the name of the class.
func (c Class) String() string {
	if s, ok := shapes[c]; ok {
		return s.name
	}
	return fmt.Sprintf("class %d", uint8(c))
}

// Fields are the names of a class's numbers and strings.
func (c Class) Fields() (nums, strings []string) { return shapes[c].nums, shapes[c].blanks }

// Entry is one row in the ledger.
type Entry struct {
	Class      Class
	Backfilled bool  // the row was there before the ledger: Recorded is when the ledger began
	Recorded   int64 // microseconds since 1970
	Nums       []int64
	Strings    []string
}

// Bounds of an entry.
const (
	entryVersion = 1
	maxEntry     = 1<<16 - 1 // of an entry bundle's length
	backfilled   = 1
)

// ErrEntry is wrapped by errors about bytes that are no entry.
var ErrEntry = errors.New("no entry of a ledger")

// Append appends the entry to a bundle: length (u16, big-endian), then
//
//	version u8, class u8, flags u8 (1: backfilled), recorded varint,
//	the class's numbers as varints, its strings each with a uvarint length
//
// It panics for fields that do not fit the class: entries are made by us.
func (e *Entry) Append(bundle []byte) []byte {
	s := shapes[e.Class]
	if len(e.Nums) != len(s.nums) || len(e.Strings) != len(s.blanks) || s.name == "" {
		panic(fmt.Sprintf("ledger: internal error: %s with %d numbers and %d strings", e.Class, len(e.Nums), len(e.Strings)))
	}
	from := len(bundle)
	flags := byte(0)
	if e.Backfilled {
		flags = backfilled
	}
	bundle = append(bundle, 0, 0, entryVersion, byte(e.Class), flags)
	bundle = binary.AppendVarint(bundle, e.Recorded)
	for _, n := range e.Nums {
		bundle = binary.AppendVarint(bundle, n)
	}
	for _, t := range e.Strings {
		bundle = binary.AppendUvarint(bundle, uint64(len(t)))
		bundle = append(bundle, t...)
	}
	n := len(bundle) - from - 2
	if n > maxEntry {
		panic(fmt.Sprintf("ledger: internal error: %s of %d bytes", e.Class, n))
	}
	binary.BigEndian.PutUint16(bundle[from:], uint16(n))
	return bundle
}

// Parse reads an entry without its length. Every entry has one spelling.
func Parse(data []byte) (*Entry, error) {
	if len(data) < 3 || len(data) > maxEntry {
		return nil, fmt.Errorf("%w: %d bytes", ErrEntry, len(data))
	}
	e := &Entry{Class: Class(data[1]), Backfilled: data[2] == backfilled}
	s, ok := shapes[e.Class]
	if data[0] != entryVersion || !ok || data[2] > backfilled {
		return nil, fmt.Errorf("%w: version %d, class %d, flags %d", ErrEntry, data[0], data[1], data[2])
	}
	r := reader{rest: data[3:]}
	e.Recorded = r.varint()
	e.Nums = make([]int64, len(s.nums))
	for i := range e.Nums {
		e.Nums[i] = r.varint()
	}
	e.Strings = make([]string, len(s.blanks))
	for i := range e.Strings {
		e.Strings[i] = r.text()
	}
	if r.bad || len(r.rest) > 0 {
		return nil, fmt.Errorf("%w: %s is cut off, too long or not in its one spelling", ErrEntry, e.Class)
	}
	return e, nil
}

// reader takes an entry apart.
type reader struct {
	rest []byte
	bad  bool
}

func (r *reader) varint() int64 {
	v, n := binary.Varint(r.rest)
	r.skip(n, binary.AppendVarint(nil, v))
	return v
}

func (r *reader) text() string {
	v, n := binary.Uvarint(r.rest)
	r.skip(n, binary.AppendUvarint(nil, v))
	if r.bad || v > uint64(len(r.rest)) {
		r.bad = true
		return ""
	}
	t := string(r.rest[:v])
	r.rest = r.rest[v:]
	return t
}

// skip steps over a number of n bytes whose shortest spelling is want.
func (r *reader) skip(n int, want []byte) {
	if n <= 0 || len(want) != n {
		r.bad, r.rest = true, nil
		return
	}
	r.rest = r.rest[n:]
}

// Cut calls visit with every entry of a bundle, without its length.
func Cut(bundle []byte, visit func(entry []byte) error) error {
	for len(bundle) > 0 {
		if len(bundle) < 2 {
			return fmt.Errorf("%w: the bundle is cut off", ErrEntry)
		}
		n := int(binary.BigEndian.Uint16(bundle))
		if len(bundle) < 2+n {
			return fmt.Errorf("%w: the bundle is cut off", ErrEntry)
		}
		if err := visit(bundle[2 : 2+n]); err != nil {
			return err
		}
		bundle = bundle[2+n:]
	}
	return nil
}

// Hash is a node of the tree.
type Hash = tlog.Hash
