package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"path/filepath"

	"birdring/registry/sqlstore"
)

const (
	perState = 500_000 // exposures whose state is measured
	together = 1000    // stored in one transaction
)

// measureState stores exposures as they come - at random among decoys and
// accounts, each later than the one before - and measures what they take.
func measureState(ctx context.Context, b *bench, engine string) (err error) {
	dir, url, err := b.place("state", engine)
	if err != nil {
		return err
	}
	reg, _, err := setUp(ctx, dir, url)
	if err != nil {
		return err
	}
	if err := reg.Close(); err != nil {
		return err
	}
	if url == "" {
		url = filepath.Join(dir, "registry.db")
	}
	db, err := sqlstore.Open(ctx, url, sqlstore.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	measure := pagesOf
	if engine == "postgres" {
		measure = relationOf
	}
	before, err := measure(ctx, db)
	if err != nil {
		return err
	}
	rng := rand.New(rand.NewPCG(5, 6))
	for from := 0; from < perState; from += together {
		some := iter.Seq[[]any](func(yield func([]any) bool) {
			for i := range together {
				if !yield([]any{int64(1 + rng.IntN(4)), int64(65536 + rng.IntN(accounts)), begun + int64(from+i), int64(1)}) {
					return
				}
			}
		})
		err := db.Write(ctx, func(tx *sql.Tx) error {
			_, err := db.Bulk(ctx, tx, "exposures", []string{"decoy", "viewer", "at", "surface"}, some)
			return err
		})
		if err != nil {
			return err
		}
	}
	after, err := measure(ctx, db)
	if err != nil {
		return err
	}
	f := figure{Figure: "state of an exposure, as they come", Engine: engine, Got: (after - before) / perState, Unit: "bytes"}
	f.Detail = fmt.Sprintf("at random among decoys and accounts, without accounts; 10 billion take %.0f GB", f.Got*10)
	if engine == "sqlite" {
		f.Most = 40
	} else {
		f.Detail += "; of every row PostgreSQL itself takes 28 bytes, of its entry in the key 12"
	}
	return b.say(f)
}

// relationOf is how many bytes PostgreSQL keeps of exposures, key and all.
func relationOf(ctx context.Context, db *sqlstore.DB) (bytes float64, err error) {
	err = db.Read().QueryRowContext(ctx, `SELECT CAST(pg_total_relation_size('exposures') AS double precision)`).Scan(&bytes)
	return bytes, err
}
