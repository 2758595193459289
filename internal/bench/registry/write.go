package main

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"image/jpeg"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	_ "github.com/mattn/go-sqlite3" // the driver of the bare inserts

	"birdring/internal/console"
	"birdring/internal/demo/paint"
	"birdring/registry"
)

const (
	accounts = 20_000 // of the platform, all met before
	array    = 100    // exposures in one request
	clients  = 8      // that send requests at once
	perBulk  = 200_000
)

// setUp makes a registry with four decoys of one picture and numbers all accounts.
func setUp(ctx context.Context, dir, url string) (*registry.Registry, []string, error) {
	if _, err := registry.InitIn(ctx, dir, url); err != nil {
		return nil, nil, err
	}
	reg, err := registry.Open(ctx, dir, registry.Options{Database: url})
	if err != nil {
		return nil, nil, err
	}
	var photos []registry.Photo
	for i := range uint64(4) {
		photos = append(photos, registry.Photo{Name: fmt.Sprintf("scene-%d.jpg", i), Open: func() (io.ReadCloser, error) {
			var buf bytes.Buffer
			err := jpeg.Encode(&buf, paint.Scene(i+1, 480, 360), &jpeg.Options{Quality: 92})
			return io.NopCloser(&buf), err
		}})
	}
	planted, err := reg.Plant(ctx, registry.PlantRequest{Decoys: 4, PerDecoy: 1, Photos: photos})
	if err != nil {
		return nil, nil, errors.Join(err, reg.Close())
	}
	var decoys []string
	for _, p := range planted {
		decoys = append(decoys, p.Decoy.ID)
	}
	var csv strings.Builder
	for i := range accounts {
		fmt.Fprintf(&csv, "%s,%s,2020-01-01T00:00:00Z\n", account(i), decoys[0])
	}
	_, _, _, err = reg.ImportExposures(ctx, strings.NewReader(csv.String()))
	return reg, decoys, err
}

func account(i int) string { return fmt.Sprintf("account-%d", i) }

// bare inserts into the table of exposures with the engine's own means.
type bare struct {
	lite *sql.DB
	pg   *pgx.Conn
	n    int64 // rows so far: no two are alike
}

func openBare(ctx context.Context, dir, url string) (*bare, error) {
	if url != "" {
		c, err := pgx.Connect(ctx, url)
		return &bare{pg: c}, err
	}
	db, err := sql.Open("sqlite3", "file:"+filepath.Join(dir, "registry.db")+"?_journal_mode=WAL&_synchronous=FULL&_foreign_keys=1&_txlock=immediate&_busy_timeout=10000")
	if err == nil {
		db.SetMaxOpenConns(1)
	}
	return &bare{lite: db}, err
}

func (x *bare) close(ctx context.Context) error {
	if x.pg != nil {
		return x.pg.Close(ctx)
	}
	return x.lite.Close()
}

// row is a new exposure, at random among decoys and accounts.
func (x *bare) row(rng *rand.Rand) []any {
	x.n++
	return []any{int64(1 + rng.IntN(4)), int64(65536 + rng.IntN(accounts)), 1_600_000_000_000_000 + x.n, int64(1)}
}

const bareInsert = `INSERT INTO exposures (decoy, viewer, at, surface) VALUES ($1, $2, $3, $4)`

// batch inserts n rows in one transaction: a prepared statement a row, on
// PostgreSQL all sent at once.
func (x *bare) batch(ctx context.Context, rng *rand.Rand, n int) error {
	if x.pg != nil {
		b := &pgx.Batch{}
		for range n {
			b.Queue(bareInsert, x.row(rng)...)
		}
		return pgx.BeginFunc(ctx, x.pg, func(tx pgx.Tx) error { return tx.SendBatch(ctx, b).Close() })
	}
	tx, err := x.lite.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	stmt, err := tx.PrepareContext(ctx, bareInsert)
	if err != nil {
		return errors.Join(err, tx.Rollback())
	}
	for range n {
		if _, err := stmt.ExecContext(ctx, x.row(rng)...); err != nil {
			return errors.Join(err, tx.Rollback())
		}
	}
	return tx.Commit()
}

// bulk inserts n rows in one transaction the fastest way: COPY, or one prepared
// statement.
func (x *bare) bulk(ctx context.Context, rng *rand.Rand, n int) error {
	if x.pg == nil {
		return x.batch(ctx, rng, n)
	}
	i := 0
	_, err := x.pg.CopyFrom(ctx, pgx.Identifier{"exposures"}, []string{"decoy", "viewer", "at", "surface"}, pgx.CopyFromFunc(func() ([]any, error) {
		if i++; i > n {
			return nil, nil
		}
		return x.row(rng), nil
	}))
	return err
}

