package handle

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"strings"
)

// The file of a model: magic, version, then rules, shapes, plans, contexts and the
// names fitted to, numbers as varints, and the SHA-256 of all of it. Keep it readable
// by its owner alone: whoever has it tells decoys' handles better from others.
const (
	fileMagic   = "BRHM"
	fileVersion = 2
	maxFile     = 48 << 20
)

// Marshal writes the model's file.
func (m *Model) Marshal() []byte {
	w := writer{[]byte(fileMagic)}
	w.b = append(w.b, fileVersion)
	r := m.rules
	for _, s := range []string{r.Name, r.Separators, r.Inner, r.Last} {
		w.text(s)
	}
	w.number(uint64(r.Min), uint64(r.Max), m.fitted, uint64(len(m.shapes)))
	for _, s := range m.shapes {
		w.text(s)
	}
	w.number(uint64(len(m.plans)))
	for _, p := range m.plans {
		w.number(math.Float64bits(p.floor), math.Float64bits(p.least), uint64(p.kept))
		for _, v := range p.weights {
			w.number(uint64(v))
		}
	}
	w.number(uint64(len(m.keys)), uint64(len(m.signs)))
	last := uint64(0)
	for i, k := range m.keys {
		w.number(k-last, uint64(m.first[i+1]-m.first[i]))
		last = k
	}
	w.b = append(w.b, m.signs...)
	for _, v := range m.leave {
		w.b = binary.LittleEndian.AppendUint16(w.b, v)
	}
	for _, v := range m.weights {
		w.b = binary.LittleEndian.AppendUint16(w.b, v)
	}
	w.number(uint64(len(m.known.bits)))
	for _, v := range m.known.bits {
		w.b = binary.LittleEndian.AppendUint64(w.b, v)
	}
	sum := sha256.Sum256(w.b)
	return append(w.b, sum[:]...)
}

// ID says which model it is: 16 hex digits of its file's hash, kept with every
// handle so that it can be drawn again.
func (m *Model) ID() string { return m.id }

func fileID(file []byte) string {
	return hex.EncodeToString(file[len(file)-sha256.Size:][:8])
}

type writer struct{ b []byte }

func (w *writer) number(all ...uint64) {
	for _, v := range all {
		w.b = binary.AppendUvarint(w.b, v)
	}
}

func (w *writer) text(s string) {
	w.number(uint64(len(s)))
	w.b = append(w.b, s...)
}

// errDamaged is what most damages are reported as.
var errDamaged = errors.New("handle model is damaged: fit it again with birdring handles fit, or restore it from your backup")

// Parse reads a model's file. Nothing is allocated that the file could not fill.
func Parse(file []byte) (*Model, error) {
	if len(file) > maxFile {
		return nil, fmt.Errorf("handle model has %d MB, at most %d are possible", len(file)>>20, maxFile>>20)
	}
	if !bytes.HasPrefix(file, []byte(fileMagic)) || len(file) < len(fileMagic)+1+sha256.Size {
		return nil, errors.New("this is no handle model: make one with birdring handles fit")
	}
	if v := file[len(fileMagic)]; v != fileVersion {
		return nil, fmt.Errorf("handle model has format %d, this program reads %d: fit it again with birdring handles fit", v, fileVersion)
	}
	body := file[:len(file)-sha256.Size]
	if sum := sha256.Sum256(body); !bytes.Equal(sum[:], file[len(body):]) {
		return nil, errDamaged
	}
	r := reader{b: body[len(fileMagic)+1:]}
	m := &Model{id: fileID(file)}
	m.rules = Rules{Name: r.text(40), Separators: r.text(3), Inner: r.text(3), Last: r.text(3), Min: r.below(maxSigns + 1), Max: r.below(maxSigns + 1)}
	m.fitted = r.number()
	m.shapes = make([]string, r.count(2))
	for i := range m.shapes {
		m.shapes[i] = r.text(maxSigns)
	}
	m.readPlans(&r)
	m.readContexts(&r)
	m.known = &Names{make([]uint64, r.count(8))}
	for i := range m.known.bits {
		m.known.bits[i] = binary.LittleEndian.Uint64(r.take(8))
	}
	if r.bad || len(r.b) > 0 || !m.sound() {
		return nil, errDamaged
	}
	m.index()
	for _, p := range m.plans {
		p.sum()
	}
	return m, nil
}

