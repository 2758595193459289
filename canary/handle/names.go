package handle

import "strings"

// Fold is the form in which two handles are taken for one: separators dropped,
// signs that look alike made one. Handles of decoys must differ in it.
func Fold(handle string) string {
	b := make([]byte, 0, maxSigns)
	for _, c := range []byte(strings.ToLower(handle)) {
		switch c {
		case '.', '_', '-':
			continue
		case '0':
			c = 'o'
		case '1', 'i':
			c = 'l'
		case 'n':
			if len(b) > 0 && b[len(b)-1] == 'r' {
				b[len(b)-1] = 'm'
				continue
			}
		}
		b = append(b, c)
	}
	return string(b)
}

// Names is a set of names known by their folded forms: a Bloom filter with four
// bits a name. It never forgets one, and takes one in a hundred others for known
// while it holds as many as it was made for.
type Names struct {
	bits []uint64 // a power of two of them, or none
}

// newNames makes room for n names, ten bits each and more.
func newNames(n int) *Names {
	if n == 0 {
		return &Names{}
	}
	size := 1
	for size*64 < 10*n {
		size *= 2
	}
	return &Names{make([]uint64, size)}
}

// nameHash is FNV-1a with a finish, over a folded form.
func nameHash(folded string) uint64 {
	h := uint64(0xcbf29ce484222325)
	for i := range len(folded) {
		h = (h ^ uint64(folded[i])) * 0x100000001b3
	}
	return spread(h ^ h>>32)
}

// Key is a 64-bit hash of a name's folded form.
func Key(name string) uint64 { return nameHash(Fold(name)) }

func (n *Names) add(h uint64) {
	for range 4 {
		n.bits[h>>6&uint64(len(n.bits)-1)] |= 1 << (h & 63)
		h = spread(h + 0x632be59bd9b4e019)
	}
}

// Has says whether a name may be in the set.
func (n *Names) Has(name string) bool {
	if len(n.bits) == 0 {
		return false
	}
	h := nameHash(Fold(name))
	for range 4 {
		if n.bits[h>>6&uint64(len(n.bits)-1)]>>(h&63)&1 == 0 {
			return false
		}
		h = spread(h + 0x632be59bd9b4e019)
	}
	return true
}

// Given is the set of handles given out, in which no two are alike: their folded
// forms differ, and none is a part of another that separators bound, so that a
// text which holds one never seems to hold the other. The zero value is empty.
type Given struct {
	folded, whole, spans map[string]bool
}

// Add takes a handle in.
func (g *Given) Add(h string) {
	if g.folded == nil {
		g.folded, g.whole, g.spans = map[string]bool{}, map[string]bool{}, map[string]bool{}
	}
	g.folded[Fold(h)], g.whole[h] = true, true
	eachSpan(h, func(s string) { g.spans[s] = true })
}

// Clash says whether h is too like one of the set.
func (g *Given) Clash(h string) bool {
	if g.folded[Fold(h)] || g.spans[h] {
		return true
	}
	clash := false
	eachSpan(h, func(s string) { clash = clash || g.whole[s] })
	return clash
}

// eachSpan visits the parts of h that reach from one separator, or end, to another.
func eachSpan(h string, visit func(span string)) {
	for from := range len(h) {
		if from > 0 && !separator(h[from-1]) {
			continue
		}
		for to := from + 1; to <= len(h); to++ {
			if to == len(h) || separator(h[to]) {
				visit(h[from:to])
			}
		}
	}
}

// offensiveWords must not stand in a folded handle, in any of the bundled
// languages; the operator's own lists come on top of them.
var offensiveWords = foldAll(`sex porn porno fuck shit cunt nazi hitler rapist slut whore nigg fagg bitch dildo penis vagina cock
	pussy xxx incest pedo kkk heil puta puto mierda verga cabron pendejo marica culo merde fick hure fotze schlampe arsch kurva putain salope encule connard
	siktir orospu amcik gotveren caralho buceta foda viado piroca bangsat memek kontol ngentot anjing jembut chutiya bhosd madarchod randi
	gaand killer terrorist suicide anorex`)

