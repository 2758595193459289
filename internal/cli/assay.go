package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"birdring/internal/assay"
	"birdring/registry"
)

// assayFlags are the flags of assay.
type assayFlags struct {
	photos, html string
	full         bool
	only         []string
	plan         assay.Plan
}

func (a *app) assayCommand() *cobra.Command {
	var f assayFlags
	cmd := &cobra.Command{
		Use:   "assay --photos DIR",
		Short: "Measure which photos would hold their ring, before they are planted",
		Long: `Plants each photo of a folder in a temporary registry - never in yours - does to a copy
what clone sites do, traces the result and says: plant / plant, weak when ... / do not
plant. Each row has the bits of the right account; of several accounts that join their
copies, of the one with the least. After a photo's rows comes one with its advice.`,
		Args: noArgs,
	}
	cmd.Flags().StringVar(&f.photos, "photos", "", "folder of photos")
	cmd.Flags().BoolVar(&f.full, "full", false, "make every change, not only a telling few (some minutes a photo)")
	cmd.Flags().StringSliceVar(&f.only, "only", nil, "make just these changes, by name and divided by commas")
	cmd.Flags().StringVar(&f.html, "html", "", "also write a report with pictures to this file")
	cmd.PreRunE = func(*cobra.Command, []string) error {
		if f.photos == "" {
			return usagef("which photos? give their folder: --photos DIR")
		}
		return f.choose()
	}
	cmd.RunE = a.run(func(ctx context.Context, _ []string) error { return a.assay(ctx, f) })
	return cmd
}

// choose makes the plan out of the flags.
func (f *assayFlags) choose() (err error) {
	switch {
	case f.only != nil:
		if f.plan, err = assay.Only(f.only); err != nil {
			return usageError{err.Error()}
		}
	case f.full:
		f.plan = assay.Full()
	default:
		f.plan = assay.Quick()
	}
	return nil
}

func (a *app) assay(ctx context.Context, f assayFlags) (err error) {
	photos, err := a.seedPhotos(seedFlags{photos: f.photos})
	if err != nil {
		return err
	}
	report := &assay.Report{At: time.Now(), Left: f.plan.Left}
	var page *os.File
	written := false
	if f.html != "" { // before the work, not after it
		if page, err = os.Create(f.html); err != nil {
			return plain(err)
		}
		defer func() {
			if closing(page, &err); !written {
				err = errors.Join(err, os.Remove(f.html))
			}
		}()
	}
	step, done := a.progress("planting")
	bed, err := assay.Plant(ctx, photos, assay.Options{Progress: step})
	done()
	if err != nil {
		return err
	}
	defer closing(bed, &err)
	for _, r := range bed.Refused {
		a.emit(refusedRow(r), func(w io.Writer) {
			fmt.Fprintf(w, "%s  cannot be planted: %s\n", printable(r.File), printable(r.Reason))
		})
	}
	report.Refused = bed.Refused
	if err := a.assayAll(ctx, bed, f, report); err != nil {
		return err
	}
	if page != nil {
		if err := report.Write(page); err != nil {
			return fmt.Errorf("write report: %w", err)
		}
		written = true
		a.note("report: %s", f.html)
	}
	if len(bed.Pictures) == 0 {
		return errors.New("none of the photos can be planted; the reasons stand above")
	}
	return nil
}

// assayAll measures one photo after the other and tells each when it is done.
func (a *app) assayAll(ctx context.Context, bed *assay.Bed, f assayFlags, report *assay.Report) error {
	for _, left := range f.plan.Left {
		a.note("left out: %s", left)
	}
	for i, p := range bed.Pictures {
		began := time.Now()
		rows, err := bed.Assay(ctx, p, f.plan)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil { // the others can still be measured
			a.problem("%v", err)
			continue
		}
		a.printAssay(p, rows)
		for _, r := range rows {
			if len(r.Wrong) > 0 {
				a.problem("%s: %s leads to an account it was not served to: a defect, do not plant and report it", p.File, r.Change)
			}
		}
		a.note("assayed %d of %d: %s, %d traces in %.0f s", i+1, len(bed.Pictures), printable(p.File), len(rows), time.Since(began).Seconds())
		if f.html != "" {
			if err := report.Add(ctx, bed, p, rows); err != nil {
				return err
			}
		}
	}
	return nil
}

// assayRow is a row as it is told. The row of a photo's advice has no change, that
// of a photo that cannot be planted nothing but its reason.
type assayRow struct {
	Photo   *string  `json:"photo"`
	File    string   `json:"file"`
	Matrix  *string  `json:"matrix"`
	Change  *string  `json:"change"`
	Copies  *int     `json:"copies"`
	Bits    *float64 `json:"bits"`
	Z       *float64 `json:"z"`
	PSNR    *float64 `json:"psnr"`
	SSIM    *float64 `json:"ssim"`
	Verdict string   `json:"verdict"`
}

func refusedRow(r registry.Refused) assayRow {
	return assayRow{File: r.File, Verdict: assay.AdviceNot + ": " + r.Reason}
}

func (a *app) printAssay(p *assay.Picture, rows []assay.Row) {
	quality, advice := rows[0].Quality, assay.Judge(rows)
	if !a.json {
		a.emit(nil, func(w io.Writer) {
			fmt.Fprintf(w, "%s  %d x %d, %d segments, PSNR %.2f dB, SSIM %.4f\n", printable(p.File), p.W, p.H, p.Segments, quality.PSNR, quality.SSIM)
			table(w, "", func(cells func(...any)) {
				cells(" ", "change", "copies", "bits", "z", "of", "verdict")
				for i := range rows {
					r := &rows[i]
					cells(" ", r.Change, r.Copies, fmt.Sprintf("%.1f", r.Bits), fmt.Sprintf("%.1f", r.Z), fmt.Sprintf("%.1f", r.Root()), r.Verdict)
				}
			})
			fmt.Fprintf(w, "%s  %s\n\n", printable(p.File), advice)
		})
		return
	}
	least := rows[0]
	for i := range rows {
		r := rows[i]
		a.emit(assayRow{&p.Photo, p.File, &r.Matrix, &r.Change, &r.Copies, &r.Bits, &r.Z, &r.PSNR, &r.SSIM, r.Verdict}, nil)
		if r.Matrix == assay.Single && r.Bits < least.Bits {
			least = r
		}
	}
	a.emit(assayRow{Photo: &p.Photo, File: p.File, Bits: &least.Bits, Z: &least.Z, PSNR: &quality.PSNR, SSIM: &quality.SSIM, Verdict: advice}, nil)
}
