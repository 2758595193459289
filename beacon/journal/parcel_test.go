package journal_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"birdring/beacon/journal"
)

// Whatever sizes they are packed in, parcels hold every record once, in order,
// at its place.
func TestParcelsHoldEveryRecordOnceAtItsPlace(t *testing.T) {
	j, err := journal.OpenWith(t.TempDir(), journal.Options{SegmentBytes: 2000})
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	var want []string
	for i := range 300 {
		rec := fmt.Sprintf("record %d %s", i, bytes.Repeat([]byte("x"), i%97))
		want = append(want, rec)
		if err := j.Append([]byte(rec)); err != nil {
			t.Fatal(err)
		}
	}
	places := map[string]string{}
	for _, size := range []int{1, 300, 5000, 1 << 20} {
		var got []string
		for at := (journal.Position{}); ; {
			parcels, to, err := j.Pack(at, "edge", size, 3)
			if err != nil {
				t.Fatal(err)
			}
			if len(parcels) == 0 {
				break
			}
			for _, p := range parcels {
				data, err := p.MarshalBinary()
				if err != nil {
					t.Fatal(err)
				}
				var q journal.Parcel
				if err := q.UnmarshalBinary(data); err != nil {
					t.Fatal(err)
				}
				if q.ID() != p.ID() || q.Segment != p.Segment || q.Source != "edge" {
					t.Fatalf("parcel %s came back as %s", p.ID(), q.ID())
				}
				for _, r := range q.Records {
					got = append(got, string(r.Data))
					place := fmt.Sprintf("%d:%d", q.Segment, r.End)
					if was, ok := places[place]; ok && was != string(r.Data) {
						t.Fatalf("place %s holds two records", place)
					}
					places[place] = string(r.Data)
				}
			}
			at = to
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Fatalf("packed by %d bytes: %d records came, %d were written", size, len(got), len(want))
		}
	}
	if len(places) != len(want) {
		t.Errorf("%d records have %d places", len(want), len(places))
	}
}

func TestSourceStaysUnlessTheFolderIsCopied(t *testing.T) {
	dir := t.TempDir()
	name := func(dir string) string {
		t.Helper()
		j, err := journal.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer j.Close()
		s, err := j.Source()
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	first := name(dir)
	if again := name(dir); again != first {
		t.Errorf("the journal is called %s, then %s", first, again)
	}
	copied := t.TempDir()
	if err := os.CopyFS(filepath.Join(copied, "j"), os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	if name(filepath.Join(copied, "j")) == first {
		t.Error("a copy of the folder has the same name: its records would pass for the first one's")
	}
}

func FuzzParcel(f *testing.F) {
	p := journal.Parcel{Source: "a", Segment: 3, From: 16, Records: []journal.Record{{End: 40, Data: []byte("one")}, {End: 90, Data: []byte("two")}}}
	data, err := p.MarshalBinary()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		var p journal.Parcel
		if p.UnmarshalBinary(data) != nil {
			return
		}
		again, err := p.MarshalBinary()
		if err != nil {
			t.Fatalf("a parcel that was read cannot be packed: %v", err)
		}
		var q journal.Parcel
		if err := q.UnmarshalBinary(again); err != nil || q.ID() != p.ID() || len(q.Records) != len(p.Records) {
			t.Fatalf("parcel %s came back as %s: %v", p.ID(), q.ID(), err)
		}
	})
}

// A parcel cut or changed anywhere is refused.
func TestDamagedParcelsAreRefused(t *testing.T) {
	p := journal.Parcel{Source: "a", Segment: 3, From: 16, Records: []journal.Record{{End: 40, Data: []byte("one")}}}
	data, err := p.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	for i := range data {
		var q journal.Parcel
		if q.UnmarshalBinary(data[:i]) == nil {
			t.Errorf("the first %d bytes pass for a parcel", i)
		}
		bad := bytes.Clone(data)
		bad[i] ^= 4
		if q.UnmarshalBinary(bad) == nil {
			t.Errorf("byte %d changed, and nobody saw it", i)
		}
	}
}
