package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"birdring/beacon"
	"birdring/beacon/journal"
	"birdring/canary"
)

// runSoak loads our server for a time with valid and forged tokens at a rate it
// can bear, and says how many answered hits are missing from the journal; then it
// floods it with forged tokens for as long, and says how its memory grew.
func runSoak(ctx context.Context, d time.Duration) (err error) {
	dir, err := os.MkdirTemp("", "soak-beacon-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	keys, err := benchKeys(dir)
	if err != nil {
		return err
	}
	forger, err := canary.NewKeyring()
	if err != nil {
		return err
	}
	valid, err1 := newQueries(append(manyLabels(keys, 1<<16), manyLabels(forger, 1<<14)...))
	forged, err2 := newQueries(manyLabels(forger, 1<<18))
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	var hello said
	c, err := ours(ctx, "keep", &hello, "-dir", dir)
	if err != nil {
		return err
	}
	defer c.kill()
	const rate = 2000 // hits a second: the journal of ten minutes stays below 200 MB
	progress("soak: %v of mixed load", d)
	mixed, err := openLoop(hello.DNS, valid, rate, d)
	if err != nil {
		return err
	}
	progress("soak: %v of flood", d)
	before, err := memory(c.cmd.Process.Pid)
	if err != nil {
		return err
	}
	flood, err := closedLoop(hello.DNS, forged, d, nil)
	if err != nil {
		return err
	}
	after, err := memory(c.cmd.Process.Pid)
	if err != nil {
		return err
	}
	stored := 0
	_, err = journal.Read(filepath.Join(dir, "journal"), journal.Position{}, func(rec []byte, _ journal.Position) error {
		stored++
		return new(beacon.Hit).UnmarshalBinary(rec)
	})
	wanted := 0
	for i := range mixed.sent {
		if i%len(valid.labels) < 1<<16 {
			wanted++
		}
	}
	fmt.Printf("mixed load: %d sent, %d answered, %d hits of %d stored, %d lost\n", mixed.sent, mixed.got, stored, wanted, max(0, wanted-stored-(mixed.sent-mixed.got)))
	fmt.Printf("flood: %.0f/s; memory %d kB before, %d kB after\n", flood.perSecond, before, after)
	if err != nil {
		return err
	}
	if lost := wanted - stored; lost > mixed.sent-mixed.got {
		return fmt.Errorf("%d hits are missing, %d questions had no answer", lost, mixed.sent-mixed.got)
	}
	if after > before+before/5+4096 {
		return fmt.Errorf("memory grew from %d to %d kB", before, after)
	}
	return nil
}

// memory is what a process holds, in kB.
func memory(pid int) (int, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(data)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			return strconv.Atoi(strings.Fields(rest)[0])
		}
	}
	return 0, errors.New("no VmRSS in /proc")
}
