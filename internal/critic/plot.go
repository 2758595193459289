package critic

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// Plot writes how an attacker fares as a picture (SVG): how he scores real names and
// ours, and what share of ours he finds at what share of real names wrongly flagged.
func Plot(w io.Writer, v Verdict) error {
	const width, height, edge = 420.0, 260.0, 40.0
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %g %g" font-family="sans-serif" font-size="12">`+"\n", 2*width+3*edge, height+2.5*edge)
	fmt.Fprintf(&b, `<rect width="100%%" height="100%%" fill="#fff"/><text x="%g" y="22" font-size="14">attacker with %s: AUC %.3f ± %.3f, finds %.1f %% of ours where 1 %% of real names are flagged</text>`+"\n",
		edge, v.Attacker, float64(v.AUC), float64(v.Error), 100*float64(v.Recall))
	frame := func(x float64, label, across string) {
		fmt.Fprintf(&b, `<g transform="translate(%g,%g)"><rect width="%g" height="%g" fill="none" stroke="#999"/><text x="4" y="16">%s</text><text x="%g" y="%g" text-anchor="end">%s</text>`+"\n",
			x, edge, width, height, label, width, height+18, across)
	}
	frame(edge, `<tspan fill="#1f6f9f">real names</tspan> and <tspan fill="#c2410c">ours</tspan>`, "what the attacker thinks: ours … real")
	low := min(slices.Min(v.Result.Real), slices.Min(v.Result.Ours))
	high := max(slices.Max(v.Result.Real), slices.Max(v.Result.Ours))
	for _, side := range []struct {
		scores []float64
		colour string
	}{{v.Result.Real, "#1f6f9f"}, {v.Result.Ours, "#c2410c"}} {
		const bars = 60
		var n [bars]float64
		for _, s := range side.scores {
			i := min(bars-1, int(bars*(s-low)/max(high-low, 1e-9)))
			n[i]++
		}
		var points []string
		for i, c := range n {
			points = append(points, fmt.Sprintf("%.1f,%.1f", width*(float64(i)+0.5)/bars, height-(height-30)*c/float64(len(side.scores))/0.12))
		}
		fmt.Fprintf(&b, `<polyline fill="none" stroke="%s" stroke-width="2" points="%s"/>`+"\n", side.colour, strings.Join(points, " "))
	}
	b.WriteString("</g>\n")
	frame(2*edge+width, "share of ours found", "share of real names flagged")
	real, ours := slices.Sorted(slices.Values(v.Result.Real)), slices.Sorted(slices.Values(v.Result.Ours))
	var points []string
	for i := range 101 {
		flagged := float64(i) / 100
		line := real[min(len(real)-1, int(flagged*float64(len(real))))]
		found, _ := slices.BinarySearch(ours, line)
		points = append(points, fmt.Sprintf("%.1f,%.1f", width*flagged, height*(1-float64(found)/float64(len(ours)))))
	}
	fmt.Fprintf(&b, `<line x1="0" y1="%g" x2="%g" y2="0" stroke="#ccc"/><polyline fill="none" stroke="#333" stroke-width="2" points="%s"/></g>`+"\n</svg>\n", height, width, strings.Join(points, " "))
	_, err := io.WriteString(w, b.String())
	return err
}
