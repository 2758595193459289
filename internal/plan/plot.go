package plan

import (
	"fmt"
	"io"
	"math"
)

// Plot writes the plan as an SVG picture: pictures found until the first
// attribution over the size of the farm, in 50 and in 99 % of runs, both axes logarithmic.
func Plot(w io.Writer, rows []Row) error {
	const width, height, left, bottom = 640., 360., 60., 50.
	most, wide := 1., 1.
	for _, r := range rows {
		wide = max(wide, float64(r.Coalition))
		if r.Most != nil {
			most = max(most, float64(*r.Most))
		}
	}
	x := func(c int) float64 {
		return left + (width-left-30)*math.Log2(float64(c))/max(1, math.Log2(wide))
	}
	y := func(n int) float64 {
		return height - bottom - (height-bottom-40)*math.Log10(float64(n))/max(1, math.Log10(most))
	}
	out := &svg{w: w}
	out.print(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %g %g" font-family="sans-serif" font-size="12">`, width, height)
	out.print(`<rect width="%g" height="%g" fill="#fff"/>`, width, height)
	if len(rows) > 0 {
		out.print(`<text x="%g" y="22">Pictures found until an account is attributed at 64 bits, after %s</text>`, left, rows[0].Change)
	}
	for n := 1; float64(n) <= most*10; n *= 10 {
		if y(n) >= 30 {
			out.print(`<path d="M%g %.1fH%g" stroke="#ddd"/><text x="%g" y="%.1f" text-anchor="end">%d</text>`, left, y(n), width-30, left-6, y(n)+4, n)
		}
	}
	for _, r := range rows {
		out.print(`<text x="%.1f" y="%g" text-anchor="middle">%d</text>`, x(r.Coalition), height-bottom+18, r.Coalition)
	}
	out.print(`<text x="%g" y="%g" text-anchor="middle">accounts that feed the site</text>`, (left+width-30)/2, height-12)
	for _, line := range []struct {
		name, color string
		of          func(Row) *int
	}{{"99 % of runs", "#b3590b", func(r Row) *int { return r.Most }}, {"50 % of runs", "#3b6ea5", func(r Row) *int { return r.Half }}} {
		path, lastX, lastY := "", 0., 0.
		for _, r := range rows {
			if n := line.of(r); n != nil {
				verb := "L"
				if path == "" {
					verb = "M"
				}
				lastX, lastY = x(r.Coalition), y(*n)
				path += fmt.Sprintf("%s%.1f %.1f", verb, lastX, lastY)
				out.print(`<circle cx="%.1f" cy="%.1f" r="3" fill="%s"/>`, lastX, lastY, line.color)
			}
		}
		if path != "" {
			out.print(`<path d="%s" fill="none" stroke="%s" stroke-width="2"/>`, path, line.color)
			out.print(`<text x="%.1f" y="%.1f" text-anchor="end" fill="%s">%s</text>`, max(lastX, left+80), lastY-8, line.color, line.name)
		}
	}
	out.print(`</svg>`)
	return out.err
}

// svg keeps the first error of writing.
type svg struct {
	w   io.Writer
	err error
}

func (s *svg) print(format string, args ...any) {
	if s.err == nil {
		_, s.err = fmt.Fprintf(s.w, format+"\n", args...)
	}
}
