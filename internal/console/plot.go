package console

import (
	"fmt"
	"html/template"
	"math"
	"strings"
	"time"
)

// Point is the evidence against one account after one find, in 1/1000 bit.
type Point struct {
	At        time.Time
	Millibits int64
}

// plot draws evidence over time for one account: steps from the line of 64 bits
// upwards. finds are the times of all finds on the site, ticks on the axis;
// what stood below the line is not drawn, because it is not told to anybody.
func plot(points []Point, finds []time.Time, until time.Time) template.HTML {
	const w, h, left, right, top, bottom = 620.0, 190.0, 40.0, 10.0, 10.0, 30.0
	if len(points) == 0 {
		return ""
	}
	from, to := span(points, finds, until)
	highest := 64000.0
	for _, p := range points {
		highest = max(highest, float64(p.Millibits))
	}
	step := niceStep(highest / 1000)
	highest = math.Ceil(highest/1000/step) * step
	x := func(t time.Time) float64 {
		return left + (w-left-right)*float64(t.Sub(from))/float64(to.Sub(from))
	}
	y := func(bits float64) float64 { return h - bottom - (h-top-bottom)*min(1, bits/highest) }

	var b strings.Builder
	fmt.Fprintf(&b, `<svg class="plot" viewBox="0 0 %.0f %.0f" role="img" aria-label="evidence over time">`, w, h)
	for v := 0.0; v <= highest; v += step {
		fmt.Fprintf(&b, `<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" stroke="#ece9e2"/><text x="%.1f" y="%.1f" text-anchor="end">%.0f</text>`, left, y(v), w-right, y(v), left-7, y(v)+4, v)
	}
	fmt.Fprintf(&b, `<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" stroke="#a4262c" stroke-dasharray="4 3"/><text x="%.1f" y="%.1f" text-anchor="end">64 bits: named from here</text>`, left, y(64), w-right, y(64), w-right, y(64)-5)
	for _, t := range finds {
		fmt.Fprintf(&b, `<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" stroke="#9aa0a6"/>`, x(t), h-bottom, x(t), h-bottom+5)
	}
	path := fmt.Sprintf("M%.1f %.1f", x(points[0].At), y(64))
	for _, p := range points {
		path += fmt.Sprintf("H%.1fV%.1f", x(p.At), y(float64(p.Millibits)/1000))
	}
	fmt.Fprintf(&b, `<path d="%sH%.1f" fill="none" stroke="#b3590b" stroke-width="2" stroke-linejoin="round"/>`, path, x(to))
	for _, p := range points {
		fmt.Fprintf(&b, `<circle cx="%.1f" cy="%.1f" r="3" fill="#b3590b"/>`, x(p.At), y(float64(p.Millibits)/1000))
	}
	fmt.Fprintf(&b, `<text x="%.1f" y="%.1f">%s</text><text x="%.1f" y="%.1f" text-anchor="end">%s</text>`,
		left, h-bottom+20, axisTime(from, to.Sub(from)), w-right, h-bottom+20, axisTime(to, to.Sub(from)))
	b.WriteString("</svg>")
	return template.HTML(b.String()) // numbers and times only
}

// span is the time the plot covers: all finds, with some air.
func span(points []Point, finds []time.Time, until time.Time) (from, to time.Time) {
	from, to = points[0].At, points[0].At
	for _, p := range points {
		if p.At.Before(from) {
			from = p.At
		}
		if p.At.After(to) {
			to = p.At
		}
	}
	for _, t := range finds {
		if t.Before(from) {
			from = t
		}
		if t.After(to) {
			to = t
		}
	}
	air := max(to.Sub(from)/12, time.Second)
	from, to = from.Add(-air), to.Add(air)
	if to.After(until) && until.After(points[len(points)-1].At) {
		to = until
	}
	return from, to
}

// niceStep is a round distance between grid lines, for about five of them.
func niceStep(highest float64) float64 {
	raw := highest / 5
	unit := math.Pow(10, math.Floor(math.Log10(raw)))
	for _, f := range []float64{1, 2, 5, 10} {
		if raw <= f*unit {
			return f * unit
		}
	}
	return 10 * unit
}

// axisTime writes a time as finely as the axis needs.
func axisTime(t time.Time, d time.Duration) string {
	switch {
	case d < time.Hour:
		return t.UTC().Format("15:04:05")
	case d < 48*time.Hour:
		return t.UTC().Format("2 Jan 15:04")
	}
	return t.UTC().Format("2 Jan 2006")
}
