package recall

import (
	"bytes"
	"image"
	"math/rand/v2"
	"testing"

	"birdring/beacon/decode"
	"birdring/beacon/find"
	"birdring/internal/demo/paint"
	"birdring/internal/testkit"
)

// TestRun plants one painted picture among a few: all that can be read is found.
func TestRun(t *testing.T) {
	testkit.Long(t)
	o := Options{
		Photos:  []image.Image{paint.Scene(301, 800, 600)},
		Foreign: []image.Image{paint.Scene(302, 640, 480)},
		Planted: 12, Seed: 1,
	}
	r, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if r.Planted != 12 || len(r.Rows) != len(changes) || len(r.Foreign) != 1 || r.FalseMatches != 0 {
		t.Errorf("%d planted, %d rows, %d foreign, %d false matches", r.Planted, len(r.Rows), len(r.Foreign), r.FalseMatches)
	}
	if r.Readable() < 10 || r.Found() != r.Readable() {
		t.Errorf("%d readable of %d, %d found", r.Readable(), len(changes), r.Found())
	}
	for _, row := range r.Rows {
		for _, e := range row.Errors {
			if e > 0.2 {
				t.Errorf("%s: aligned %.2f px off", row.Change, e)
			}
		}
	}
}

// TestMixedPrintsAreOtherPictures: what is made out of two prints is a print, holds
// neither picture's hash, and lies in the picture.
func TestMixedPrintsAreOtherPictures(t *testing.T) {
	var stock [2][]byte
	for i := range stock {
		data, err := find.NewPrint(decode.Luma(paint.Scene(uint64(40+i), 400, 300))).MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		stock[i] = data
	}
	rng := rand.New(rand.NewPCG(1, 1))
	for range 20 {
		data := mixed(stock[0], stock[1], rng)
		p, err := find.UnmarshalPrint(data)
		if err != nil {
			t.Fatal(err)
		}
		if p.Points() < 100 || len(data) > len(stock[0]) || bytes.Equal(data[13:45], stock[0][13:45]) {
			t.Errorf("%d points in %d bytes", p.Points(), len(data))
		}
	}
}
