package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"strings"
	"text/tabwriter"
	"time"
	"unicode/utf8"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
)

// emit writes one result: v as a JSON line, or what text prints.
func (a *app) emit(v any, text func(w io.Writer)) {
	var buf bytes.Buffer
	if a.json {
		enc := json.NewEncoder(&buf)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(v); err != nil {
			a.keep(err)
			return
		}
	} else {
		text(&buf)
	}
	_, err := a.out.Write(buf.Bytes())
	a.keep(err)
}

func (a *app) keep(err error) {
	if err != nil && a.writeErr == nil {
		a.writeErr = fmt.Errorf("write result: %w", err)
	}
}

// note tells the person at the terminal something that is no result.
func (a *app) note(format string, args ...any) { fmt.Fprintf(a.err, format+"\n", args...) }

// problem reports a failure of one item; the command goes on and exits 1.
func (a *app) problem(format string, args ...any) {
	a.failed = true
	a.note("birdring: %s", oneLine(fmt.Sprintf(format, args...)))
}

// table prints rows aligned under a header.
func table(w io.Writer, header string, rows func(row func(cells ...any))) {
	tw := tabwriter.NewWriter(w, 2, 4, 2, ' ', 0)
	if header != "" {
		fmt.Fprintln(tw, strings.ReplaceAll(header, " ", "\t"))
	}
	rows(func(cells ...any) {
		for i, c := range cells {
			if i > 0 {
				fmt.Fprint(tw, "\t")
			}
			text := printable(fmt.Sprint(c))
			if i < len(cells)-1 {
				text = clip(text) // nothing stands right of the last column
			}
			fmt.Fprint(tw, text)
		}
		fmt.Fprintln(tw)
	})
	tw.Flush()
}

// clip makes text short enough for a column.
func clip(s string) string {
	const most = 72
	if utf8.RuneCountInString(s) > most {
		s = string([]rune(s)[:most-1]) + "…"
	}
	return s
}

// printable makes text from outside harmless for a terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || (r >= 0x80 && r < 0xa0) || r == 0x2028 || r == 0x2029 || (r >= 0x202a && r <= 0x202e) || (r >= 0x2066 && r <= 0x2069) {
			return '?'
		}
		return r
	}, s)
}

// stamp is a time as every output of ours writes it.
func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// bits prints evidence, rounded down like all bits that are told.
func bits(b float64) string { return fmt.Sprintf("%.1f bits", math.Floor(b*10)/10) }

// floor3 is evidence as it is told in JSON: rounded down to 0.001.
func floor3(b float64) float64 { return math.Floor(b*1000) / 1000 }

// orNull is s, or nil when it is empty: absent means null in JSON.
func orNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// orEmpty is s, or an empty list instead of nil: lists are never null in JSON.
func orEmpty[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}

// progress shows how far a long piece of work is: a bar when stderr is a
// terminal, else a line for every tenth. done ends it.
func (a *app) progress(what string) (step func(done, total int, name string), done func()) {
	f, ok := a.err.(*os.File)
	if !ok || !terminal(f) {
		return a.plainProgress(what), func() {}
	}
	p := mpb.New(mpb.WithOutput(f), mpb.WithWidth(40))
	bar := p.AddBar(0, mpb.PrependDecorators(decor.Name(what+" ")), mpb.AppendDecorators(decor.CountersNoUnit("%d / %d"), decor.Name(" "), decor.OnComplete(decor.AverageETA(decor.ET_STYLE_GO), "")))
	return func(done, total int, _ string) {
			bar.SetTotal(int64(total), false)
			bar.SetCurrent(int64(done))
		}, func() {
			bar.SetTotal(-1, true)
			p.Wait()
		}
}

// plainProgress writes ten lines at most, and none for a little work.
func (a *app) plainProgress(what string) func(done, total int, name string) {
	const little = 10
	told := 0
	return func(done, total int, _ string) {
		if tenth := done * 10 / max(total, 1); total > little && tenth > told {
			told = tenth
			a.note("%s: %d of %d", what, done, total)
		}
	}
}

func terminal(f *os.File) bool {
	st, err := f.Stat()
	return err == nil && st.Mode()&os.ModeCharDevice != 0
}
