// Command handles prints the figures of handles, decoys and the matcher, one JSON
// object a line, each with the target it is held to, and last how many there are and
// how many fall short.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"hash/fnv"
	"log"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"birdring/canary"
	"birdring/canary/handle"
	"birdring/internal/critic"
)

// figure is one number and its target.
type figure struct {
	Figure string  `json:"figure"`
	Value  float64 `json:"value"`
	Target string  `json:"target"`
	OK     bool    `json:"ok"`
}

// bench collects figures.
type bench struct{ rows, short int }

func (b *bench) put(what string, value float64, target string, ok bool) {
	b.rows++
	if !ok {
		b.short++
	}
	line, err := json.Marshal(figure{what, math.Round(value*1000) / 1000, target, ok})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(string(line))
}

func (b *bench) most(what string, value, most float64) {
	b.put(what, value, fmt.Sprintf("at most %g", most), value <= most)
}

func (b *bench) least(what string, value, least float64) {
	b.put(what, value, fmt.Sprintf("at least %g", least), value >= least)
}

// told is a figure that is held to nothing.
func (b *bench) told(what string, value float64) { b.put(what, value, "none", true) }

func main() {
	log.SetFlags(0)
	names := flag.String("names", "", "file of real names, one a line; without it handles are not judged")
	rules := flag.String("rules", "2-40:._-", "rules of those names")
	seed := flag.Uint64("seed", 1, "of the attacker, of the draws and of which names of the judging part are taken")
	tune := flag.Bool("tune", false, "leave the judging part out altogether: to try changes of the model on")
	flag.Parse()
	b := &bench{}
	if *names == "" {
		log.Print("no real names: give them with NAMES=FILE to judge handles")
	} else if err := b.handles(*names, *rules, *seed, *tune); err != nil {
		log.Fatal(err)
	}
	if err := b.decoys(); err != nil {
		log.Fatal(err)
	}
	if err := b.matcher(); err != nil {
		log.Fatal(err)
	}
	fmt.Printf("{\"rows\":%d,\"short\":%d}\n", b.rows, b.short)
}

// judged is how many names a side the attacker gets.
const judged = 12000

// part deals names into the judging part and the others by a hash of each, the same for
// ever and for every seed: what the model was changed for was judged by -tune, on names
// that are no judges here.
func part(names []string, tune bool) (fit, judges []string) {
	deal := func(salt, name string) uint64 {
		h := fnv.New64a()
		h.Write([]byte(salt + name))
		v := h.Sum64()
		return (v ^ v>>32) * 0x9e3779b97f4a7c15 >> 20
	}
	for _, n := range names {
		judge := deal("judging", n)%9 < 2
		switch {
		case tune && judge:
		case judge, tune && deal("tuning", n)%4 == 0:
			judges = append(judges, n)
		default:
			fit = append(fit, n)
		}
	}
	return fit, judges
}

// handles fits on one part of the names and judges on another.
func (b *bench) handles(file, rules string, seed uint64, tune bool) error {
	all, err := read(file)
	if err != nil {
		return err
	}
	fit, real := part(all, tune)
	if len(real) < critic.Fewest {
		return fmt.Errorf("%s: %d names are too few", file, len(all))
	}
	rng := rand.New(rand.NewPCG(seed, 0x9a17))
	rng.Shuffle(len(real), func(i, j int) { real[i], real[j] = real[j], real[i] })
	real = real[:min(judged, len(real))]
	r, err := handle.ParseRules(rules)
	if err != nil {
		return err
	}
	log.Printf("fitting to %d names, judging on %d others", len(fit), len(real))
	began := cpu()
	f := handle.NewFitter(r)
	for _, n := range fit {
		f.Add(n) // what is no handle is left out
	}
	m, err := f.Model(nil)
	if err != nil {
		return err
	}
	b.told("fitting, s of processor time", (cpu() - began).Seconds())
	b.most("handle model in MB of memory", float64(m.Size())/1e6, 20)
	b.most("handle model's file in MB", float64(len(m.Marshal()))/1e6, 20)
	for _, floor := range []float64{30, 43} {
		if err := b.floor(m, floor, fit, real, seed); err != nil {
			return err
		}
	}
	p, err := m.Plan(0)
	if err != nil {
		return err
	}
	c := critic.Coincide(p, real, 400000, seed)
	b.put(fmt.Sprintf("coincidences with real names, no floor: %d seen, %.2f predicted, in standard deviations", c.Observed, float64(c.Predicted)),
		float64(c.Z), "-3 to 3", math.Abs(float64(c.Z)) <= 3)
	return nil
}

