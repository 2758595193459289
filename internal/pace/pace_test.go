package pace_test

import (
	"errors"
	"testing"

	"birdring/internal/demo/paint"
	"birdring/internal/pace"
	"birdring/internal/testkit"
)

// Every ratio is measured, and a rendition allocates nothing.
func TestMeasure(t *testing.T) {
	testkit.Tool(t, "cc")
	turbo, err := pace.NewTurbo(t.Context())
	if errors.Is(err, pace.ErrNoTurbo) {
		testkit.Lack(t, err.Error())
	}
	if err != nil {
		t.Fatal(err)
	}
	defer turbo.Close()
	row, err := pace.Measure(t.Context(), "painted", paint.Scene(4, 480, 400), turbo)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%+v", row)
	if row.Allocations != 0 {
		t.Errorf("%v allocations a rendition", row.Allocations)
	}
	for name, v := range map[string]float64{"hot": row.Hot, "cold": row.Cold, "ring": row.Ring, "turbo": row.Turbo, "turbo cold": row.TurboCold, "prepare": row.Prepare} {
		if !(v > 0) {
			t.Errorf("%s is %v", name, v)
		}
	}
	if row.Ring >= row.Hot || row.Memory < 2 || row.Memory > 8 {
		t.Errorf("ring %v of %v, memory %v", row.Ring, row.Hot, row.Memory)
	}
}
