package registry

import "math"

// Unseen estimates how many accounts of an operator were never seen.
type Unseen struct {
	Estimator string  `json:"estimator"`
	Seen      int     `json:"seen"`   // accounts
	Events    int     `json:"events"` // finds and probes that named one of them
	Unseen    float64 `json:"unseen"`
	Low       float64 `json:"low"` // 95 % interval
	High      float64 `json:"high"`
}

// chaoName names the estimator; it is a lower bound where some accounts are used
// much more than others.
const chaoName = "Chao1, bias-corrected, log-normal 95 % interval; a lower bound if accounts are used unequally"

// Chao1 estimates unseen accounts from how often each seen one was met (Chao
// 1984, 1987): f1(f1-1) / (2(f2+1)) x (n-1)/n, with f1 and f2 the accounts met once
// and twice of n events.
func Chao1(counts []int) Unseen {
	out := Unseen{Estimator: chaoName}
	var once, twice float64
	for _, n := range counts {
		if n > 0 {
			out.Seen++
			out.Events += n
		}
		switch n {
		case 1:
			once++
		case 2:
			twice++
		}
	}
	if out.Events == 0 {
		return out
	}
	k := float64(out.Events-1) / float64(out.Events)
	out.Unseen = max(0, k*once*(once-1)/(2*(twice+1))) // once = 0 would give -0
	total := float64(out.Seen) + out.Unseen
	var variance float64
	switch {
	case twice > 0:
		a := once * (once - 1) / (2 * (twice + 1))
		variance = k*a + k*k*once*sq(2*once-1)/(4*sq(twice+1)) + k*k*once*once*twice*sq(once-1)/(4*sq(sq(twice+1)))
	case once > 1:
		variance = k*once*(once-1)/2 + k*k*once*sq(2*once-1)/4 - k*k*sq(sq(once))/(4*total)
	default:
		// Everybody met more than once, or one account once: what an account as rarely
		// used as the rarest seen would still hide.
		out.High = math.Ceil(float64(out.Seen) * 3 / float64(out.Events))
		return out
	}
	spread := math.Exp(1.96 * math.Sqrt(math.Log(1+variance/sq(max(out.Unseen, .5)))))
	out.Low, out.High = out.Unseen/spread, max(out.Unseen, .5)*spread
	return out
}

func sq(x float64) float64 { return x * x }
