package ring

import (
	"math"
	"math/bits"
)

// Arithmetic that gives the same bits on every machine. Go may fuse x*y + z on
// some architectures, so every product that is added to is rounded by an explicit
// conversion, which the language says prevents that (a division by a power of two
// is compiled to a product); exp and log are ours, because
// the library's differ between architectures. A test looks for fused instructions
// in what is compiled for arm64.

// Nats is the logarithm of an e-value in units of 2^-24 nats. Whatever is
// rounded into it is rounded down, so that an e-value is never overstated.
type Nats int64

const (
	natsUnit = 1 << 24
	// Never is the logarithm of an e-value of 0.
	Never Nats = math.MinInt64
	// mostNats bounds one picture's evidence, so that sums cannot overflow.
	mostNats Nats = 1 << 20 * natsUnit
)

// ln2 in two parts, the first with zeros at its end (FreeBSD msun, e_log.c).
const (
	ln2Hi = 6.93147180369123816490e-01
	ln2Lo = 1.90821492927058770002e-10
	log2E = 1.44269504088896338700e+00
)

// exp is e^x within an ulp; 0 below -700, e^700 above 700 (FreeBSD msun, e_exp.c).
func exp(x float64) float64 {
	if !(x >= -700) {
		return 0
	}
	x = min(x, 700)
	k := math.Floor(float64(x*log2E) + 0.5)
	hi, lo := x-float64(k*ln2Hi), float64(k*ln2Lo)
	r := hi - lo
	t := float64(r * r)
	p := -1.65339022054652515390e-06 + float64(t*4.13813679705723846039e-08)
	p = 6.61375632143793436117e-05 + float64(t*p)
	p = -2.77777777770155933842e-03 + float64(t*p)
	p = 1.66666666666666019037e-01 + float64(t*p)
	c := r - float64(t*p)
	y := 1 - ((lo - float64(float64(r*c)/(2-c))) - hi)
	return math.Float64frombits(uint64(int64(math.Float64bits(y)) + int64(k)<<52))
}

// log is the natural logarithm of a normal positive x within an ulp; -Inf for
// all that is smaller (FreeBSD msun, e_log.c).
func log(x float64) float64 {
	const smallest = 0x1p-1022
	if !(x >= smallest) {
		return math.Inf(-1)
	}
	b := math.Float64bits(x)
	k := int(b>>52) - 1022
	f := math.Float64frombits(b&(1<<52-1) | 1022<<52) // 0.5 <= f < 1
	if f < math.Sqrt2/2 {
		f *= 2
		k--
	}
	f--
	s := f / (2 + f)
	s2 := float64(s * s)
	s4 := float64(s2 * s2)
	a := 2.222219843214978396e-01 + float64(s4*1.531383769920937332e-01)
	a = 3.999999999940941908e-01 + float64(s4*a)
	a = float64(s4 * a)
	b1 := 1.818357216161805012e-01 + float64(s4*1.479819860511658591e-01)
	b1 = 2.857142874366239149e-01 + float64(s4*b1)
	b1 = 6.666666666666735130e-01 + float64(s4*b1)
	b1 = float64(s2 * b1)
	sum := a + b1
	half := float64(float64(0.5*f) * f)
	n := float64(k)
	return float64(n*ln2Hi) - ((half - (float64(s*(half+sum)) + float64(n*ln2Lo))) - f)
}

// down is f nats, rounded down.
func down(f float64) Nats {
	switch {
	case f <= -float64(mostNats/natsUnit):
		return Never
	case f >= float64(mostNats/natsUnit):
		return mostNats
	}
	return Nats(math.Floor(f * natsUnit)) // a power of two: exact
}

// float is l in nats. Exact below 2^53 units, which all sums of ours are.
func (l Nats) float() float64 { return float64(float64(l) / natsUnit) }

// plus is the logarithm of a product, Never if either factor is.
func (l Nats) plus(o Nats) Nats {
	if l == Never || o == Never {
		return Never
	}
	return l + o
}

// Millibits is l in thousandths of a bit, rounded down; the least int64 / 2 for Never.
func (l Nats) Millibits() int64 {
	if l == Never {
		return math.MinInt64 / 2
	}
	// 1000/ln 2 in units of 2^-40, rounded down for gains and up for losses; with
	// the 2^24 of Nats the high word of the product is whole millibits.
	const scale = 1586259972792187
	if l >= 0 {
		hi, _ := bits.Mul64(uint64(l), scale)
		return int64(hi)
	}
	hi, lo := bits.Mul64(uint64(-l), scale+1)
	if lo > 0 {
		hi++
	}
	return -int64(hi)
}

// logSum is the logarithm of a sum of e-values with weights given as logs, in
// the order given, rounded down.
func logSum(logs []float64) float64 {
	top := math.Inf(-1)
	for _, l := range logs {
		top = max(top, l)
	}
	if math.IsInf(top, -1) {
		return top
	}
	var sum float64
	for _, l := range logs {
		sum += exp(l - top)
	}
	return top + log(sum)
}

// logAdd is log(e^a + e^b), rounded down.
func logAdd(a, b Nats) Nats {
	if a < b {
		a, b = b, a
	}
	if b == Never {
		return a
	}
	return a + down(log(1+exp((b-a).float())))
}
