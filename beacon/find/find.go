// Package find says which planted picture a suspect came from, and how it lies in it.
package find

import (
	"context"

	"birdring/canary/mark"
)

// Print is what is kept of a planted picture to find it again.
type Print struct{}

// NewPrint prints a planted picture.
func NewPrint(p mark.Plane) *Print { panic("not yet") }

// MarshalBinary writes the print.
func (p *Print) MarshalBinary() ([]byte, error) { panic("not yet") }

// UnmarshalPrint reads a print back.
func UnmarshalPrint(data []byte) (*Print, error) { panic("not yet") }

// Query is a suspect's print with its mirrored forms.
type Query struct{}

// NewQuery prints a suspect.
func NewQuery(p mark.Plane) *Query { panic("not yet") }

// Match is a planted picture found in a suspect.
type Match struct {
	ID       string
	Rough    mark.Affine // reference px -> suspect px
	Inliers  int
	Distance int
}

// Index holds the prints of all planted pictures.
type Index struct{}

// NewIndex makes an empty index.
func NewIndex() *Index { panic("not yet") }

// Add adds a print under an id.
func (x *Index) Add(id string, p *Print) { panic("not yet") }

// Len is the number of prints.
func (x *Index) Len() int { panic("not yet") }

// Search returns at most max matches, best first.
func (x *Index) Search(q *Query, max int) []Match { panic("not yet") }

// Duplicate says which planted picture a photo shows, "" if none.
func Duplicate(x *Index, photo mark.Plane) (id string, found bool) { panic("not yet") }

// Align refines starts (reference px -> suspect px).
func Align(ctx context.Context, ref, suspect mark.Plane, starts []mark.Affine) (mark.Affine, float64, error) {
	panic("not yet")
}
