package canary_test

import (
	"crypto/rand"
	"errors"
	"strings"
	"testing"

	"birdring/canary"
)

func keyring(t testing.TB) *canary.Keyring {
	t.Helper()
	k, err := canary.NewKeyring()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// fixedKeyring is the keyring of the golden vectors.
func fixedKeyring(t testing.TB) *canary.Keyring {
	t.Helper()
	k, err := canary.ParseKeyring([]byte(`{"version":1,"epochs":[{"epoch":1,
		"secret":"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=","nonce":"AAECAwQFBgcICQoLDA0ODw=="}]}`))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestTokenComesBack(t *testing.T) {
	k := keyring(t)
	for _, want := range []canary.Token{
		{Kind: canary.KindLink, Object: 1, Viewer: canary.FirstViewer},
		{Kind: canary.KindPicture, Object: canary.MaxObject, Viewer: canary.MaxTokenViewer},
		{Kind: canary.KindPass},
		{Kind: canary.KindPixel, Object: 1<<24 - 1, Viewer: 1<<36 - 1}, // the last of layout a
		{Kind: canary.KindPicture, Object: 1 << 24, Viewer: 1},
		{Kind: canary.KindLink, Object: 1, Viewer: 1 << 36},
		{Kind: 15, Object: 1<<32 - 1, Viewer: 1<<36 + 4095},
	} {
		s := k.Seal(want)
		if len(s) != canary.TokenLength || strings.Trim(s, "abcdefghijklmnopqrstuvwxyz234567") != "" {
			t.Errorf("token %q: want %d base32 letters", s, canary.TokenLength)
		}
		for _, spelling := range []string{s, strings.ToUpper(s)} {
			got, err := k.OpenToken(spelling)
			if err != nil || got != want || !k.TokenLike(spelling) {
				t.Errorf("%q: got %+v, %v; want %+v", spelling, got, err, want)
			}
		}
	}
}

// Tokens that stand outside keep their meaning: the format is frozen.
func TestTokenV1IsFrozen(t *testing.T) {
	k := fixedKeyring(t)
	got := k.Seal(canary.Token{Kind: canary.KindPicture, Object: 77, Viewer: 70001})
	if want := "aanpmeavsqwttrctv4pbbkfjq2td"; got != want {
		t.Errorf("token %q, want %q", got, want)
	}
	got = k.Seal(canary.Token{Kind: canary.KindPicture, Object: 1 << 24, Viewer: 1<<36 + 70001})
	if want := "abcrld7jmeme7bxkb5eux4rwwtrb"; got != want {
		t.Errorf("token of layout b %q, want %q", got, want)
	}
}

// What has the form of a token is all that can open, and little else.
func TestTokenLike(t *testing.T) {
	k := keyring(t)
	const n = 1 << 20
	like := 0
	for text, i := []byte(strings.ToLower(rand.Text())), 0; i < n; i++ {
		s := string(append([]byte{"abcdefghijklmnopqrstuvwxyz234567"[i%32], "abcdefghijklmnopqrstuvwxyz234567"[i/32%32]}, text...))
		if s = s[:27] + string("abcdefghijklmnopqrstuvwxyz234567"[i/1024%32]); k.TokenLike(s) {
			like++
		}
	}
	// One epoch of 32, two layouts of 32, eight last letters of 32.
	if like != n*2/32/32/4 {
		t.Errorf("%d of %d have the form, want %d", like, n, n*2/32/32/4)
	}
	good := k.Seal(canary.Token{Kind: canary.KindLink, Object: 9, Viewer: 70000})
	for _, s := range []string{"", good[:27], good + "a", "b" + good[1:], good[:1] + "c" + good[2:], good[:27] + "i", good[:5] + "1" + good[6:], good[:5] + "\xff" + good[6:]} {
		if k.TokenLike(s) {
			t.Errorf("%q looks like a token", s)
		}
	}
}

func TestForgedTokensAreRefused(t *testing.T) {
	k, other := keyring(t), keyring(t)
	good := k.Seal(canary.Token{Kind: canary.KindLink, Object: 9, Viewer: 70000})
	forged := []string{"", "a", good[:27], good + "a", other.Seal(canary.Token{Kind: canary.KindLink, Object: 9, Viewer: 70000}), strings.Repeat("a", 28), strings.Repeat("\xff", 28), "ab" + good[2:], "ba" + good[2:]}
	for i := range len(good) {
		c := byte('a')
		if good[i] == 'a' {
			c = 'b'
		}
		forged = append(forged, good[:i]+string(c)+good[i+1:])
	}
	for range 2000 {
		forged = append(forged, "aa"+strings.ToLower(rand.Text()))
	}
	for _, s := range forged {
		if got, err := k.OpenToken(s); !errors.Is(err, canary.ErrForged) {
			t.Errorf("%q opened as %+v, %v", s, got, err)
		}
	}
}

func TestOpenTokenDoesNotAllocate(t *testing.T) {
	k := keyring(t)
	s := k.Seal(canary.Token{Kind: canary.KindLink, Object: 9, Viewer: 70000})
	if n := testing.AllocsPerRun(500, func() { k.OpenToken(s) }); n > 0 {
		t.Errorf("%.1f allocations a check", n)
	}
}

func TestPass(t *testing.T) {
	k := keyring(t)
	if v, err := k.OpenPass(k.ViewerPass(123456)); err != nil || v != 123456 {
		t.Errorf("pass of 123456 opened as %d, %v", v, err)
	}
	if _, err := k.OpenPass(k.Seal(canary.Token{Kind: canary.KindLink, Object: 1, Viewer: 123456})); err == nil {
		t.Error("a link was taken for a pass")
	}
}

func TestKeyringComesBackAndKeepsItsSecrets(t *testing.T) {
	k := keyring(t)
	data, err := k.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	back, err := canary.ParseKeyring(data)
	if err != nil {
		t.Fatal(err)
	}
	if back.Commitment() != k.Commitment() || string(back.PictureKey(1, "p")) != string(k.PictureKey(1, "p")) {
		t.Error("the keyring changed on its way through the file")
	}
	if strings.Contains(k.String(), k.Commitment()) || len(k.String()) > 30 {
		t.Errorf("String says too much: %q", k.String())
	}
	for _, bad := range []string{"", "{}", `{"version":2}`, `{"version":1,"epochs":[{"epoch":1,"secret":"AA==","nonce":"AA=="}]}`} {
		if _, err := canary.ParseKeyring([]byte(bad)); err == nil {
			t.Errorf("%q was taken for a keyring", bad)
		}
	}
	if k.PictureKey(2, "p") != nil {
		t.Error("a key of an epoch that does not exist")
	}
}

// The coin's share of heads is the probability that evidence will use.
func TestCoinIsFairToItsShare(t *testing.T) {
	k := keyring(t)
	heads := 0
	const n = 20000
	for i := range n {
		if k.Coin("acct-"+strings.Repeat("x", i%7)+string(rune('0'+i%10))+rand.Text(), "decoy", .25) {
			heads++
		}
	}
	// Standard deviation 61; six of them.
	if heads < n/4-370 || heads > n/4+370 {
		t.Errorf("%d heads of %d at share .25", heads, n)
	}
	once, again := k.Coin("a", "b", .3), k.Coin("a", "b", .3)
	if once != again || k.Coin("a", "b", 0) || !k.Coin("a", "b", 1) {
		t.Error("the coin is not a function of its inputs")
	}
}

func FuzzOpenToken(f *testing.F) {
	k := fixedKeyring(f)
	f.Add("aaaaaaaaaaaaaaaaaaaaaaaaaaaa")
	f.Fuzz(func(t *testing.T, s string) {
		if tok, err := k.OpenToken(s); err == nil && !strings.EqualFold(k.Seal(tok), s) {
			t.Errorf("%q opened as %+v, which seals differently", s, tok)
		}
	})
}

func BenchmarkOpenToken(b *testing.B) {
	k := keyring(b)
	s := k.Seal(canary.Token{Kind: canary.KindLink, Object: 9, Viewer: 70000})
	b.ReportAllocs()
	for b.Loop() {
		if _, err := k.OpenToken(s); err != nil {
			b.Fatal(err)
		}
	}
}
