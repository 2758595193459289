package jpeg

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Sample is a file to learn from.
type Sample struct {
	Name string
	Data []byte
}

// Learn finds the dialect that most of the files speak: quantiser tables,
// subsampling, Huffman tables, order of markers, scans of progressive files, JFIF and
// Adobe segments, colour profile and comment if they are the same in all of them. What
// it cannot keep - other metadata, restart markers, progressive scans with tables or
// segments where libjpeg has none - it says in notes. A file
// that is no colour JPEG in YCbCr is an error that names it.
func Learn(files []Sample) (*Dialect, []string, error) {
	var all []*lesson
	for _, f := range files {
		l, err := look(f.Data)
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", f.Name, err)
		}
		all = append(all, l)
	}
	if len(all) == 0 {
		return nil, nil, errors.New("jpeg: no files to learn from")
	}
	same := majority(all)
	notes := map[string]bool{}
	if n := len(all) - len(same); n > 0 {
		notes[fmt.Sprintf("%d of %d files speak another dialect (%s against %s): the most common one is taken", n, len(all), all[firstOther(all, same)].name(), same[0].name())] = true
	}
	d := same[0].d
	d.parts = slices.DeleteFunc(slices.Clone(d.parts), func(p part) bool {
		if p.marker < app0 || commonPart(same, p) {
			return false
		}
		notes[fmt.Sprintf("%s differs from file to file and is left out", partName(p))] = true
		return true
	})
	for _, l := range same {
		for _, n := range l.notes {
			notes[n] = true
		}
	}
	d.Optimal = !allUse(same, &d.specs)
	var out []string
	for n := range notes {
		out = append(out, n)
	}
	slices.Sort(out)
	if d.Optimal {
		out = append(out, "their Huffman tables are made for each file: a picture's are the best for all its copies together, not for one, which costs a copy less than 1 % of its bytes and which somebody who computes the best tables can see")
	}
	return d, out, nil
}

// lesson is what one file teaches.
type lesson struct {
	d     *Dialect
	notes []string
}

// name says in a few words what tells the dialect from others.
func (l *lesson) name() string {
	sum := 0
	for _, q := range l.d.Quant[0] {
		sum += int(q)
	}
	return fmt.Sprintf("%s, quantisers of mean %d", l.d.Subsampling(), sum/64)
}

// String describes the dialect in one line.
func (d *Dialect) String() string {
	style := "Huffman tables of its own"
	switch {
	case d.Optimal:
		style = "optimised Huffman tables"
	case d.Standard():
		style = "standard Huffman tables"
	}
	names := make([]string, len(d.parts))
	for i, p := range d.parts {
		names[i] = partName(p)
	}
	if d.Progressive() {
		return fmt.Sprintf("progressive %s in %d scans, markers %s", d.Subsampling(), len(d.scans), strings.Join(names, " "))
	}
	return fmt.Sprintf("baseline %s, %s, markers %s", d.Subsampling(), style, strings.Join(names, " "))
}

func partName(p part) string {
	switch p.marker {
	case sof0:
		return "SOF0"
	case sof2:
		return "SOF2"
	case dht:
		return "DHT"
	case dqt:
		return "DQT"
	case sos:
		return "SOS"
	case com:
		return "COM"
	}
	return fmt.Sprintf("APP%d", p.marker-app0)
}

// look reads one file's headers, and a baseline file's coefficients to see how its
// tables were made.
func look(data []byte) (*lesson, error) {
	l := &lesson{}
	p := parser{d: &Dialect{}}
	progressive := false
	_, err := segments(data, func(marker byte, body []byte) error {
		switch {
		case marker == 0xc2:
			progressive = true
			marker = sof0
		case marker == dri:
			if len(body) == 2 && binary.BigEndian.Uint16(body) != 0 {
				l.notes = append(l.notes, "restart markers are not written: copies have none")
			}
			return nil
		case marker >= app0 && !kept(marker, body):
			l.notes = append(l.notes, partName(part{marker: marker})+" (metadata or a thumbnail) is left out")
			return nil
		case progressive && marker == dht:
			return nil
		case progressive && marker == sos:
			return p.baselineScan()
		}
		return p.segment(marker, body)
	})
	if err != nil {
		return nil, err
	}
	l.d = p.d
	if adobe := slices.IndexFunc(l.d.parts, func(p part) bool { return p.marker == app0+14 }); adobe >= 0 && l.d.parts[adobe].body[11] != 1 {
		return nil, errors.New("jpeg: its colours are not YCbCr")
	}
	if progressive {
		d, err := readScript(data, kept)
		if err != nil {
			l.notes = append(l.notes, fmt.Sprintf("the files are progressive, but not as libjpeg writes them (%v): copies are baseline files with their quantisers, subsampling and header, told apart by their frame marker and scans", err))
			l.d.Optimal = true
			return l, nil
		}
		l.d = d
		return l, nil
	}
	l.d.Optimal = !complete(&l.d.specs)
	if f, err := Parse(data); err == nil {
		var c counts
		c.frame(f)
		l.d.Optimal = l.d.Optimal || !l.d.uses(&standard) && f.uses(&f.settled(&c).specs)
	}
	return l, nil
}

