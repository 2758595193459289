package console

import "birdring/internal/offer"

// For the tests of package console_test.
var (
	Align       = align
	Difference  = difference
	Heatmap     = heatmap
	PerSegment  = perSegment
	Plot        = plot
	Limits      = limits
	Sentence    = sentence
	Probability = probability
	Duration    = duration
	Geometry    = geometry
	StoryNote   = story
)

// OneOrManyExposures is the parser of POST /v1/exposures.
func OneOrManyExposures(body []byte) (int, error) {
	asks, err := oneOrMany[offer.ExposureAsk](body, 100)
	return len(asks), err
}
