package critic

import "math"

// deepest is how many signs a language model looks at, the predicted one among them.
const deepest = 7

// language is a model of names, sign by sign between two end marks, interpolated
// after Witten and Bell (1991).
type language struct {
	grams    map[uint64]float64 // runs of 1..deepest signs
	contexts map[uint64][2]float64
}

// mark stands before the first sign and behind the last.
const mark = 63

func signCode(c byte) uint64 {
	switch {
	case c >= 'a' && c <= 'z':
		return uint64(c-'a') + 1
	case c >= '0' && c <= '9':
		return uint64(c-'0') + 27
	case c == '_':
		return 37
	case c == '.':
		return 38
	case c == '-':
		return 39
	}
	return 40
}

func learn(names []string) *language {
	l := &language{map[uint64]float64{}, map[uint64][2]float64{}}
	for _, name := range names {
		run(name, func(history uint64, sign uint64) {
			for n := range deepest {
				g := gram(history, n, sign)
				c := context(history, n)
				t := l.contexts[c]
				if l.grams[g] == 0 {
					t[1]++
				}
				t[0]++
				l.contexts[c] = t
				l.grams[g]++
			}
		})
	}
	return l
}

// run visits each sign of a name and its end.
func run(name string, visit func(history, sign uint64)) {
	h := uint64(1)<<(6*(deepest-1)) - 1 // marks
	for i := range len(name) + 1 {
		s := uint64(mark)
		if i < len(name) {
			s = signCode(name[i])
		}
		visit(h, s)
		h = (h<<6 | s) & (1<<(6*(deepest-1)) - 1)
	}
}

func context(history uint64, n int) uint64 {
	return uint64(n)<<58 | history&(1<<(6*n)-1)
}

func gram(history uint64, n int, sign uint64) uint64 {
	return uint64(n)<<58 | (history&(1<<(6*n)-1))<<6 | sign
}

// verdict is what a language model says about a name.
type verdict struct {
	logs  [deepest]float64 // log-probability by number of signs looked at before
	worst float64          // that of the least likely sign, looked at with all
}

func (l *language) judge(name string) (v verdict) {
	run(name, func(history, sign uint64) {
		p := 1.0 / 41
		for n := range deepest {
			if t, ok := l.contexts[context(history, n)]; ok {
				p = (l.grams[gram(history, n, sign)] + t[1]*p) / (t[0] + t[1])
			}
			v.logs[n] += math.Log(p)
		}
		v.worst = min(v.worst, math.Log(p))
	})
	return v
}