// baselineScan ends the header of a progressive file as libjpeg ends that of a baseline one.
func (p *parser) baselineScan() error {
	if p.frame == nil {
		return errors.New("jpeg: no frame header before the scan")
	}
	for i, s := range standard {
		p.specs[i&1][i>>1] = &s
	}
	p.d.specs, p.d.ids = standard, [4]byte{0x00, 0x10, 0x01, 0x11}
	p.d.addTables()
	f := p.frame
	return p.segment(sos, []byte{3, f[6], 0x00, f[9], 0x11, f[12], 0x11, 0, 63, 0})
}

// kept says whether a marker segment may belong to the dialect: JFIF without a
// thumbnail, Adobe, a colour profile, a comment.
func kept(marker byte, body []byte) bool {
	switch marker {
	case app0:
		return len(body) == 14 && bytes.HasPrefix(body, []byte("JFIF\x00")) && body[12] == 0 && body[13] == 0
	case app0 + 2:
		return bytes.HasPrefix(body, []byte("ICC_PROFILE\x00"))
	case app0 + 14:
		return len(body) == 12 && bytes.HasPrefix(body, []byte("Adobe"))
	case com:
		return true
	}
	return false
}

// complete says whether tables have a code for every coefficient that a picture can have.
func complete(specs *[4]spec) bool {
	c := newCodes(specs)
	for _, dc := range []int{lumaDC, chromaDC} {
		for n := range 12 {
			if c[dc][n].n == 0 {
				return false
			}
		}
	}
	for _, ac := range []int{lumaAC, chromaAC} {
		for run := range 16 {
			for n := 1; n <= 10; n++ {
				if c[ac][run<<4|n].n == 0 {
					return false
				}
			}
		}
		if c[ac][0].n == 0 || c[ac][0xf0].n == 0 {
			return false
		}
	}
	return true
}

// majority are the lessons that agree on tables, subsampling and order of
// markers with most others; of equally many the one met first.
func majority(all []*lesson) []*lesson {
	groups := map[string][]*lesson{}
	var best []*lesson
	for _, l := range all {
		key := fmt.Sprint(l.d.Quant, l.d.Across, l.d.Down, l.d.Optimal)
		for i := range l.d.scans {
			key += fmt.Sprintf("/%x", l.d.scans[i].sos)
		}
		for _, p := range l.d.parts {
			if p.marker < app0 {
				key += fmt.Sprintf("/%x", p.marker)
			}
		}
		groups[key] = append(groups[key], l)
	}
	for _, l := range all {
		for _, g := range groups {
			if g[0] == l && len(g) > len(best) {
				best = g
			}
		}
	}
	return best
}

func firstOther(all, same []*lesson) int {
	return slices.IndexFunc(all, func(l *lesson) bool { return !slices.Contains(same, l) })
}

// commonPart says whether every file has this very segment.
func commonPart(all []*lesson, p part) bool {
	for _, l := range all {
		if !slices.ContainsFunc(l.d.parts, func(o part) bool { return o.marker == p.marker && bytes.Equal(o.body, p.body) }) {
			return false
		}
	}
	return true
}

// allUse says whether no file's tables are made for it alone.
func allUse(all []*lesson, specs *[4]spec) bool {
	for _, l := range all {
		if l.d.Optimal || !l.d.uses(specs) {
			return false
		}
	}
	return true
}
