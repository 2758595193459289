package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"time"

	_ "github.com/mattn/go-sqlite3" // the driver of the bare insert

	"birdring/beacon"
	"birdring/beacon/journal"
	"birdring/canary"
	"birdring/registry"
)

const (
	ingestRows = 60_000
	perTx      = 5000
)

// measureIngest takes a journal of distinct hits into a registry, and inserts the
// same rows into the same table by hand: one prepared statement, transactions of
// 5,000, SQLite with synchronous=FULL.
func measureIngest(ctx context.Context, b *bench) error {
	hits := make([]beacon.Hit, ingestRows)
	at := time.Now().UTC().Truncate(time.Microsecond)
	for i := range hits {
		hits[i] = beacon.Hit{
			ID: fmt.Sprintf("0193%04x-%04x-7000-8000-%012x", i>>16, i&0xffff, i*2654435761&0xffffffffffff), At: at.Add(time.Duration(i) * time.Microsecond),
			Kind: beacon.KindLink, Token: canary.Token{Kind: canary.KindLink, Object: uint32(i % 4096), Viewer: canary.FirstViewer + canary.Viewer(i)},
			Method: "GET", Host: "media.example", Path: "/l/" + fmt.Sprintf("%028d", i), Status: 200,
			Addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, byte(i >> 8), byte(i)}), uint16(i)).String(), UserAgent: benchAgent,
		}
	}
	var ratio, our, bare []float64
	for round := range b.rounds {
		dir := filepath.Join(b.dir, fmt.Sprintf("ingest-%d", round))
		p, err := bareInsert(ctx, dir+"-bare", hits)
		if err != nil {
			return err
		}
		o, err := ingest(ctx, dir, hits)
		if err != nil {
			return err
		}
		progress("  round %d: bare %.0f rows/s, ingest %.0f rows/s", round+1, p, o)
		ratio, our, bare = append(ratio, o/p), append(our, o), append(bare, p)
	}
	b.add(row{name: "ingest into SQLite (FULL), against a bare insert of the same rows", got: median(ratio), target: 0.8, detail: fmt.Sprintf("%.0f/s and %.0f/s", median(our), median(bare))})
	return nil
}

func ingest(ctx context.Context, dir string, hits []beacon.Hit) (perSecond float64, err error) {
	if _, err := registry.Init(ctx, dir); err != nil {
		return 0, err
	}
	r, err := registry.Open(ctx, dir, registry.Options{})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	j, err := journal.Open(filepath.Join(dir, "journal"))
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, j.Close()) }()
	for _, h := range hits {
		rec, err := h.MarshalBinary()
		if err != nil {
			return 0, err
		}
		if err := j.Append(rec); err != nil {
			return 0, err
		}
	}
	begin := time.Now()
	n, err := r.IngestJournal(ctx, j)
	if err == nil && n != len(hits) {
		err = fmt.Errorf("%d of %d hits were taken in", n, len(hits))
	}
	return float64(n) / time.Since(begin).Seconds(), err
}

func bareInsert(ctx context.Context, dir string, hits []beacon.Hit) (perSecond float64, err error) {
	if _, err := registry.Init(ctx, dir); err != nil { // for the table and its indexes
		return 0, err
	}
	db, err := sql.Open("sqlite3", "file:"+filepath.Join(dir, "registry.db")+"?_journal_mode=WAL&_synchronous=FULL")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	db.SetMaxOpenConns(1)
	begin := time.Now()
	for from := 0; from < len(hits); from += perTx {
		tx, err := db.BeginTx(ctx, nil)
		if err != nil {
			return 0, err
		}
		stmt, err := tx.PrepareContext(ctx, `INSERT INTO hits (id, at, kind, token_kind, object, viewer, name, qtype, subnet, method, host, path, status, bytes, address, user_agent, referer, origin, sha256, self, proto, cookie, proved, via)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`)
		if err != nil {
			return 0, errors.Join(err, tx.Rollback())
		}
		for _, h := range hits[from:min(from+perTx, len(hits))] {
			if _, err := stmt.ExecContext(ctx, h.ID, h.At.UnixMicro(), h.Kind, h.Token.Kind, h.Token.Object, h.Token.Viewer,
				h.Name, h.QType, h.Subnet, h.Method, h.Host, h.Path, h.Status, h.Bytes, h.Addr, h.UserAgent, h.Referer, h.Origin, h.SHA256, h.Self,
				h.Proto, h.Cookie, h.Proved, h.Via); err != nil {
				return 0, errors.Join(err, tx.Rollback())
			}
		}
		if err := tx.Commit(); err != nil {
			return 0, err
		}
	}
	return float64(len(hits)) / time.Since(begin).Seconds(), nil
}
