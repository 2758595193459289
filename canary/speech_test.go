package canary

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// Every slot is filled, and thousands of different texts come out in each language.
func TestSpeechIsRich(t *testing.T) {
	for i := range locales {
		l := &locales[i]
		rng := rand.New(rand.NewPCG(uint64(i), 9))
		next := func(n uint32) uint32 { return rng.Uint32N(n) }
		captions, bios := map[string]bool{}, map[string]bool{}
		const n = 8000
		for range n {
			c, b := l.speech.caption(next), l.speech.bio(next)
			captions[c], bios[b] = true, true
			for _, s := range []string{c, b} {
				if strings.ContainsAny(s, "{}\n") || !utf8.ValidString(s) || utf8.RuneCountInString(s) > 150 || strings.Contains(s, "  ") {
					t.Fatalf("%s: %q", l.tag, s)
				}
			}
		}
		t.Logf("%s: %d captions, %d bios of %d", l.tag, len(captions), len(bios), n)
		if len(captions) < n*8/10 || len(bios) < n/5 {
			t.Errorf("%s: only %d captions and %d bios of %d differ", l.tag, len(captions), len(bios), n)
		}
		for _, list := range [][]string{l.speech.captions, l.speech.bios} {
			for _, s := range list {
				for _, part := range strings.Split(s, "{")[1:] {
					slot, _, _ := strings.Cut(part, "}")
					if len(l.speech.slots[slot]) < 10 {
						t.Errorf("%s: slot %q has %d phrases", l.tag, slot, len(l.speech.slots[slot]))
					}
				}
			}
		}
	}
}

// A thousand decoys say nothing twice.
func TestNoTextIsSaidTwice(t *testing.T) {
	k, err := NewKeyring()
	if err != nil {
		t.Fatal(err)
	}
	said, seen := Said{}, map[string]string{}
	for i := range 1000 {
		id := fmt.Sprint("decoy", i)
		d := k.Persona(PersonaRequest{Decoy: id, Handle: "xqz", Now: time.Now(), Posts: 6, Said: said})
		texts := []string{d.Bio}
		for _, p := range d.Posts {
			texts = append(texts, p.Caption)
		}
		for _, s := range texts {
			if who, twice := seen[s]; twice && s != "" {
				t.Errorf("%s and %s both say %q", who, id, s)
			}
			seen[s] = id
		}
	}
}
