package paint

import "math"

// sky paints a graded sky with clouds down to the bottom of the canvas.
func sky(c *canvas, high, low, cloud rgb, cover float32) {
	clouds := c.noise(float32(c.w)/c.uniform(3, 6), 7, 0.55, 1.8)
	c.fill(func(x, y int) rgb {
		t := float32(y) / float32(c.h)
		base := high.mix(low, min(1, t*1.6))
		k := max(0, min(1, (clouds[y*c.w+x]+cover)*1.2))
		return base.mix(cloud, k*0.8)
	})
}

// hills: ridges one behind another in haze, with rock, scrub and a lake at times.
func hills(c *canvas) {
	warm := c.uniform(0, 1)
	high := rgb{0.30, 0.46, 0.72}.mix(rgb{0.35, 0.3, 0.5}, warm)
	low := rgb{0.75, 0.82, 0.88}.mix(rgb{0.95, 0.66, 0.42}, warm)
	sky(c, high, low, rgb{0.93, 0.92, 0.9}, c.uniform(-0.6, 0.5))
	layers := 3 + c.rng.IntN(3)
	for i := range layers {
		t := float32(i+1) / float32(layers)
		line := c.ridge(float32(c.h)*(0.3+0.42*t), float32(c.h)*0.12, 0.5)
		rock := c.noise(float32(c.w)/30, 8, 0.72, 1+t)
		ground := c.tint(rgb{0.26, 0.3, 0.18}, 0.08)
		c.below(line, func(x, y int, deep float32) rgb {
			n := rock[y*c.w+x]
			shade := ground.times(1 + 0.45*n + 0.2*min(1, deep/80))
			return shade.mix(low, 0.75*(1-t))
		})
	}
	if c.rng.IntN(2) == 0 {
		c.mirrorWater(float32(c.h) * c.uniform(0.72, 0.85))
	}
}

// below fills everything under the line; deep is the distance to it in pixels.
func (c *canvas) below(line []float32, colour func(x, y int, deep float32) rgb) {
	for x, top := range line {
		for y := max(0, int(top)); y < c.h; y++ {
			c.blend(x, y, colour(x, y, float32(y)-top), float32(y)+1-top)
		}
	}
}

// mirrorWater turns what lies below y0 into water that reflects what stands above.
func (c *canvas) mirrorWater(y0 float32) {
	waves := c.noise(9, 4, 0.6, 7)
	for y := int(y0); y < c.h; y++ {
		depth := float32(y) - y0
		for x := range c.w {
			n := waves[y*c.w+x]
			sy := int(y0 - depth*1.2 - n*depth*0.12)
			sx := min(c.w-1, max(0, x+int(n*depth*0.1)))
			src := c.pix[min(c.h-1, max(0, sy))*c.w+sx]
			c.pix[y*c.w+x] = src.times(0.72+0.1*n).mix(rgb{0.1, 0.2, 0.26}, 0.3)
		}
	}
}

// town: houses up a slope by day or night, windows, roofs.
func town(c *canvas) {
	night := c.rng.IntN(3) == 0
	if night {
		sky(c, rgb{0.03, 0.05, 0.12}, rgb{0.16, 0.14, 0.2}, rgb{0.2, 0.18, 0.22}, -0.2)
	} else {
		sky(c, rgb{0.35, 0.52, 0.78}, rgb{0.85, 0.86, 0.86}, rgb{0.95, 0.95, 0.94}, c.uniform(-0.5, 0.3))
	}
	wall := c.noise(24, 6, 0.75, 1)
	rows := 4 + c.rng.IntN(3)
	for i := range rows {
		t := float32(i) / float32(rows)
		y := float32(c.h) * (0.35 + 0.6*t)
		size := float32(c.w) * (0.06 + 0.1*t)
		for x := -size; x < float32(c.w)+size; x += size * c.uniform(0.55, 1.2) {
			c.house(x, y+c.uniform(-0.3, 0.3)*size, size*c.uniform(0.7, 1.2), size*c.uniform(0.8, 1.9), wall, night)
		}
	}
}

