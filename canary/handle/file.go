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
	fileVersion = 3 // 2 has no taste; it is still written where there is none
	maxFile     = 48 << 20
)

// Marshal writes the model's file.
func (m *Model) Marshal() []byte {
	w := writer{[]byte(fileMagic)}
	if m.taste != nil {
		w.b = append(w.b, fileVersion)
	} else {
		w.b = append(w.b, fileVersion-1)
	}
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
	contexts := m.contexts()
	w.number(uint64(len(contexts)), uint64(len(m.signs)))
	last := uint64(0)
	for _, c := range contexts {
		w.number(c.key-last, uint64(c.n))
		last = c.key
	}
	for _, s := range m.signs {
		w.b = append(w.b, s.c)
	}
	for _, c := range contexts {
		w.b = binary.LittleEndian.AppendUint16(w.b, c.leave)
	}
	for _, s := range m.signs {
		w.b = binary.LittleEndian.AppendUint16(w.b, s.less)
	}
	w.number(uint64(len(m.known.bits)))
	for _, v := range m.known.bits {
		w.b = binary.LittleEndian.AppendUint64(w.b, v)
	}
	if m.taste != nil {
		m.taste.write(&w)
		for _, p := range m.plans {
			for _, v := range p.scarce {
				w.number(uint64(v))
			}
		}
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
	version := file[len(fileMagic)]
	if version != fileVersion && version != fileVersion-1 {
		return nil, fmt.Errorf("handle model has format %d, this program reads %d and %d: fit it again with birdring handles fit", version, fileVersion-1, fileVersion)
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
	contexts := m.readContexts(&r)
	m.known = &Names{make([]uint64, r.count(8))}
	for i := range m.known.bits {
		m.known.bits[i] = binary.LittleEndian.Uint64(r.take(8))
	}
	for _, p := range m.plans {
		if p == nil {
			return nil, errDamaged
		}
		for i := range p.scarce {
			p.scarce[i] = parts
		}
	}
	if version == fileVersion {
		m.taste = readTaste(&r)
		for _, p := range m.plans {
			for i := range p.scarce {
				p.scarce[i] = uint32(r.below(parts + 1))
				r.bad = r.bad || p.scarce[i] == 0
			}
		}
	}
	if r.bad || len(r.b) > 0 || !m.sound(contexts) {
		return nil, errDamaged
	}
	m.index(contexts)
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

func (m *Model) readContexts(r *reader) []context {
	keys, signs := r.count(4), r.below(1<<24)
	if keys >= 1<<22 || signs > len(r.b)/3 {
		r.bad = true
	}
	if r.bad {
		return nil
	}
	contexts := make([]context, keys)
	last, total := uint64(0), 0
	for i := range contexts {
		last += r.number()
		n := r.below(len(allSigns) + 1)
		contexts[i] = context{key: last, first: uint32(total), n: uint8(n)}
		total += n
	}
	if total != signs {
		r.bad = true
		return nil
	}
	m.signs = make([]sign, signs)
	for i, c := range r.take(signs) {
		m.signs[i].c = c
	}
	for i := range contexts {
		contexts[i].leave = binary.LittleEndian.Uint16(r.take(2))
	}
	for i := range m.signs {
		m.signs[i].less = binary.LittleEndian.Uint16(r.take(2))
	}
	return contexts
}

// write appends a taste.
func (t *taste) write(w *writer) {
	w.b = append(append(w.b, t.eye.pairs...), t.eye.triples...)
	w.number(uint64(len(t.eye.pieces)))
	for _, v := range t.eye.pieces {
		w.b = binary.LittleEndian.AppendUint64(w.b, v)
	}
	w.number(uint64(len(t.trees)))
	for i := range t.trees {
		w.b = append(w.b, t.trees[i].feature[:]...)
		for _, v := range t.trees[i].cut {
			w.b = binary.LittleEndian.AppendUint16(w.b, uint16(v))
		}
		for _, v := range t.trees[i].leaf {
			w.b = binary.LittleEndian.AppendUint16(w.b, uint16(v))
		}
	}
}

func readTaste(r *reader) *taste {
	t := &taste{eye: eye{pairs: bytes.Clone(r.take(alphabet * alphabet)), triples: bytes.Clone(r.take(alphabet * alphabet * alphabet))}}
	t.eye.pieces = make([]uint64, r.count(8))
	for i := range t.eye.pieces {
		t.eye.pieces[i] = binary.LittleEndian.Uint64(r.take(8))
	}
	t.trees = make([]tree, r.count(5*forks+2))
	for i := range t.trees {
		to := &t.trees[i]
		for j, v := range r.take(forks) {
			to.feature[j] = v
			r.bad = r.bad || v >= features
		}
		for j := range to.cut {
			to.cut[j] = int16(binary.LittleEndian.Uint16(r.take(2)))
		}
		for j := range to.leaf {
			to.leaf[j] = int16(binary.LittleEndian.Uint16(r.take(2)))
		}
	}
	r.bad = r.bad || len(t.eye.pieces) == 0
	return t
}

// sound says whether drawing from the model comes to an end and every probability
// is one.
func (m *Model) sound(contexts []context) bool {
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
	return m.plans[0].floor == 0 && m.soundContexts(contexts)
}

func (m *Model) soundContexts(contexts []context) bool {
	whole := 0
	for i := range contexts {
		at := &contexts[i]
		k := at.key
		digit, level := k&8 != 0, k>>levelShift
		if i > 0 && k <= contexts[i-1].key || level > order || at.n == 0 {
			return false
		}
		if level == 0 {
			whole++
			if int(at.n) != len(signsOf(digit)) || k != contextKey(0, 0, digit, int(k&7)) {
				return false
			}
		}
		total, last := uint32(0), uint64(0)
		for _, s := range m.own(at) {
			total += s.weight()
			if strings.IndexByte(signsOf(digit), s.c) < 0 || code(s.c) <= last ||
				s.c == seam && (level > 0 && k>>4&63 == start || level == 0 && s.weight() > parts/2) {
				return false
			}
			last = code(s.c)
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