// measureAPI posts exposures over HTTP, arrays and single ones, in turns with
// bare transactions of as many rows.
func measureAPI(ctx context.Context, b *bench, engine string) (err error) {
	dir, url, err := b.place("api", engine)
	if err != nil {
		return err
	}
	reg, decoys, err := setUp(ctx, dir, url)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, reg.Close()) }()
	keys, secret, err := console.OpenKeys(dir)
	if err != nil {
		return err
	}
	c, err := console.New(console.Config{Registry: reg, Keys: keys, PublicURL: "http://127.0.0.1"})
	if err != nil {
		return err
	}
	srv := httptest.NewServer(c)
	defer srv.Close()
	x, err := openBare(ctx, dir, url)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, x.close(ctx)) }()
	rng := rand.New(rand.NewPCG(1, 2))
	load := &load{url: srv.URL + "/v1/exposures", secret: secret, decoys: decoys}
	var ours, theirs, single []float64
	for range b.rounds {
		for _, f := range []struct {
			into *[]float64
			run  func() (float64, error)
		}{
			{&theirs, func() (float64, error) { return x.rate(ctx, rng, b.each) }},
			{&ours, func() (float64, error) { return load.rate(ctx, array, b.each) }},
			{&single, func() (float64, error) { return load.rate(ctx, 1, b.each) }},
		} {
			v, err := f.run()
			if err != nil {
				return err
			}
			*f.into = append(*f.into, v)
		}
	}
	return errors.Join(
		b.say(figure{
			Figure: "POST /v1/exposures, arrays of 100", Engine: engine, Got: median(ours) / median(theirs), Least: 0.5, Unit: "of bare inserts",
			Detail: fmt.Sprintf("%.0f rows/s, %d clients; bare transactions of 100 rows %.0f rows/s", median(ours), clients, median(theirs)),
		}),
		b.say(figure{Figure: "POST /v1/exposures, one each", Engine: engine, Got: median(single), Unit: "rows/s", Detail: fmt.Sprintf("%d clients", clients)}))
}

func (x *bare) rate(ctx context.Context, rng *rand.Rand, each time.Duration) (float64, error) {
	begin, n := time.Now(), 0
	for time.Since(begin) < each {
		if err := x.batch(ctx, rng, array); err != nil {
			return 0, err
		}
		n += array
	}
	return float64(n) / time.Since(begin).Seconds(), nil
}

// load is what clients send.
type load struct {
	url, secret string
	decoys      []string
	n           atomic.Int64 // exposures so far: no two are alike
}

func (l *load) rate(ctx context.Context, size int, each time.Duration) (float64, error) {
	before, begin := l.n.Load(), time.Now()
	var wg sync.WaitGroup
	errs := make([]error, clients)
	for i := range clients {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(i), uint64(before)))
			for time.Since(begin) < each && errs[i] == nil {
				errs[i] = l.post(ctx, rng, size)
			}
		})
	}
	wg.Wait()
	return float64(l.n.Load()-before) / time.Since(begin).Seconds(), errors.Join(errs...)
}

func (l *load) post(ctx context.Context, rng *rand.Rand, size int) error {
	type ask struct {
		Account string    `json:"account"`
		Decoy   string    `json:"decoy"`
		Surface string    `json:"surface"`
		Time    time.Time `json:"time"`
	}
	var asks []ask
	for range size {
		at := time.UnixMicro(1_700_000_000_000_000 + l.n.Add(1)).UTC()
		asks = append(asks, ask{account(rng.IntN(accounts)), l.decoys[rng.IntN(len(l.decoys))], "profile", at})
	}
	var body any = asks
	if size == 1 {
		body = asks[0]
	}
	data, err := json.Marshal(body)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, l.url, bytes.NewReader(data))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+l.secret)
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", resp.Status, answer)
	}
	return err
}

// measureBulk imports a CSV file, in turns with the engine's fastest bare way to
// put as many rows into the same table.
func measureBulk(ctx context.Context, b *bench, engine string) (err error) {
	dir, url, err := b.place("bulk", engine)
	if err != nil {
		return err
	}
	reg, decoys, err := setUp(ctx, dir, url)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, reg.Close()) }()
	x, err := openBare(ctx, dir, url)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, x.close(ctx)) }()
	rng := rand.New(rand.NewPCG(3, 4))
	var ours, theirs []float64
	for round := range b.rounds {
		begin := time.Now()
		if err := x.bulk(ctx, rng, perBulk); err != nil {
			return err
		}
		theirs = append(theirs, perBulk/time.Since(begin).Seconds())
		file := csvOf(rng, decoys, round)
		begin = time.Now()
		if _, stored, _, err := reg.ImportExposures(ctx, strings.NewReader(file)); err != nil || stored != perBulk {
			return fmt.Errorf("%d stored: %w", stored, err)
		}
		ours = append(ours, perBulk/time.Since(begin).Seconds())
	}
	than := map[string]string{"sqlite": "of a prepared batch", "postgres": "of COPY"}[engine]
	return b.say(figure{
		Figure: "expose --from", Engine: engine, Got: median(ours) / median(theirs), Least: 0.7, Unit: than,
		Detail: fmt.Sprintf("%d lines: %.0f rows/s, with reading the file; bare %.0f rows/s", perBulk, median(ours), median(theirs)),
	})
}

func csvOf(rng *rand.Rand, decoys []string, round int) string {
	var out strings.Builder
	for i := range perBulk {
		at := time.UnixMicro(1_650_000_000_000_000 + int64(round*perBulk+i)).UTC()
		fmt.Fprintf(&out, "%s,%s,%s,profile\n", account(rng.IntN(accounts)), decoys[rng.IntN(len(decoys))], at.Format(time.RFC3339Nano))
	}
	return out.String()
}
