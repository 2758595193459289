package demo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image/jpeg"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"birdring/internal/demo/clones"
	"birdring/internal/demo/farm"
	"birdring/internal/demo/paint"
	"birdring/internal/demo/platform"
	"birdring/registry"
)

// Supply paints for a planting of so many pictures: photos painted from a seed
// when they are opened, more than are needed, since now and then a painted one
// is too plain to carry a ring (one in seven at the worst seeds seen).
func Supply(seed uint64, pictures int) []registry.Photo { return Painted(seed, 2*pictures+16) }

// Painted returns n photos painted from a seed when they are opened.
func Painted(seed uint64, n int) []registry.Photo {
	sizes := [][2]int{{768, 576}, {576, 768}, {672, 672}, {800, 528}}
	out := make([]registry.Photo, n)
	for i := range out {
		size := sizes[i%len(sizes)]
		out[i] = registry.Photo{
			Name: fmt.Sprintf("painted-%04d.jpg", i+1),
			Open: func() (io.ReadCloser, error) {
				var buf bytes.Buffer
				err := jpeg.Encode(&buf, paint.Scene(seed+uint64(i)*104729, size[0], size[1]), &jpeg.Options{Quality: 95})
				return io.NopCloser(&buf), err
			},
		}
	}
	return out
}

// crew is what a demo of n sites plants: shared decoys with an avatar, a post
// and a story each; a personal one; and dark ones, as many as will be asked for.
func crew(sites int) []registry.PlantRequest {
	live := 0
	for i := range sites {
		if clones.Trades[i%len(clones.Trades)].Live {
			live++
		}
	}
	return []registry.PlantRequest{
		{Decoys: sharedDecoys, Share: 0.3, PerDecoy: 3, Stories: 1, StoryLife: storyLife},
		{Personal: 1, PerDecoy: 2},
		{Dark: live * probesPerSite, PerDecoy: 2},
	}
}

func (s *stage) plant(ctx context.Context) error {
	if s.Seed == 0 {
		s.Seed = rand.Uint64()>>16 | 1
	}
	fmt.Fprintf(s.Log, "painting the pictures from seed %d\n", s.Seed)
	if _, err := registry.InitIn(ctx, s.Dir, s.Database); err != nil {
		return err
	}
	var err error
	if s.reg, err = registry.Open(ctx, s.Dir, registry.Options{Database: s.Database}); err != nil {
		return err
	}
	// The stories begin to run when they are planted: the shared decoys come last.
	for i, q := range slices.Backward(crew(s.Sites)) {
		n := (q.Decoys + q.Personal + q.Dark) * q.PerDecoy
		if n == 0 {
			continue
		}
		q.Photos = Supply(s.Seed+uint64(i)<<32, n)
		q.Progress = func(i, total int, _ string) {
			if i%10 == 0 || i == total {
				fmt.Fprintf(s.Log, "  %d of %d pictures prepared\n", i, total)
			}
		}
		planted, err := s.reg.Plant(ctx, q)
		if err != nil {
			return err
		}
		if q.Decoys > 0 {
			s.shared = avatars(planted, q.Photos)
		}
	}
	return nil
}

// avatars are the photos from which the decoys' first pictures were made.
func avatars(planted []registry.Planted, photos []registry.Photo) []registry.Photo {
	var out []registry.Photo
	for _, p := range planted {
		i := slices.IndexFunc(photos, func(f registry.Photo) bool { return f.Name == p.Photos[0].File })
		out = append(out, photos[i])
	}
	return out
}

// open starts the platform and, beside it, a library of stock pictures: the
// photos some decoys were made from, without any ring.
func (s *stage) open(ctx context.Context) error {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	s.base = "http://" + ln.Addr().String()
	c := platform.Config{
		Registry: s.reg, Base: s.base, Accounts: platform.AccountNames(s.Accounts), Ordinary: ordinaryCount, Seed: s.Seed ^ 0x5eed,
	}
	if s.cluster != nil {
		c.Expose, c.Media = s.cluster.expose, s.cluster.media
	}
	s.platform, err = platform.New(c)
	if err != nil {
		return err
	}
	s.serveOn(ln, s.platform)
	return nil
}

