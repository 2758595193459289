package canary

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
)

// Numbers are those of one real profile. A profile's numbers belong together: they
// are drawn as a row, never column by column.
type Numbers struct {
	Followers, Following int
	AgeDays              int // since it joined; 0: not known
	BioLength            int // signs; -1: not known
}

// Population is the numbers of an operator's real profiles. No name is in it.
type Population []Numbers

// maxPopulation bounds a population: more rows say nothing more.
const maxPopulation = 1 << 20

// ReadPopulation reads a table of real profiles' numbers (RFC 4180) with a header
// line: followers and following are needed, age_days and bio_length are read if
// there, other columns passed over. A line that cannot be read is named.
func ReadPopulation(r io.Reader) (Population, error) {
	in := csv.NewReader(r)
	in.ReuseRecord = true
	header, err := in.Read()
	if err != nil {
		return nil, fmt.Errorf("read header: %w", err)
	}
	columns := map[string]int{}
	for i, name := range header {
		columns[strings.ToLower(strings.TrimSpace(strings.TrimPrefix(name, "\ufeff")))] = i
	}
	for _, name := range []string{"followers", "following"} {
		if _, ok := columns[name]; !ok {
			return nil, fmt.Errorf("the header has no column %s: followers,following[,age_days][,bio_length] are wanted", name)
		}
	}
	var out Population
	for {
		record, err := in.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		line, _ := in.FieldPos(0)
		row := Numbers{BioLength: -1}
		for name, to := range map[string]*int{"followers": &row.Followers, "following": &row.Following, "age_days": &row.AgeDays, "bio_length": &row.BioLength} {
			i, ok := columns[name]
			if !ok || strings.TrimSpace(record[i]) == "" {
				continue
			}
			if *to, err = strconv.Atoi(strings.TrimSpace(record[i])); err != nil || *to < 0 || *to > 1e9 {
				return nil, fmt.Errorf("line %d: %s %q is no number of 0 to 1000000000", line, name, record[i])
			}
		}
		if out = append(out, row); len(out) > maxPopulation {
			return nil, fmt.Errorf("more than %d profiles: a sample of ten thousand is enough", maxPopulation)
		}
	}
	if len(out) < 50 {
		return nil, fmt.Errorf("%d profiles are too few: 50 at least are needed, some thousands are better", len(out))
	}
	return out, nil
}

// draw takes one profile's numbers and moves them a little, by the same part each,
// so that they are nobody's.
func (p Population) draw(next func(uint32) uint32) Numbers {
	if len(p) == 0 {
		return usual(next)
	}
	row := p[next(uint32(len(p)))]
	move := math.Exp(0.08 * normal(next))
	row.Followers = int(math.Round(float64(row.Followers) * move * math.Exp(0.02*normal(next))))
	row.Following = int(math.Round(float64(row.Following) * move * math.Exp(0.02*normal(next))))
	if row.AgeDays > 0 {
		row.AgeDays = max(1, int(float64(row.AgeDays)*math.Exp(0.1*normal(next))))
	}
	return row
}

// usual are numbers where no population is known: log-normal with medians 194 and
// 265, correlated as followers and following are (InstaFake reference: medians 194
// and 265, means 843 and 822), at home for a month to some years.
func usual(next func(uint32) uint32) Numbers {
	a, b := normal(next), normal(next)
	return Numbers{count(194, 1.6, a), count(265, 1.4, 0.6*a+0.8*b), 30 + int(next(1500)), -1}
}

// shortest are bios where there is no room for a word.
var shortest = strings.Fields("☀️ 🌊 ❤️ ✨ hi :) .. 🍂 ☕ 📷 🌿 x 🎧 🐾")

// bio puts a locale's texts together to about the length that the row has, none if
// it has none.
func (n Numbers) bio(l *locale, next func(uint32) uint32) string {
	if n.BioLength < 0 {
		return l.speech.bio(next)
	}
	var words []string
	length := 0
	for length < n.BioLength {
		for _, w := range strings.Fields(l.speech.draw(l.speech.bios, next)) {
			// The word that comes nearer to the length is the last.
			if with := length + len([]rune(w)) + 1; with-n.BioLength > n.BioLength-length {
				length = n.BioLength
			} else {
				words, length = append(words, w), with
			}
			if length >= n.BioLength {
				break
			}
		}
	}
	if text := strings.Trim(strings.Join(words, " "), ",.;|·→ "); text != "" || n.BioLength == 0 {
		return text
	}
	return shortest[next(uint32(len(shortest)))]
}
