package tell

import (
	"bytes"
	"math"

	"birdring/canary/jpeg"
)

// features are the numbers that a detector may look at, of one file and in a
// fixed order: what its header and bytes show, coefficients one by one, beside
// each other in a block and in neighbouring blocks, against the same picture
// four pixels off the grid, and how MCUs differ from groups of blocks that lie
// across them - the place where a ring repeats itself.
func features(data []byte) ([]float64, error) {
	f, err := jpeg.Parse(data)
	if err != nil {
		return nil, err
	}
	out := fileFeatures(data, f)
	own := coefficientFeatures(f)
	other := coefficientFeatures(shifted(f, 4))
	out = append(out, own...)
	for i, v := range own {
		out = append(out, v-other[i]) // calibrated: the shifted picture stands for an untouched one
	}
	out = append(out, phaseFeatures(f)...)
	for i, v := range out {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			out[i] = 0
		}
	}
	return out, nil
}

// fileFeatures: lengths, markers and bytes.
func fileFeatures(data []byte, f *jpeg.Frame) []float64 {
	scan := bytes.Index(data, []byte{0xff, 0xda}) + 14
	body := data[scan:]
	n := float64(len(body))
	out := []float64{float64(scan), math.Log(n / float64(f.W*f.H)), float64(bytes.Count(body, []byte{0xff, 0x00})) / n, float64(len(body) % 8)}
	var hist [256]float64
	for _, b := range body {
		hist[b]++
	}
	for i := 0; i < 256; i += 8 {
		var sum float64
		for _, h := range hist[i : i+8] {
			sum += h
		}
		out = append(out, sum/n)
	}
	for _, b := range []int{0x00, 0x01, 0x7f, 0x80, 0xfe, 0xff} {
		out = append(out, hist[b]/n)
	}
	return out
}

// coefficientFeatures are histograms of luma coefficients.
func coefficientFeatures(f *jpeg.Frame) []float64 {
	var hist [16][6]float64  // by frequency: 0, +-1, +-2, +-3, odd, positive
	var last [8]float64      // where blocks end
	var within [5][5]float64 // neighbours in zigzag order, cut to -2..2
	var between [5][5]float64
	var steps [6]float64 // DC against the block before: 0, 1, 2, 3-4, 5-8, more
	var coarse, fine float64
	blocks := 0.0
	g := &f.Luma
	for y := range g.H {
		for x := range g.W {
			if !f.Real(x, y) {
				continue
			}
			b := g.At(x, y)
			blocks++
			end := 0
			for z := 1; z < 64; z++ {
				if b[z] != 0 {
					end = z
					if z < 16 {
						coarse++
					} else {
						fine++
					}
				}
			}
			last[end/8]++
			for z := 1; z <= 16; z++ {
				v := b[z]
				h := &hist[z-1]
				switch v {
				case 0, 1, -1, 2, -2, 3, -3:
					h[max(v, -v)]++
				}
				if v&1 != 0 {
					h[4]++
				}
				if v > 0 {
					h[5]++
				}
			}
			for z := 1; z < 10; z++ {
				within[cut(b[z])][cut(b[z+1])]++
			}
			if x > 0 {
				a := g.At(x-1, y)
				for z := 1; z < 6; z++ {
					between[cut(a[z])][cut(b[z])]++
				}
				d := int(b[0]) - int(a[0])
				d = max(d, -d)
				switch {
				case d <= 2:
					steps[d]++
				case d <= 4:
					steps[3]++
				case d <= 8:
					steps[4]++
				default:
					steps[5]++
				}
			}
		}
	}
	out := []float64{math.Log((coarse + 1) / blocks), math.Log((fine + 1) / blocks)}
	add := func(v []float64, by float64) {
		for _, n := range v {
			out = append(out, n/by)
		}
	}
	for z := range hist {
		add(hist[z][:], blocks)
	}
	add(last[:], blocks)
	for i := range within {
		add(within[i][:], 9*blocks)
		add(between[i][:], 5*blocks)
	}
	add(steps[:], blocks)
	return out
}

func cut(v int16) int { return int(min(max(v, -2), 2)) + 2 }

// shifted is the picture without its first rows and columns, compressed again
// with its own tables.
func shifted(f *jpeg.Frame, by int) *jpeg.Frame {
	plane := f.LumaPlane()
	out := jpeg.NewFrame(f.W-by, f.H-by, f.Dialect)
	var px [64]float32
	for y := range out.Luma.H {
		for x := range out.Luma.W {
			for i := range px {
				sx, sy := min(8*x+i%8+by, f.W-1), min(8*y+i/8+by, f.H-1)
				px[i] = float32(math.Round(float64(max(0, min(255, plane[sy*f.W+sx]))))) - 128
			}
			jpeg.FDCT(&px)
			b := out.Luma.At(x, y)
			for z := range b {
				b[z] = int16(math.Round(float64(px[jpeg.Zigzag(z)] / float32(f.Quant[0][z]))))
			}
		}
	}
	return out
}

// phaseFeatures look for what a bump over an MCU does to its four blocks: it
// lifts them together, and their first frequencies point towards its middle.
// The same is measured on groups of four that lie across MCUs, by activity.
func phaseFeatures(f *jpeg.Frame) []float64 {
	const bands = 4
	var in, off [bands][6]float64
	var counts [bands][2]float64
	g := &f.Luma
	for y := 0; y+2 < g.H; y++ {
		for x := 0; x+2 < g.W; x++ {
			if !f.Real(x+1, y+1) {
				continue
			}
			b := [4]*jpeg.Block{g.At(x, y), g.At(x+1, y), g.At(x, y+1), g.At(x+1, y+1)}
			activity := 0
			for _, c := range b {
				for z := 3; z < 64; z++ {
					if c[z] != 0 {
						activity++
					}
				}
			}
			band := 0
			for _, limit := range []int{3, 12, 40} {
				if activity > limit {
					band++
				}
			}
			sideways := float64(b[0][1]) - float64(b[1][1]) + float64(b[2][1]) - float64(b[3][1])
			upright := float64(b[0][2]) + float64(b[1][2]) - float64(b[2][2]) - float64(b[3][2])
			both := float64(b[0][4]) - float64(b[1][4]) - float64(b[2][4]) + float64(b[3][4])
			level := float64(b[0][0]) + float64(b[1][0]) + float64(b[2][0]) - 3*float64(b[3][0])
			stats := [6]float64{abs(sideways), abs(upright), abs(both), abs(level), abs(sideways + upright), sideways * upright}
			to, k := &off[band], 1
			if x%2 == 0 && y%2 == 0 {
				to, k = &in[band], 0
			}
			counts[band][k]++
			for i, s := range stats {
				to[i] += s
			}
		}
	}
	var out []float64
	for band := range bands {
		for i := range in[band] {
			a, b := in[band][i]/(counts[band][0]+1), off[band][i]/(counts[band][1]+1)
			if i == 5 {
				out = append(out, a-b)
				continue
			}
			out = append(out, math.Log((a+.05)/(b+.05)))
		}
	}
	return out
}

func abs(f float64) float64 { return math.Abs(f) }
