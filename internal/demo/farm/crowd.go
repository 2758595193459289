package farm

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"sync"
)

// Crowd lets every account look around once: its directory, a few profiles and
// some of their pictures. workers accounts look at the same time; done is called after each.
func Crowd(ctx context.Context, base string, tokens []string, workers int, seed uint64, done func()) error {
	queue := make(chan int)
	errs := make(chan error, workers)
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for i := range queue {
				rng := rand.New(rand.NewPCG(seed, uint64(i)))
				if err := look(ctx, NewClient(base, tokens[i]), rng); err != nil {
					select {
					case errs <- err:
					default:
					}
				}
				done()
			}
		})
	}
	for i := range tokens {
		queue <- i
	}
	close(queue)
	wg.Wait()
	close(errs)
	return <-errs
}

// look is one person's visit.
func look(ctx context.Context, c *Client, rng *rand.Rand) error {
	profiles, err := c.Directory(ctx, 80)
	if err != nil || len(profiles) == 0 {
		return err
	}
	for range 2 {
		p := profiles[rng.IntN(len(profiles))]
		posts, err := c.Statuses(ctx, p.ID, 20)
		if gone(err) {
			continue
		}
		if err != nil {
			return err
		}
		if len(posts) == 0 {
			continue
		}
		post := posts[rng.IntN(len(posts))]
		for _, m := range post.Media {
			if _, err := c.Picture(ctx, m.URL); err != nil && !gone(err) {
				return err
			}
		}
	}
	return nil
}

// gone says whether an answer was 404 or 410: a story ran out between two requests.
func gone(err error) bool {
	var s *StatusError
	return errors.As(err, &s) && (s.Code == http.StatusNotFound || s.Code == http.StatusGone)
}