func (c *canvas) house(x, y, w, h float32, wall []float32, night bool) {
	light := float32(1)
	if night {
		light = 0.22
	}
	col := c.tint(rgb{0.76, 0.7, 0.6}, 0.16).times(light)
	c.box(x, y-h, x+w, float32(c.h), col, wall, 0.16)
	c.box(x, y-h, x+w*0.28, float32(c.h), col.times(0.72), wall, 0.16)
	roof := c.tint(rgb{0.55, 0.28, 0.2}, 0.1).times(light)
	steep := c.uniform(0.25, 0.6)
	for k := float32(0); k < w*steep; k++ {
		inset := k / steep / 2
		c.box(x-3+inset, y-h-k, x+w+3-inset, y-h-k+1, roof.times(0.85+0.3*float32(int(k)%4)/4), wall, 0.3)
	}
	step := max(9, w/float32(2+c.rng.IntN(4)))
	for wy := y - h + step*0.5; wy < y+h; wy += step * 1.3 {
		for wx := x + step*0.3; wx < x+w-step*0.5; wx += step {
			glass := c.tint(rgb{0.2, 0.24, 0.3}, 0.07).times(light)
			if night && c.rng.IntN(3) == 0 {
				glass = c.tint(rgb{0.98, 0.78, 0.4}, 0.1)
			}
			c.box(wx-1.5, wy-1.5, wx+step*0.45+1.5, wy+step*0.7+1.5, col.times(1.2), wall, 0.1)
			c.box(wx, wy, wx+step*0.45, wy+step*0.7, glass, wall, 0.25)
		}
	}
}

// meadow: grass in the wind, flowers, trees against the light.
func meadow(c *canvas) {
	sky(c, rgb{0.45, 0.62, 0.85}, rgb{0.95, 0.92, 0.8}, rgb{0.97, 0.96, 0.93}, c.uniform(-0.5, 0.2))
	horizon := float32(c.h) * c.uniform(0.35, 0.55)
	leaves := c.noise(14, 5, 0.85, 1)
	far := c.ridge(horizon, float32(c.h)*0.04, 0.6)
	c.below(far, func(x, y int, deep float32) rgb {
		n := leaves[y*c.w+x]
		near := min(1, deep/float32(c.h)*2)
		return rgb{0.42, 0.46, 0.2}.mix(rgb{0.22, 0.36, 0.12}, near).times(1 + (0.25+0.35*near)*n)
	})
	for range 4 + c.rng.IntN(6) {
		c.tree(c.uniform(0, float32(c.w)), horizon+c.uniform(0, 0.12)*float32(c.h), float32(c.h)*c.uniform(0.08, 0.3), leaves)
	}
	for range 300 + c.rng.IntN(500) {
		t := c.uniform(0, 1)
		y := horizon + (float32(c.h)-horizon)*(0.15+0.85*t*t)
		r := 1.2 + 7*t*t
		petal := []rgb{{0.9, 0.85, 0.3}, {0.85, 0.3, 0.3}, {0.93, 0.93, 0.93}, {0.6, 0.4, 0.8}}[c.rng.IntN(4)]
		c.ball(c.uniform(0, float32(c.w)), y, r, r*0.8, c.tint(petal, 0.1), leaves, 0.2)
	}
}

func (c *canvas) tree(x, y, h float32, leaves []float32) {
	c.box(x-h*0.04, y-h*0.6, x+h*0.04, y+2, rgb{0.22, 0.16, 0.1}, leaves, 0.4)
	crown := c.tint(rgb{0.2, 0.32, 0.12}, 0.07)
	for range 40 {
		a, d := c.uniform(0, 2*math.Pi), c.uniform(0, 1)
		bx := x + float32(math.Cos(float64(a)))*d*h*0.32
		by := y - h*0.75 + float32(math.Sin(float64(a)))*d*h*0.3
		r := h * c.uniform(0.05, 0.13)
		c.ball(bx, by, r, r, crown.times(c.uniform(0.7, 1.4)), leaves, 0.6)
	}
}

