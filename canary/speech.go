package canary

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// speech is how people of one language write captions and bios: sentences with
// slots in braces, and what goes into each. A sentence is drawn, then each of its
// slots, so that a few pages of phrases make tens of thousands of texts. All of it
// was written for this project.
type speech struct {
	captions, bios []string
	slots          map[string][]string
	silent         uint32 // bios in a hundred that are empty
}

// newSpeech reads sentences one a line, and slots as "name: one|another" one a line.
func newSpeech(silent uint32, captions, bios, slots string) *speech {
	s := &speech{captions: sentences(captions), bios: sentences(bios), slots: map[string][]string{}, silent: silent}
	for _, line := range sentences(slots) {
		name, options, _ := strings.Cut(line, ": ")
		s.slots[name] = append(s.slots[name], strings.Split(options, "|")...)
	}
	return s
}

func sentences(s string) (out []string) {
	for line := range strings.Lines(s) {
		if line = strings.TrimSpace(line); line != "" {
			out = append(out, line)
		}
	}
	return out
}

// draw fills the slots of one of some sentences. A slot that comes twice is drawn
// anew each time, and never says the same twice.
func (s *speech) draw(from []string, next func(uint32) uint32) string {
	text := from[next(uint32(len(from)))]
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(text, "{")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		var slot string
		slot, text, _ = strings.Cut(rest, "}")
		options := s.slots[slot]
		word := options[next(uint32(len(options)))]
		for tries := 0; tries < 4 && strings.Contains(b.String(), word); tries++ {
			word = options[next(uint32(len(options)))]
		}
		b.WriteString(word)
	}
}

// endings are put behind a text in some of the cases, most often nothing.
var endings = strings.Split("||||||||||.|.|!|...| ☀️| ❤️| ✨| 🌊| 😍| 🙌| 🍂| ☕| 😅| 📷", "|")

// caption is a text of a post, the first letter small or capital.
func (s *speech) caption(next func(uint32) uint32) string {
	text := s.draw(s.captions, next)
	if next(2) == 0 {
		r, n := utf8.DecodeRuneInString(text)
		text = string(unicode.ToUpper(r)) + text[n:]
	}
	return text + endings[next(uint32(len(endings)))]
}

// bio is what a persona says of itself, nothing in some cases.
func (s *speech) bio(next func(uint32) uint32) string {
	if next(100) < s.silent {
		return ""
	}
	return s.draw(s.bios, next)
}

// Said are texts that decoys have said: two decoys with the same caption would give
// each other away.
type Said map[string]bool

// fresh draws until a text was not said before, a hundred times at most, and notes it.
func (s Said) fresh(draw func() string) string {
	text := draw()
	for tries := 0; tries < 100 && text != "" && s[text]; tries++ {
		text = draw()
	}
	if s != nil && text != "" {
		s[text] = true
	}
	return text
}
