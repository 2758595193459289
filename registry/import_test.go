package registry_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"birdring/registry"
)

func TestImportExposures(t *testing.T) {
	r, _ := fresh(t)
	d := planted(t, r, registry.PlantRequest{Decoys: 2, PerDecoy: 1})
	text := "\ufeffaccount,decoy,time,surface\r\n" +
		"\"a \"\"quoted\"\", one\"," + d[0].ID + ",2026-11-24T08:00:00+02:00,search\r\n" +
		"b," + d[1].ID + ",2026-11-24T06:00:00.5Z,\r\n" +
		"b," + d[1].ID + ",2026-11-24T06:00:00.5Z\r\n" +
		"b," + d[1].ID + ",2026-11-24T06:00:01Z,"
	read, stored, known, err := r.ImportExposures(t.Context(), strings.NewReader(text))
	if err != nil || read != 4 || stored != 3 || known != 1 {
		t.Fatalf("%d read, %d stored, %d known, %v", read, stored, known, err)
	}
	read, stored, known, err = r.ImportExposures(t.Context(), strings.NewReader(text))
	if err != nil || read != 4 || stored != 0 || known != 4 {
		t.Fatalf("again: %d read, %d stored, %d known, %v", read, stored, known, err)
	}
	got := rows[registry.ExposureRow](t, r, "exposures", time.Time{}, 0)
	if len(got) != 3 || got[0].Account != `a "quoted", one` || *got[0].Surface != "search" || got[1].Surface != nil {
		t.Errorf("exposures %+v", got)
	}
	if want := time.Date(2026, 11, 24, 6, 0, 0, 0, time.UTC); !got[0].Time.Equal(want) {
		t.Errorf("time %v, want %v", got[0].Time, want)
	}
	// What Expose records and what is imported afterwards is one exposure.
	at := time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC)
	if _, err := r.Expose(t.Context(), []registry.Exposure{{Account: "c", Decoy: d[0].ID, Surface: "story", At: at}}); err != nil {
		t.Fatal(err)
	}
	_, stored, known, err = r.ImportExposures(t.Context(), strings.NewReader("c,"+d[0].ID+",2026-11-25T00:00:00Z,story\n"))
	if err != nil || stored != 0 || known != 1 {
		t.Errorf("%d stored, %d known, %v", stored, known, err)
	}
}

func TestImportNamesTheBadLine(t *testing.T) {
	r, _ := fresh(t)
	d := planted(t, r, registry.PlantRequest{Decoys: 1, Personal: 1, PerDecoy: 1})
	good := "a," + d[0].ID + ",2026-11-24T08:00:00Z\n"
	for name, c := range map[string]struct {
		text string
		line int
	}{
		"unknown decoy":    {good + "a,d-nobody,2026-11-24T08:00:00Z\n", 2},
		"no time":          {good + good + "a," + d[0].ID + ",yesterday\n", 3},
		"two fields":       {good + "a," + d[0].ID + "\n", 2},
		"five fields":      {good + "a," + d[0].ID + ",2026-11-24T08:00:00Z,x,y\n", 2},
		"no account":       {good + "," + d[0].ID + ",2026-11-24T08:00:00Z\n", 2},
		"control sign":     {good + "a\x01," + d[0].ID + ",2026-11-24T08:00:00Z\n", 2},
		"open quote":       {good + "\"a," + d[0].ID + ",2026-11-24T08:00:00Z\n", 2},
		"bare quote":       {good + "a\"b," + d[0].ID + ",2026-11-24T08:00:00Z\n", 2},
		"header later":     {good + "account,decoy,time\n", 2},
		"after line break": {"\"a\nb\"," + d[0].ID + ",2026-11-24T08:00:00Z\n", 1},
		"two for personal": {"a," + d[1].ID + ",2026-11-24T08:00:00Z\nb," + d[1].ID + ",2026-11-24T08:00:00Z\n", 2},
	} {
		_, _, _, err := r.ImportExposures(t.Context(), strings.NewReader(c.text))
		if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("line %d", c.line)) {
			t.Errorf("%s: %v", name, err)
		}
		if err != nil && strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: the error has several lines: %q", name, err)
		}
	}
	if got := rows[registry.ExposureRow](t, r, "exposures", time.Time{}, 0); len(got) != 0 {
		t.Errorf("stored %+v", got)
	}
	if _, _, _, err := r.ImportExposures(t.Context(), strings.NewReader("a,d-x,2026-11-24T08:00:00Z")); !errors.Is(err, registry.ErrNotFound) {
		t.Error(err)
	}
	if read, _, _, err := r.ImportExposures(t.Context(), strings.NewReader("")); read != 0 || err != nil {
		t.Errorf("an empty file: %d, %v", read, err)
	}
}

func FuzzImportExposures(f *testing.F) {
	r, _, d := oneDecoy(f)
	f.Add("account,decoy,time\na," + d.ID + ",2026-11-24T08:00:00Z\n")
	f.Add("a,b,c,d\n\"")
	f.Fuzz(func(t *testing.T, text string) {
		before, err := r.Health(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		text = strings.ReplaceAll(text, "DECOY", d.ID)
		read, stored, known, err := r.ImportExposures(t.Context(), strings.NewReader(text))
		after, herr := r.Health(t.Context())
		if herr != nil {
			t.Fatal(herr)
		}
		if err != nil && (read != 0 || after.Exposures != before.Exposures || after.Viewers != before.Viewers) {
			t.Fatalf("refused with %v, but stored", err)
		}
		if read != stored+known || int64(stored) != after.Exposures-before.Exposures {
			t.Fatalf("%d read, %d stored, %d known; %d more", read, stored, known, after.Exposures-before.Exposures)
		}
	})
}

// One line of CSV into the registry, 100,000 of them at once: 1,000 accounts,
// 2 decoys, an exposure a second.
func BenchmarkImport(b *testing.B) {
	r, _ := fresh(b)
	d := planted(b, r, registry.PlantRequest{Decoys: 2, PerDecoy: 1})
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	const lines = 100_000
	for b.Loop() {
		b.StopTimer()
		var text strings.Builder
		for i := range lines {
			fmt.Fprintf(&text, "account-%d,%s,%s,profile\n", i*7919%1000, d[i%2].ID, at.Format(time.RFC3339))
			at = at.Add(time.Second)
		}
		b.StartTimer()
		if _, stored, _, err := r.ImportExposures(b.Context(), strings.NewReader(text.String())); stored != lines || err != nil {
			b.Fatal(stored, err)
		}
	}
	b.ReportMetric(float64(lines*b.N)/b.Elapsed().Seconds(), "rows/s")
}

// Exposures of one decoy by callers at once, each on disk before it returns.
func BenchmarkExpose(b *testing.B) {
	r, _, d := oneDecoy(b)
	b.SetParallelism(32)
	b.RunParallel(func(pb *testing.PB) {
		for i := 0; pb.Next(); i++ {
			if _, err := r.Expose(context.Background(), offer(fmt.Sprint("account-", i%5000), d.ID)); err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "exposures/s")
}