// stock serves the unringed originals of some planted pictures and returns their links.
func (s *stage) stock() ([]string, error) {
	photos := s.shared
	base, err := s.serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for _, p := range photos {
			if strings.TrimPrefix(r.URL.Path, "/") != p.Name {
				continue
			}
			file, err := p.Open()
			if err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
				return
			}
			defer file.Close()
			w.Header().Set("Content-Type", "image/jpeg")
			io.Copy(w, file)
			return
		}
		http.NotFound(w, r)
	}))
	if err != nil {
		return nil, err
	}
	var links []string
	for _, p := range photos {
		links = append(links, base+"/"+p.Name)
	}
	return links, nil
}

// crowdAndClones lets everybody loose at once: people look around while the
// sites' processes copy.
func (s *stage) crowdAndClones(ctx context.Context) error {
	logins := s.platform.Logins()
	tokens := make([]string, len(logins))
	for i, l := range logins {
		tokens[i] = l.Token
	}
	if err := s.startClones(ctx, logins); err != nil {
		return err
	}
	var looked atomic.Int64
	crowd := make(chan error, 1)
	go func() {
		crowd <- farm.Crowd(ctx, s.base, tokens, 16, s.Seed, func() {
			if n := looked.Add(1); n%500 == 0 {
				fmt.Fprintf(s.Log, "  %d accounts have looked around\n", n)
			}
		})
	}()
	var errs []error
	for _, p := range s.sites {
		if err := p.waitCopied(ctx); err != nil {
			errs = append(errs, fmt.Errorf("site %s: %w", p.orders.Kind, err))
		}
	}
	return errors.Join(append(errs, <-crowd)...)
}

// startClones hands each site its accounts: each account feeds at most one site.
func (s *stage) startClones(ctx context.Context, logins []platform.Login) error {
	rng := rand.New(rand.NewPCG(s.Seed, 3))
	order := rng.Perm(len(logins))
	for i := range s.Sites {
		trade := clones.Trades[i%len(clones.Trades)]
		orders := clones.Orders{Kind: trade.Kind, Platform: s.base}
		var accounts []string
		if trade.Kind == "originals" {
			links, err := s.stock()
			if err != nil {
				return err
			}
			orders.Stock = links
		} else {
			for range accountsOf(trade.Kind) {
				if len(order) == 0 {
					return fmt.Errorf("%d accounts are too few for %d sites: give --accounts at least %d", len(logins), s.Sites, 4*s.Sites)
				}
				l := logins[order[0]]
				order = order[1:]
				accounts = append(accounts, l.Account)
				orders.Tokens = append(orders.Tokens, l.Token)
			}
		}
		if trade.Kind == "ordinary" {
			orders.Handles = s.platform.OrdinaryHandles()
		}
		p, err := startSite(ctx, s.Exe, s.CloneArg, orders)
		if err != nil {
			return err
		}
		p.trade, p.truth = trade, accounts
		if !trade.Supply {
			p.truth = nil
		}
		s.sites = append(s.sites, p)
	}
	return nil
}

// accountsOf is how many accounts a trade works with.
func accountsOf(kind string) int {
	switch kind {
	case "octopus":
		return 4
	case "ordinary":
		return 2
	}
	return 3
}

// waitForStories waits until the last story has vanished from the platform.
func (s *stage) waitForStories(ctx context.Context) error {
	decoys, err := s.reg.Decoys(ctx)
	if err != nil {
		return err
	}
	var last time.Time
	for _, d := range decoys {
		for _, p := range d.Posts {
			if p.Expires.After(last) {
				last = p.Expires
			}
		}
	}
	if wait := time.Until(last); wait > 0 && wait < time.Minute {
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}