// officialWords claim to speak for the platform.
var officialWords = foldAll(`admin support official moderator helpdesk verified security customercare staff`)

func foldAll(s string) []string {
	out := strings.Fields(s)
	for i := range out {
		out[i] = Fold(out[i])
	}
	return out
}

// plain undoes the digits that stand for letters, beyond what Fold makes alike.
var plain = strings.NewReplacer("3", "e", "4", "a", "5", "s", "7", "t", "8", "b")

func offensive(h string) bool {
	folded := Fold(h)
	leet := folded
	if strings.ContainsAny(folded, "34578") {
		leet = plain.Replace(folded)
	}
	for _, list := range [][]string{offensiveWords, officialWords} {
		for _, w := range list {
			if strings.Contains(folded, w) || leet != folded && strings.Contains(leet, w) {
				return true
			}
		}
	}
	return false
}

// famousNames are brands and people whose double a decoy must not seem to be:
// the most followed accounts and best-known services (2026).
var famousNames = func() map[string]bool {
	m := map[string]bool{}
	for _, w := range foldAll(`instagram facebook whatsapp youtube tiktok twitter telegram snapchat pinterest linkedin mastodon reddit discord twitch spotify netflix
		google apple microsoft amazon samsung huawei xiaomi openai anthropic chatgpt nvidia tesla spacex disney marvel pixar lego nike adidas puma gucci prada chanel dior
		louisvuitton versace zara sephora starbucks mcdonalds cocacola pepsi redbull heineken ikea walmart paypal visa mastercard coinbase binance airbnb uber
		natgeo nasa unicef cnn bbcnews nytimes reuters aljazeera foxnews espn nba nfl fifa uefa realmadrid fcbarcelona juventus liverpoolfc manutd chelseafc arsenal
		cristiano leomessi neymarjr kylianmbappe virat kohli lebron selenagomez therock kyliejenner arianagrande kimkardashian beyonce taylorswift justinbieber
		kendalljenner nickiminaj jlo khloekardashian mileycyrus katyperry zendaya badgalriri rihanna iamcardib billieeilish ladygaga dualipa shakira adele drake eminem
		kevinhart ronaldinho davidbeckham vindiesel emmawatson oprah ellendegeneres barackobama joebiden donaldtrump realdonaldtrump elonmusk billgates zuck
		narendramodi jokowi erdogan lula bolsonaro macron scholz ramzan shahrukh priyankachopra deepikapadukone shraddhakapoor aliaabhatt akshaykumar
		raffinagita ayutingting anitta whindersson mrbeast pewdiepie charlidamelio khaby bts blackpink lisa jennie`) {
		m[w] = true
	}
	return m
}()

// longFamous are those that are long enough to have a double one sign away.
var longFamous = func() (out []string) {
	for name := range famousNames {
		if len(name) >= 6 {
			out = append(out, name)
		}
	}
	return out
}()

// famous says whether a handle without its closing digits is a famous name, one
// sign changed, added or left out.
func famous(h string) bool {
	f := Fold(strings.TrimRight(h, "0123456789_.-"))
	if len(f) < 4 {
		return false
	}
	if famousNames[f] {
		return true
	}
	if len(f) < 6 { // short names have too many neighbours
		return false
	}
	for _, name := range longFamous {
		// One edit leaves the first sign or the last.
		if (f[0] == name[0] || f[len(f)-1] == name[len(name)-1]) && nearly(f, name) {
			return true
		}
	}
	return false
}

// nearly says whether one edit at most makes a into b.
func nearly(a, b string) bool {
	if len(a) > len(b) {
		a, b = b, a
	}
	if len(b)-len(a) > 1 {
		return false
	}
	i := 0
	for i < len(a) && a[i] == b[i] {
		i++
	}
	if len(a) == len(b) {
		return i == len(a) || a[i+1:] == b[i+1:]
	}
	return a[i:] == b[i+1:]
}
