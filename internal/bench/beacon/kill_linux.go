package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/miekg/dns"

	"birdring/beacon"
	"birdring/beacon/journal"
	"birdring/canary"
)

const killTries = 20

// measureKill kills our server under load, twenty times, and counts answers whose
// hit is not in the journal.
func measureKill(ctx context.Context, b *bench) error {
	lost, answered := 0, 0
	for try := range killTries {
		dir := filepath.Join(b.dir, fmt.Sprintf("kill-%d", try))
		if err := os.Mkdir(dir, 0o755); err != nil {
			return err
		}
		l, a, err := killOnce(ctx, dir, time.Duration(150+37*try%200)*time.Millisecond)
		if err != nil {
			return err
		}
		lost, answered = lost+l, answered+a
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
	}
	if answered < 1000*killTries {
		return fmt.Errorf("only %d answers before %d kills: nothing is shown by that", answered, killTries)
	}
	b.add(row{name: "answered but not stored after kill -9, 20 tries", got: float64(lost), most: true, detail: fmt.Sprintf("of %d answered", answered)})
	return nil
}

func killOnce(ctx context.Context, dir string, after time.Duration) (lost, answered int, err error) {
	keys, err := benchKeys(dir)
	if err != nil {
		return 0, 0, err
	}
	q, err := newQueries(manyLabels(keys, 1<<17)) // no token is asked for twice
	if err != nil {
		return 0, 0, err
	}
	var hello said
	c, err := ours(ctx, "keep", &hello, "-dir", dir)
	if err != nil {
		return 0, 0, err
	}
	killed := make(chan struct{})
	time.AfterFunc(after, func() {
		c.kill()
		close(killed)
	})
	seen := map[string]bool{} // labels that were answered
	_, err = closedLoop(hello.DNS, q, after+200*time.Millisecond, func(m []byte) {
		if len(m) > labelAt+28 && binary.BigEndian.Uint16(m[2:])&0x8000 != 0 && m[3]&15 == dns.RcodeSuccess {
			seen[string(m[labelAt:labelAt+28])] = true
		}
	})
	<-killed
	stored := map[canary.Token]bool{}
	_, readErr := journal.Read(filepath.Join(dir, "journal"), journal.Position{}, func(rec []byte, _ journal.Position) error {
		var h beacon.Hit
		if err := h.UnmarshalBinary(rec); err != nil {
			return err
		}
		stored[h.Token] = true
		return nil
	})
	if err := errors.Join(err, readErr); err != nil {
		return 0, 0, err
	}
	for label := range seen {
		t, err := keys.OpenToken(label)
		if err != nil {
			return 0, 0, err
		}
		if !stored[t] {
			lost++
		}
	}
	return lost, len(seen), nil
}
