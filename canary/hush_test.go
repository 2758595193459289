package canary

import (
	"math"
	"testing"

	"birdring/canary/jpeg"
	"birdring/canary/mark"
	"birdring/internal/demo/paint"
)

// Where the photo has much of the frequencies that bumps are made of they stay,
// where it has some they shrink, where it has none in one direction they go; and a
// segment's blocks are lowered alike.
func TestHushFollowsThePhoto(t *testing.T) {
	g := mark.Grid{W: 64, H: 16, MCU: 16, Run: 1}
	unit, base := make([][64]float32, 16), make([][64]float32, 16)
	photo := [4][2]float32{{100, 100}, {2, 3}, {50, 0}, {0, 0}} // by segment: horizontal, vertical
	for i := range unit {
		unit[i][0], unit[i][1], unit[i][2] = 2, 1, -1
		base[i][1], base[i][2] = photo[i%8/2][0], -photo[i%8/2][1]
	}
	hush(unit, base, 8, g)
	half := float32(1 / math.Sqrt(1+hushed/4.0))
	for i := range unit {
		got, want := unit[i], [4]float32{1, half, 0, 0}[i%8/2]
		if math.Abs(float64(got[1]-want)) > 0.01 || got[0] != 2*got[1] || got[2] != -got[1] {
			t.Errorf("block %d of segment %d: %v, want %.2f times as much", i, i%8/2, got[:3], want)
		}
	}
	// A bump twice as long has a quarter of the energy across: it needs less there.
	for i := range unit {
		unit[i][1], unit[i][2] = 0.5, 1
	}
	hush(unit, base, 8, g)
	if unit[2][2] <= half {
		t.Errorf("a long bump is lowered to %.3f, a short one to %.3f", unit[2][2], half)
	}
}

// A quarter of the rows foretells what equalising and rounding cost the whole, to
// what the search may be off by, so that most pictures are written once.
func TestRowsForetellTheWhole(t *testing.T) {
	for _, scene := range []uint64{1, 2} {
		s := newSource(paint.Scene(scene, 640, 480), jpeg.Default(quality))
		plan, err := mark.NewPlan(mark.Plane{W: s.frame.W, H: s.frame.H, Pix: s.luma}, gridFor(s.frame, 1<<20), make([]byte, 16))
		if err != nil {
			t.Fatal(err)
		}
		whole := newTuner(s, plan)
		gain := whole.gainFor(targetPSNR + whole.lost())
		if got := whole.psnr(whole.worst(whole.write(gain))); math.Abs(got-targetPSNR) > slackPSNR {
			t.Errorf("scene %d: %.2f dB, %.2f were aimed at", scene, got, targetPSNR)
		}
	}
}
