package main

import (
	"context"
	"fmt"
	"text/tabwriter"

	"birdring/internal/assay"
)

// issue2 is how many of the foreign changes make up the figure of issue 2.
const issue2 = 7

// foreignSoftware has ImageMagick, libjpeg-turbo and libwebp change a copy of
// every picture in ten ways.
func foreignSoftware(ctx context.Context, b *bench) error {
	changes, err := assay.ForeignChanges()
	if err != nil {
		return err
	}
	pics := b.bed.Pictures
	rows := make([][]assay.Row, len(changes))
	for i := range rows {
		rows[i] = make([]assay.Row, len(pics))
	}
	err = assay.Workers(ctx, len(pics), func(ctx context.Context, j int) error {
		for i := range changes {
			row, _, err := b.bed.ForeignRow(ctx, pics[j], &changes[i], j*37+11)
			if err != nil {
				return fmt.Errorf("%s on %s: %w", changes[i].Name, pics[j].File, err)
			}
			row.Data = nil
			rows[i][j] = row
		}
		progress("foreign software: %s", pics[j].File)
		return nil
	})
	if err != nil {
		return err
	}
	for j, p := range pics {
		for i := range rows {
			b.foreign[p] = append(b.foreign[p], rows[i][j])
		}
	}
	right, wrong, total := b.foreignTable(changes[:issue2], rows[:issue2])
	b.printf("%d pictures, %d accounts exposed to each: %d of %d lead to the right account at 64 bits or more, %d to a wrong one\n",
		len(pics), b.accounts, right, total, wrong)
	b.demand(right == total && wrong == 0)
	b.printf("\n")
	right, wrong, total = b.foreignTable(changes[issue2:], rows[issue2:])
	b.printf("by foreign software too: %d of %d right, %d wrong: %s\n\n", right, total, wrong, b.demand(right == total && wrong == 0))
	return nil
}

func (b *bench) foreignTable(changes []assay.Foreign, rows [][]assay.Row) (right, wrong, total int) {
	t := tabwriter.NewWriter(b.out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(t, "change\tright\twrong\tof\tmedian bits\tworst bits\tmedian s\t")
	for i, c := range changes {
		s := summarise(rows[i])
		fmt.Fprintf(t, "%s\t%d\t%d\t%d\t%.1f\t%.1f\t%.2f\t\n", c.Name, s.right, s.wrong, s.n, s.bits.median, s.bits.least, s.seconds.median)
		right, wrong, total = right+s.right, wrong+s.wrong, total+s.n
	}
	t.Flush()
	return right, wrong, total
}
