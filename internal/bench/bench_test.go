package main

import (
	"bytes"
	"math"
	"strings"
	"testing"

	"birdring/canary/ring"
	"birdring/internal/assay"
)

func TestChoose(t *testing.T) {
	if all, err := choose(""); err != nil || len(all) != len(figures) {
		t.Error(all, err)
	}
	two, err := choose("quality,foreign")
	if err != nil || len(two) != 2 || two[0].name != "quality" || two[1].name != "foreign" {
		t.Error(two, err)
	}
	if _, err := choose("quality,none"); err == nil || !strings.Contains(err.Error(), "none") {
		t.Error(err)
	}
	seen := map[string]bool{}
	for _, f := range figures {
		if seen[f.name] || f.print == nil {
			t.Errorf("%q", f.name)
		}
		seen[f.name] = true
	}
}

func TestDemand(t *testing.T) {
	b := &bench{}
	if b.demand(true) != "met" || b.demand(false) != "SHORT" || b.demand(false) != "SHORT" || b.rows != 3 || b.short != 2 {
		t.Errorf("%+v", b)
	}
}

func TestSummarise(t *testing.T) {
	row := func(bits, z float64, left, named int, wrong ...string) assay.Row {
		return assay.Row{Bits: bits, Z: z, Left: left, Demand: .5, Copies: 1, Named: named, Wrong: wrong}
	}
	s := summarise([]assay.Row{row(100, 20, 400, 1), row(50, 7, 100, 0), row(900, 30, 1600, 1), row(300, 10, 900, 1, "other")})
	if s.n != 4 || s.right != 2 || s.wrong != 1 {
		t.Errorf("%+v", s)
	}
	if s.bits.least != 50 || s.bits.most != 900 || s.bits.median != 300 || s.want.least != 5 || s.want.most != 20 || s.root.most != 40 {
		t.Errorf("%+v", s)
	}
	if n := strings.Count(s.cells(), "\t"); n != strings.Count(summary{}.cells(), "\t") {
		t.Errorf("%d columns, none has other ones", n)
	}
	if !math.IsNaN(share(1, 0)) || share(1, 4) != 25 {
		t.Error("share")
	}
}

// TestBitsOver: pictures add up member by member, and one that was not recognised says nothing.
func TestBitsOver(t *testing.T) {
	guilty, other := uint64(70_000), uint64(70_001)
	find := func(picture byte) *joinedFind {
		const m = 96
		book, err := ring.NewBook(bytes.Repeat([]byte{picture}, 32), ring.D, m)
		if err != nil {
			t.Fatal(err)
		}
		word := make([]uint64, book.Words())
		book.Codeword(word, guilty)
		y := make([]int16, m)
		for k, pos := range book.Order() {
			y[k] = 2048*int16(word[pos>>6]>>(pos&63)&1) - 1024
		}
		r, err := ring.NewReading(book, y)
		if err != nil {
			t.Fatal(err)
		}
		return &joinedFind{r, []uint64{guilty, other}, []ring.Score{r.Score(guilty), r.Score(other)}}
	}
	one := bitsOver([]*joinedFind{find(1)}, 2)
	two := bitsOver([]*joinedFind{find(1), {}, find(2)}, 2)
	if one[0] < 20 || two[0] < one[0]+20 || one[1] > 5 || two[1] > 5 {
		t.Errorf("%v, %v", one, two)
	}
	if measured([]*joinedFind{{}, nil}) || !measured([]*joinedFind{{}, {}}) {
		t.Error("a picture that time did not allow is no picture that was not recognised")
	}
}