func (b *bench) floor(m *handle.Model, floor float64, fit, real []string, seed uint64) error {
	p, err := m.Plan(floor)
	if err != nil {
		return err
	}
	c := critic.Coincide(p, real, 20000, seed)
	name := fmt.Sprintf("%g bits: ", floor)
	b.least(name+"fewest bits of 20000 handles", float64(c.Least), floor)
	keys, err := canary.NewKeyring()
	if err != nil {
		return err
	}
	const n = 20000
	began, at := cpu(), uint32(0)
	for range n {
		_, _, at = keys.Handle(p, "bench", at)
		at++
	}
	b.most(name+"µs of processor time a handle", float64((cpu()-began).Nanoseconds())/n/1e3, 20)
	verdicts, err := critic.Check{Plan: p, Real: real, Background: fit, Count: judged, Seed: seed}.Run()
	if err != nil {
		return err
	}
	v := verdicts[len(verdicts)-1]
	b.told(name+"share of draws kept", p.Kept())
	b.told(name+"AUC of the same attacker that the floor alone gives, whatever draws: of real names passed over for it among all", float64(c.AUCLeast))
	b.most(fmt.Sprintf("%sAUC of an attacker who owns the names fitted to (± %.3f)", name, float64(v.Error)), float64(v.AUC), 0.70)
	b.most(name+"share of handles he finds where one real name in a hundred is flagged", float64(v.Recall), 0.08)
	return nil
}

// decoys draws profiles with the bundled model.
func (b *bench) decoys() error {
	keys, err := canary.NewKeyring()
	if err != nil {
		return err
	}
	p, err := canary.DefaultHandleModel().Plan(30)
	if err != nil {
		return err
	}
	var all []critic.Profile
	now, said := time.Now().UTC(), canary.Said{}
	for i := range 2000 {
		id := fmt.Sprint("bench-", i)
		h, _, _ := keys.Handle(p, id, 0)
		d := keys.Persona(canary.PersonaRequest{Decoy: id, Handle: h, Now: now, Posts: 9, Stories: 1, Said: said})
		all = append(all, critic.Profile{Draft: d, Handle: h, At: now})
	}
	for _, l := range critic.Profiles(all, nil, nil) {
		b.put("decoys: "+l.What, l.Value, fmt.Sprintf("%g to %g", l.Low, l.High), l.OK)
	}
	return nil
}

var metric = regexp.MustCompile(`([0-9.e+]+) (MB/cpu-s|x-ripgrep|B/handle)`)

// matcher runs the matcher's benchmark, which fails if a planted handle is missed or
// one is found that is not there.
func (b *bench) matcher() error {
	cmd := exec.Command("go", "test", "-run", "^$", "-bench", "Scan", "-benchtime", "30x", "./beacon/text")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("benchmark of beacon/text: %w\n%s", err, out)
	}
	rates := map[string]float64{}
	for line := range strings.Lines(string(out)) {
		size, ok := strings.CutPrefix(line, "BenchmarkScan/")
		if !ok {
			continue
		}
		size, _, _ = strings.Cut(size, "_")
		for _, m := range metric.FindAllStringSubmatch(line, -1) {
			v, err := strconv.ParseFloat(m[1], 64)
			if err != nil {
				return err
			}
			switch what := fmt.Sprintf("matcher, %s handles: %s", size, m[2]); {
			case m[2] == "x-ripgrep":
				b.least(what, v, 2.5)
			case m[2] == "B/handle":
				b.most(what, v, 32)
			default:
				rates[size] = v
				b.least(what, v, map[bool]float64{true: 300, false: 0}[size == "1000000"])
			}
		}
	}
	b.least("matcher: speed at a million handles by that at a thousand", rates["1000000"]/rates["1000"], 0.5)
	most, tens := "1000000", 3.0
	if rates["10000000"] > 0 {
		most, tens = "10000000", 4
	}
	b.told("matcher: ns more a byte for ten times the handles, from a thousand to "+most, (1000/rates[most]-1000/rates["1000"])/tens)
	return nil
}

func read(file string) (out []string, err error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	err = critic.ReadNames(bufio.NewReader(bytes.NewReader(data)), func(_ int, name string) error {
		out = append(out, strings.ToLower(name))
		return nil
	})
	return out, err
}

// cpu is the processor time of this process: what else runs does not count.
func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		log.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
