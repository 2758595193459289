package assay

import (
	"context"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"math"
	"strings"
	"time"

	"birdring/registry"
)

//go:embed report.html
var reportPage string

var reportTemplate = template.Must(template.New("report").Funcs(template.FuncMap{
	"jpeg": func(data []byte) template.URL {
		return template.URL("data:image/jpeg;base64," + base64.StdEncoding.EncodeToString(data))
	},
	"bits": func(v float64) string { return fmt.Sprintf("%.0f", math.Floor(v)) },
	"one":  func(v float64) string { return fmt.Sprintf("%.1f", v) },
	"four": func(v float64) string { return fmt.Sprintf("%.4f", v) },
}).Parse(reportPage))

// Report gathers what was measured for a page that needs nothing but itself.
type Report struct {
	At      time.Time
	Left    []string // changes left out, with the reason
	Photos  []reported
	Refused []registry.Refused
}

type reported struct {
	Picture *Picture
	Quality Quality
	Advice  string
	Class   string // of the advice: good, weak or bad
	Served  []byte
	Ring    []byte
	Rows    []reportedRow
	Worst   *reportedRow
}

type reportedRow struct {
	Row
	Thumb []byte
	Bar   float64 // 0..100: bits, on a scale of logarithms
}

// Add adds a measured picture.
func (r *Report) Add(ctx context.Context, b *Bed, p *Picture, rows []Row) error {
	v, err := b.look(ctx, p)
	if err != nil {
		return err
	}
	advice := Judge(rows)
	out := reported{Picture: p, Advice: advice, Class: class(advice), Served: v.served, Ring: v.ring}
	for _, row := range rows {
		thumb, err := thumbnail(ctx, row.Data, 132)
		if err != nil {
			return err
		}
		row.Data = nil
		out.Quality = row.Quality
		out.Rows = append(out.Rows, reportedRow{row, thumb, bar(row.Bits)})
	}
	for i := range out.Rows {
		if row := &out.Rows[i]; row.Matrix == Single && (out.Worst == nil || row.Bits < out.Worst.Bits) {
			out.Worst = row
		}
	}
	r.Photos = append(r.Photos, out)
	return nil
}

// class of an advice, for its colour.
func class(advice string) string {
	switch {
	case advice == AdvicePlant:
		return "good"
	case strings.HasPrefix(advice, AdviceWeak):
		return "weak"
	}
	return "bad"
}

// bar is how long the bar of a score is, in percent: 64 bits are a third, 4096 all of it.
func bar(bits float64) float64 {
	return max(0, min(100, 100*(math.Log2(max(bits, 1))-3)/9))
}

// Count says how many photos have an advice of a class.
func (r *Report) Count(class string) int {
	n := 0
	for _, p := range r.Photos {
		if p.Class == class {
			n++
		}
	}
	return n
}

// Write writes the page.
func (r *Report) Write(w io.Writer) error { return reportTemplate.Execute(w, r) }
