package text_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"birdring/beacon/text"
)

// handleNo is the n-th of the benchmarks' handles: 8 to 24 signs.
func handleNo(n int) string {
	rng := rand.New(rand.NewPCG(uint64(n), 17))
	syllable := func() string {
		return string("bcdfghjklmnprstvwz"[rng.IntN(18)]) + string("aeiou"[rng.IntN(5)])
	}
	var b strings.Builder
	for b.Len() < 6+rng.IntN(8) {
		b.WriteString(syllable())
	}
	switch rng.IntN(4) {
	case 0:
		b.WriteString("_" + syllable() + syllable())
	case 1:
		b.WriteString("." + syllable() + syllable() + syllable())
	}
	fmt.Fprint(&b, n)
	return b.String()
}

// planted is how many times the corpus holds anna.kowal_93.
var planted int

// corpus is 8 MB of pages as clone sites serve them: mark-up, words, attributes
// with URLs and class lists, embedded JSON, base64 and minified script, with
// anna.kowal_93 in one spelling after the other every 16 kB.
var corpus = sync.OnceValue(func() []byte {
	rng := rand.New(rand.NewPCG(3, 4))
	words := strings.Fields("the a of and to in photo story profile likes comment view all more follow share posts ago day hours beach light morning family coffee friends never always beautiful weekend travelling somewhere sunshine")
	var b strings.Builder
	text := func(n int) {
		for range n {
			b.WriteString(words[rng.IntN(len(words))])
			b.WriteByte(' ')
		}
	}
	next := 0
	planted = 0
	for b.Len() < 8<<20 {
		fmt.Fprintf(&b, "<div class=\"feed-item col-md-%d js-lazy\" id=\"p%d\" data-time=\"2026-11-%02dT10:00:00Z\">\n  <a href=\"/u/%s%d/?ref=home&amp;p=%d\"><img loading=\"lazy\" src=\"https://cdn%d.example.net/v/t51/%x_n.jpg?w=640&amp;sig=%x\" alt=\"\"></a>\n  <p>",
			rng.IntN(12), rng.IntN(1e9), 1+rng.IntN(28), words[rng.IntN(len(words))], rng.IntN(9999), rng.IntN(90), rng.IntN(9), rng.Uint64(), rng.Uint64())
		text(8 + rng.IntN(40))
		b.WriteString("</p>\n  <span class=\"meta\">")
		text(3)
		b.WriteString("</span>\n</div>\n")
		if rng.IntN(12) == 0 {
			fmt.Fprintf(&b, "<script type=\"application/json\">{\"id\":\"%d\",\"user\":{\"name\":\"%s\",\"pic\":\"https:\\/\\/cdn.example.net\\/a\\/%x.jpg\"},\"text\":\"", rng.Uint64(), words[rng.IntN(len(words))], rng.Uint64())
			text(12)
			b.WriteString("\\u00e9\\n\"}</script>\n")
		}
		if rng.IntN(40) == 0 {
			b.WriteString("<img src=\"data:image/png;base64,")
			for range 40 {
				fmt.Fprintf(&b, "%s", strings.ToUpper(fmt.Sprintf("%x", rng.Uint64())))
			}
			b.WriteString("\">\n")
		}
		if b.Len() > next {
			next += 16 << 10
			b.WriteString("<b>" + spellings[planted%len(spellings)] + "</b>\n")
			planted++
		}
	}
	return []byte(b.String())
})

// BenchmarkScan: the cost of a byte among more and more handles, and how much
// faster a thousand are found than by ripgrep, which sees the raw spellings only.
func BenchmarkScan(b *testing.B) {
	data := corpus()
	m, n := matcher("anna.kowal_93"), 0
	sizes := []int{1_000, 100_000, 1_000_000}
	if os.Getenv("BIRDRING_HUGE") != "" {
		sizes = append(sizes, 10_000_000)
	}
	for _, size := range sizes {
		b.Run(fmt.Sprint(size, " handles"), func(b *testing.B) {
			for ; n < size; n++ {
				m.Add(handleNo(n))
			}
			found := 0
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			began := cpu()
			for b.Loop() {
				found = 0
				m.Scan(data, func(text.Match) { found++ })
			}
			// Time of this process alone, so that what else runs does not count.
			each := (cpu() - began).Seconds() / float64(b.N)
			b.ReportMetric(float64(len(data))/each/1e6, "MB/cpu-s")
			b.ReportMetric(float64(m.Overhead())/float64(m.Len()), "B/handle")
			if found != planted {
				b.Errorf("found %d of %d", found, planted)
			}
			if size == 1_000 {
				if r := ripgrep(b, data, size); r > 0 {
					b.ReportMetric(r/each, "x-ripgrep")
				}
			}
		})
	}
}

// cpu is the processor time of this process.
func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// ripgrep is the least processor time of five in which one thread of `rg -F -i`
// reads the corpus, in seconds; its start on one line of text is taken off. 0 without rg.
func ripgrep(b *testing.B, data []byte, handles int) float64 {
	rg, err := exec.LookPath("rg")
	if err != nil {
		return 0
	}
	dir := b.TempDir()
	list := "anna.kowal_93\n"
	for n := range handles {
		list += handleNo(n) + "\n"
	}
	for name, content := range map[string][]byte{"handles": []byte(list), "pages": data, "line": []byte("x\n")} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			b.Fatal(err)
		}
	}
	least := func(file string) time.Duration {
		best := time.Hour
		for range 5 {
			cmd := exec.Command(rg, "-j1", "-F", "-i", "-c", "-f", filepath.Join(dir, "handles"), filepath.Join(dir, file))
			err := cmd.Run()
			if e := new(exec.ExitError); err != nil && (!errors.As(err, &e) || e.ExitCode() != 1) { // 1: nothing found
				b.Fatal(err)
			}
			best = min(best, cmd.ProcessState.UserTime()+cmd.ProcessState.SystemTime())
		}
		return best
	}
	return (least("pages") - least("line")).Seconds()
}
