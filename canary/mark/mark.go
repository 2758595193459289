// Package mark plans the mark of a picture and reads soft values back out of
// aligned pixels by re-enacting what happened to the picture.
package mark

// Affine maps reference pixel coordinates to suspect pixel coordinates:
// xs = A*x + B*y + C, ys = D*x + E*y + F. Pixel centres are at integer + 0.5.
// A mirrored suspect has a negative determinant.
type Affine struct{ A, B, C, D, E, F float64 }

// Plane is a luma plane, values 0..255, row by row.
type Plane struct {
	W, H int
	Pix  []float32 // len W*H
}

// Grid says where the segments of a picture lie: segment k is the rectangle of
// luma pixels Rect(k). Runs of Run MCUs, ending with the row.
type Grid struct {
	W, H int // picture size in pixels
	MCU  int // MCU width in luma pixels (16 for 4:2:0)
	Row  int // MCU height in luma pixels; 0: as high as wide
	Run  int // MCUs per segment (the last segment of a row may be shorter)
}

// Reference is the original as the reader sees it: the mean of the two
// variants and half their difference, both as luma planes of the picture's size.
type Reference struct {
	Mean, Half Plane // Half: variant 1 minus variant 0, divided by 2
	Grid       Grid
}

// Suspect is a decoded picture under suspicion.
type Suspect struct {
	Luma Plane
	// Quant is the luma quantiser of the suspect's own JPEG file in natural
	// order, nil when the suspect was no JPEG. Valid only on the suspect's own pixel grid.
	Quant *[64]uint16
	// Rounded says between which bounds coefficients lay before a WebP encoder
	// rounded them; nil for other files. Valid only on the suspect's own pixel grid.
	Rounded *Rounded
	// Bend says where the suspect's pixels lie off the affine map; nil when they do not.
	Bend *Field
}

// Rounded holds what is known of coefficients of 4 x 4 blocks (orthonormal DCT):
// number 4*v+u of block b at 16*b + 4*v+u, blocks row by row. What was encoded lay between the
// coefficient of Luma plus Low and that plus High; both 0 where nothing is known.
type Rounded struct {
	Across    int // blocks a row, at least as many as the luma plane touches
	Low, High []float32
}

// Soft is what was read out of a suspect, without looking at any ring.
type Soft struct {
	// Y[k] is the soft value of segment k: sign says which variant (positive =
	// variant 1), magnitude grows with certainty; 0 = nothing could be read there.
	// Homoscedastic around +-a as ring.NewReading models it; fixed point, 1024 = 1.0.
	Y []int16
	// MarkedMillibits says how much the values favour "some ring" over "no
	// ring", in 1/1000 bit, without any ring.
	MarkedMillibits int64
	// Read is the number of segments with Y != 0.
	Read int
}
