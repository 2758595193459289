package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"birdring/beacon"
	"birdring/beacon/journal"
	"birdring/canary"
)

// said is the first line of one of our servers.
type said struct {
	DNS  string `json:"dns,omitempty"`
	HTTP string `json:"http,omitempty"`
	TLS  string `json:"tls,omitempty"`
}

const keysName = "keys.json"

// benchKeys makes the keys that our servers and the load share.
func benchKeys(dir string) (*canary.Keyring, error) {
	keys, err := canary.NewKeyring()
	if err != nil {
		return nil, err
	}
	data, err := keys.Marshal()
	if err != nil {
		return nil, err
	}
	return keys, os.WriteFile(filepath.Join(dir, keysName), data, 0o600)
}

// serve is one of our servers: journal and all, and nothing that takes hits in.
func serve(ctx context.Context, role, dir string) error {
	if role == "rest" {
		return serveRest(ctx, dir)
	}
	data, err := os.ReadFile(filepath.Join(dir, keysName))
	if err != nil {
		return err
	}
	keys, err := canary.ParseKeyring(data)
	if err != nil {
		return err
	}
	j, err := journal.Open(filepath.Join(dir, "journal"))
	if err != nil {
		return err
	}
	var hello said
	switch role {
	case "dns", "keep": // keep: the journal is wanted afterwards
		d, err := beacon.ServeDNS(ctx, beacon.DNSConfig{
			Addr: "127.0.0.1:0", Zone: benchZone, A: []netip.Addr{netip.MustParseAddr("127.0.0.1")}, Keyring: keys, Journal: j,
			Limit: beacon.RateLimit{PerSecond: 1 << 20}, // of one address: the load's
		})
		if err != nil {
			return err
		}
		hello.DNS = d.Addr()
	case "http":
		if hello, err = serveHTTP(ctx, keys, j, dir); err != nil {
			return err
		}
	default:
		return fmt.Errorf("role %q", role)
	}
	if err := json.NewEncoder(os.Stdout).Encode(hello); err != nil {
		return err
	}
	tick := time.NewTicker(100 * time.Millisecond)
	for {
		select {
		case <-ctx.Done():
			return j.Close()
		case <-tick.C:
		}
		if role == "keep" {
			continue
		}
		if _, err := j.Remove(j.End()); err != nil { // as the registry does with what it has taken in
			return err
		}
	}
}

// manyLabels seals n tokens.
func manyLabels(keys *canary.Keyring, n int) []string {
	labels := make([]string, n)
	for i := range labels {
		labels[i] = keys.Seal(canary.Token{Kind: canary.KindLink, Object: uint32(i % 4096), Viewer: canary.FirstViewer + canary.Viewer(i)})
	}
	return labels
}

func measureDNS(ctx context.Context, b *bench) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := pin(loadCore); err != nil {
		return err
	}
	keys, err := benchKeys(b.dir)
	if err != nil {
		return err
	}
	forger, err := canary.NewKeyring()
	if err != nil {
		return err
	}
	valid, err1 := newQueries(manyLabels(keys, 1<<18))
	forged, err2 := newQueries(manyLabels(forger, 1<<18))
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	peer, peerAddr, err := nsd(ctx, b.dir)
	if err != nil {
		return err
	}
	defer peer.kill()
	var hello said
	our, err := ours(ctx, "dns", &hello, "-dir", b.dir)
	if err != nil {
		return err
	}
	defer our.kill()
	written := func() (n int64) {
		files, _ := filepath.Glob(filepath.Join(b.dir, "journal", "*.hits")) // the pattern is right
		for _, f := range files {
			if st, err := os.Stat(f); err == nil {
				n += st.Size()
			}
		}
		return n
	}
	var hit, flood, tail, nsdRate, ourRate, lossless []float64
	var floodBytes int64
	for round := range b.rounds {
		p, err1 := closedLoop(peerAddr, valid, b.each, nil)
		o, err2 := closedLoop(hello.DNS, valid, b.each, nil)
		time.Sleep(300 * time.Millisecond) // whatever is still to be written
		before := written()
		f, err3 := closedLoop(hello.DNS, forged, b.each, nil)
		floodBytes += written() - before
		half := min(p.perSecond, o.perSecond) / 2
		pl, err4 := openLoop(peerAddr, valid, half, b.each)
		ol, err5 := openLoop(hello.DNS, valid, half, b.each)
		if err := errors.Join(err1, err2, err3, err4, err5); err != nil {
			return err
		}
		fmt.Fprintf(os.Stderr, "  round %d: NSD %.0f/s, ours %.0f/s, forged %.0f/s; at %.0f/s p99 NSD %v, ours %v, p50 %v and %v\n",
			round+1, p.perSecond, o.perSecond, f.perSecond, half, pl.p99, ol.p99, pl.p50, ol.p50)
		hit, flood = append(hit, o.perSecond/p.perSecond), append(flood, f.perSecond/p.perSecond)
		tail = append(tail, float64(ol.p99)/float64(pl.p99))
		nsdRate, ourRate = append(nsdRate, p.perSecond), append(ourRate, o.perSecond)
		lossless = append(lossless, float64(o.got)/float64(max(1, o.sent-200)))
	}
	b.add(row{name: "DNS, hit written before the reply, against NSD unlogged", got: median(hit), target: 1, detail: fmt.Sprintf("%.0f/s and %.0f/s, %.4f answered", median(ourRate), median(nsdRate), median(lossless))})
	b.add(row{name: "DNS, flood of forged tokens, against NSD", got: median(flood), target: 1})
	b.add(row{name: "DNS, bytes written by the flood", got: float64(floodBytes), most: true})
	b.add(row{name: "DNS, p99 at half load, against NSD", got: median(tail), target: 1.3, most: true})
	return nil
}