func (m *Model) readPlans(r *reader) {
	m.plans = make([]*Plan, r.below(9))
	for i := range m.plans {
		p := &Plan{m: m, floor: math.Float64frombits(r.number()), least: math.Float64frombits(r.number()), kept: uint32(r.below(parts + 1))}
		if len(m.shapes) > len(r.b) {
			r.bad = true
		}
		if r.bad {
			return
		}
		p.weights = make([]uint32, len(m.shapes))
		for j := range p.weights {
			p.weights[j] = uint32(r.below(1 << 32))
		}
		m.plans[i] = p
	}
}

func (m *Model) readContexts(r *reader) {
	keys, signs := r.count(4), r.below(1<<24)
	if keys > 1<<22 || signs > len(r.b)/3 {
		r.bad = true
	}
	if r.bad {
		return
	}
	m.keys, m.first = make([]uint64, keys), make([]uint32, 1, keys+1)
	last, total := uint64(0), 0
	for i := range m.keys {
		last += r.number()
		m.keys[i] = last
		total += r.below(len(allSigns) + 1)
		m.first = append(m.first, uint32(total))
	}
	if total != signs {
		r.bad = true
		return
	}
	m.signs = bytes.Clone(r.take(signs))
	m.leave, m.weights = make([]uint16, keys), make([]uint16, signs)
	for i := range m.leave {
		m.leave[i] = binary.LittleEndian.Uint16(r.take(2))
	}
	for i := range m.weights {
		m.weights[i] = binary.LittleEndian.Uint16(r.take(2))
	}
}

// sound says whether drawing from the model comes to an end and every probability
// is one.
func (m *Model) sound() bool {
	if m.rules.sound() != nil || len(m.plans) == 0 || len(m.shapes) == 0 || len(m.shapes) > maxShapes {
		return false
	}
	for i, s := range m.shapes {
		if s == "" || i > 0 && s <= m.shapes[i-1] || strings.Trim(s, "a9._-") != "" {
			return false
		}
	}
	for _, p := range m.plans {
		total := uint64(0)
		for _, w := range p.weights {
			total += uint64(w)
		}
		if total != 1<<32 || p.kept == 0 || !(p.floor >= 0 && p.floor <= 200) || !(p.least >= 0 && p.least <= 400) {
			return false
		}
	}
	if n := len(m.known.bits); n&(n-1) != 0 {
		return false
	}
	return m.plans[0].floor == 0 && m.soundContexts()
}

func (m *Model) soundContexts() bool {
	whole := 0
	for i, k := range m.keys {
		digit, level := k&8 != 0, k>>levelShift
		if i > 0 && k <= m.keys[i-1] || level > order || m.first[i] == m.first[i+1] {
			return false
		}
		if level == 0 {
			whole++
			if int(m.first[i+1]-m.first[i]) != len(signsOf(digit)) || k != contextKey(0, 0, digit, int(k&7)) {
				return false
			}
		}
		total := uint32(0)
		for at := m.first[i]; at < m.first[i+1]; at++ {
			c, w := m.signs[at], uint32(m.weights[at])+1
			total += w
			if strings.IndexByte(signsOf(digit), c) < 0 || at > m.first[i] && code(c) <= code(m.signs[at-1]) ||
				c == seam && (level > 0 && k>>4&63 == start || level == 0 && w > parts/2) {
				return false
			}
		}
		if total != parts {
			return false
		}
	}
	return whole == 2*(lefts+1)
}

// allSigns are those that a context may hold.
const allSigns = "abcdefghijklmnopqrstuvwxyz0123456789|"

func signsOf(digit bool) string {
	if digit {
		return "0123456789"
	}
	return "abcdefghijklmnopqrstuvwxyz|"
}

// reader takes numbers off a file. After the first that is wrong, all are zero.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) number() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 || r.bad {
		r.bad = true
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) below(limit int) int {
	v := r.number()
	if v >= uint64(limit) {
		r.bad = true
		return 0
	}
	return int(v)
}

// count is a number of things of size bytes each, at least, that follow.
func (r *reader) count(size int) int { return r.below(len(r.b)/size + 1) }

func (r *reader) take(n int) []byte {
	if n > len(r.b) || r.bad {
		r.bad = true
		return make([]byte, n)
	}
	out := r.b[:n]
	r.b = r.b[n:]
	return out
}

func (r *reader) text(most int) string {
	n := r.below(most + 1)
	if r.bad {
		return ""
	}
	return string(r.take(n))
}
