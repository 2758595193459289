package canary

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"strings"
	"sync"

	"birdring/canary/handle"
)

// DefaultHandleModel is the bundled model, fitted to names made up for this
// project. It is fit for the demo; a platform's own handles look different.
var DefaultHandleModel = sync.OnceValue(func() *handle.Model {
	rules, err := handle.ParseRules("5-24:_")
	if err != nil {
		panic("canary: internal error: " + err.Error())
	}
	f := handle.NewFitter(rules)
	for _, h := range madeUpHandles(15000) {
		f.Add(h) // one that is too short is left out
	}
	m, err := f.Model(nil)
	if err != nil {
		panic("canary: internal error: " + err.Error()) // the names are always the same
	}
	return m
})

// HandleDraw draws the handles of one decoy: a function of key, decoy and counter,
// so that any handle can be drawn again.
type HandleDraw struct{ block cipher.Block }

// HandleDraw prepares the draws of a decoy, or of whatever else label names.
func (k *Keyring) HandleDraw(label string) HandleDraw {
	block, err := aes.NewCipher(derive(k.root(1), "birdring/handle/v2|"+label, 16))
	if err != nil {
		panic("canary: internal error: aes: " + err.Error()) // only for a bad key length
	}
	return HandleDraw{block}
}

// At draws candidate number counter from a plan. One that is not ok is passed over
// with its reason, and the next counter is tried; bits is what a handle is worth
// (see package handle).
func (d HandleDraw) At(p *handle.Plan, counter uint32) (h string, bits float64, ok bool, why handle.Reason) {
	var in, out [aes.BlockSize]byte
	binary.BigEndian.PutUint32(in[:], counter)
	block, used := uint32(0), len(out)
	return p.Draw(func() uint16 {
		if used == len(out) {
			binary.BigEndian.PutUint32(in[4:], block)
			d.block.Encrypt(out[:], in[:])
			block, used = block+1, 0
		}
		used += 2
		return binary.BigEndian.Uint16(out[used-2:])
	})
}

// Handle draws the first candidate of a decoy from a counter on that the plan's own
// filters let pass, and says which it was.
func (k *Keyring) Handle(p *handle.Plan, decoy string, counter uint32) (h string, bits float64, at uint32) {
	d := k.HandleDraw(decoy)
	for {
		if h, bits, ok, _ := d.At(p, counter); ok {
			return h, bits, counter
		}
		counter++
	}
}

// keyStream draws unbiased numbers from AES-CTR under a derived key.
func (k *Keyring) keyStream(purpose string) func(n uint32) uint32 {
	key := derive(k.root(1), "birdring/"+purpose, 16)
	block, err := aes.NewCipher(key)
	if err != nil {
		panic("canary: internal error: aes: " + err.Error()) // only for a bad key length
	}
	ctr := cipher.NewCTR(block, make([]byte, aes.BlockSize))
	return func(n uint32) uint32 {
		limit := math.MaxUint32 - (math.MaxUint32%n+1)%n
		for {
			var b [4]byte
			ctr.XORKeyStream(b[:], b[:])
			if v := binary.BigEndian.Uint32(b[:]); v <= limit {
				return v % n
			}
		}
	}
}

// madeUpHandles puts n handles together from the locales' names and words in
// the shapes that people use: what the bundled model is fitted to.
func madeUpHandles(n int) []string {
	rng := rand.New(rand.NewPCG(1, 2)) // fixed: the model is part of the program
	// Half of the names are on no list: lists alone are soon drawn empty, and whoever
	// has read them knows them.
	one := func(s []string) string {
		if rng.IntN(2) == 0 {
			return strings.ToLower(s[rng.IntN(len(s))])
		}
		return invented(rng)
	}
	digits := func() string {
		switch rng.IntN(6) {
		case 0:
			return string(byte('0' + rng.IntN(10)))
		case 1, 2, 3:
			return string([]byte{byte('0' + rng.IntN(10)), byte('0' + rng.IntN(10))})
		case 4:
			return string([]byte{byte('1' + rng.IntN(9)), byte('0' + rng.IntN(10)), byte('0' + rng.IntN(10))})
		}
		return []string{"19", "20"}[rng.IntN(2)] + string([]byte{byte('0' + rng.IntN(10)), byte('0' + rng.IntN(10))})
	}
	out := make([]string, 0, n)
	for range n {
		l := &locales[rng.IntN(len(locales))]
		first, last, word := one(l.first), one(l.last), one(l.words)
		sep := []string{"", "", "", "_", "_", "."}[rng.IntN(6)]
		var h string
		switch rng.IntN(9) {
		case 0, 1:
			h = first + sep + last
		case 2:
			h = first + sep + word
		case 3:
			h = word + sep + one(l.words)
		case 4:
			h = first[:1] + sep + last
		case 5:
			h = last + sep + first
		case 6:
			h = first + last[:1+rng.IntN(min(3, len(last)))]
		case 7:
			h = word + sep + last
		case 8:
			h = first + sep + first[:1+rng.IntN(len(first))]
		}
		if rng.IntN(10) < 3 {
			h += digits()
		}
		out = append(out, strings.ReplaceAll(h, ".", "_"))
	}
	return out
}

// invented is a name of two to four syllables that nobody bears.
func invented(rng *rand.Rand) string {
	begin := []string{"b", "br", "c", "d", "f", "g", "h", "j", "k", "kl", "l", "m", "n", "p", "r", "s", "sch", "st", "t", "tr", "v", "w", "y", "z", ""}
	middle := []string{"a", "e", "i", "o", "u", "ai", "ei", "au", "ie", "ou", "a", "e", "i", "o"}
	end := []string{"", "", "", "n", "r", "l", "s", "m", "t", "nd", "ck"}
	var b strings.Builder
	for range 2 + rng.IntN(3) {
		b.WriteString(begin[rng.IntN(len(begin))] + middle[rng.IntN(len(middle))] + end[rng.IntN(len(end))])
	}
	return b.String()[:min(b.Len(), 9)]
}
