package assay

import (
	"fmt"
	"slices"
	"strings"
)

// Advice on a photo.
const (
	AdvicePlant = "plant"
	AdviceWeak  = "plant, weak when "
	AdviceNot   = "do not plant"
)

// line is the evidence that attributes an account, in bits.
const line = 64

// Reaches says that a row leads to every right account and to no other.
func (r *Row) Reaches() bool { return r.Bits >= line && r.Named == r.Copies && len(r.Wrong) == 0 }

// pairOf is the most copies that one picture alone must tell apart; larger farms
// are found over several pictures.
const pairOf = 2

// Short says that a row falls short of what is asked of one picture.
func (r *Row) Short() bool { return len(r.Wrong) > 0 || r.Copies <= pairOf && !r.Reaches() }

// Judge sums up what the rows of one photo say: "plant", "plant, weak when ..." or
// "do not plant: ...". A photo is not planted that JPEG 75 is too much for, or more
// than a quarter of the single changes, or whose ring was ever read as another's.
// Three and more copies joined in one picture weigh nothing here.
func Judge(rows []Row) string {
	var weak []string
	short, singles := 0, 0
	for i := range rows {
		r := &rows[i]
		switch {
		case len(r.Wrong) > 0:
			return fmt.Sprintf("%s: when it is %s, it leads to an account it was not served to", AdviceNot, r.When)
		case r.Matrix == Single:
			singles++
			if !r.Short() {
				continue
			}
			if short++; r.Change == "jpeg75" {
				return AdviceNot + ": a plain JPEG 75 is too much for it"
			}
			weak = append(weak, "it is "+r.When)
		case r.Short():
			weak = append(weak, r.When)
		}
	}
	switch {
	case 4*short > singles:
		return fmt.Sprintf("%s: %d of %d changes are too much for it", AdviceNot, short, singles)
	case len(weak) > 0:
		return AdviceWeak + strings.Join(slices.Compact(weak), "; ")
	}
	return AdvicePlant
}