// table: fruit, cups and a cloth by a window, the wall out of focus.
func table(c *canvas) {
	wallCol := c.tint(rgb{0.6, 0.55, 0.5}, 0.2)
	soft := c.noise(float32(c.w)/4, 3, 0.4, 1)
	c.fill(func(x, y int) rgb {
		return wallCol.times(0.75 + 0.35*float32(x)/float32(c.w) + 0.12*soft[y*c.w+x])
	})
	weave := c.noise(5, 3, 0.9, 1.2)
	fold := c.noise(float32(c.w)/8, 3, 0.5, 3)
	edge := c.ridge(float32(c.h)*c.uniform(0.5, 0.62), 4, 0.4)
	cloth := c.tint(rgb{0.72, 0.7, 0.66}, 0.15)
	check := 18 + c.rng.IntN(30)
	c.below(edge, func(x, y int, deep float32) rgb {
		col := cloth
		if (x/check+int(deep)/check)%2 == 0 {
			col = cloth.mix(rgb{0.5, 0.2, 0.2}, 0.35)
		}
		return col.times(1 + 0.12*weave[y*c.w+x] + 0.18*fold[y*c.w+x])
	})
	skin := c.noise(12, 5, 0.7, 1)
	for range 9 + c.rng.IntN(14) {
		t := c.uniform(0, 1)
		r := float32(c.w) * c.uniform(0.025, 0.075)
		x, y := c.uniform(0.05, 0.95)*float32(c.w), float32(c.h)*(0.55+0.4*t)
		c.ball(x+r*0.5, y+r*0.55, r*1.2, r*0.4, cloth.times(0.25), skin, 0.1)
		fruit := []rgb{{0.8, 0.25, 0.15}, {0.85, 0.6, 0.2}, {0.5, 0.6, 0.2}, {0.4, 0.2, 0.35}, {0.85, 0.82, 0.78}}[c.rng.IntN(5)]
		c.ball(x, y, r, r*c.uniform(0.8, 1.05), c.tint(fruit, 0.08), skin, 0.22)
	}
}

// street: a house front of brick or plaster with shutters, signs and cobbles.
func street(c *canvas) {
	plaster := c.noise(40, 7, 0.75, 1)
	wallCol := c.tint(rgb{0.68, 0.55, 0.42}, 0.16)
	brickW, brickH := 14+c.rng.IntN(26), 7+c.rng.IntN(10)
	shade := c.ridge(float32(c.h)*0.5, float32(c.h)*0.4, 0.5)
	c.fill(func(x, y int) rgb {
		row := y / brickH
		off := x + row%2*brickW/2
		col := wallCol.times(1 + 0.25*plaster[y*c.w+x] + 0.06*float32((row*7+off/brickW*13)%5-2))
		if y%brickH == 0 || off%brickW == 0 {
			col = col.times(0.75)
		}
		if float32(y) > shade[x] {
			col = col.times(0.62)
		}
		return col
	})
	paves := c.noise(6, 4, 0.8, 2)
	n := 2 + c.rng.IntN(4)
	for i := range n {
		for j := range 1 + c.rng.IntN(3) {
			w := float32(c.w) / float32(n) * c.uniform(0.35, 0.6)
			h := w * c.uniform(1.1, 1.7)
			x := float32(c.w)/float32(n)*(float32(i)+0.2) + c.uniform(-8, 8)
			y := float32(c.h) * (0.08 + 0.36*float32(j))
			c.box(x-5, y-5, x+w+5, y+h+5, c.tint(rgb{0.8, 0.78, 0.72}, 0.1), plaster, 0.2)
			c.box(x, y, x+w, y+h, c.tint(rgb{0.16, 0.18, 0.2}, 0.06), plaster, 0.5)
			leaf := c.tint(rgb{0.25, 0.38, 0.35}, 0.15)
			for k := float32(0); k < h; k += 6 {
				c.box(x-w*0.42, y+k, x-2, y+k+4, leaf, paves, 0.2)
				c.box(x+w+2, y+k, x+w*1.42, y+k+4, leaf, paves, 0.2)
			}
		}
	}
	kerb := c.ridge(float32(c.h)*0.9, 6, 0.4)
	c.below(kerb, func(x, y int, _ float32) rgb { return rgb{0.4, 0.39, 0.37}.times(1 + 0.35*paves[y*c.w+x]) })
}
