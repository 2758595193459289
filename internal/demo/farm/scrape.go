package farm

import (
	"context"
	"slices"
)

// Taken is one picture that a scraper took, with what it knew about it.
type Taken struct {
	Profile Account
	Post    Status // zero for an avatar
	Data    []byte
}

// Haul is what a scraping run brought home.
type Haul struct {
	Profiles []Account
	Pictures []Taken
}

// Wish says what a scraper wants.
type Wish struct {
	Handles  []string // only these profiles; empty: whatever the directory shows
	Profiles int      // at most so many profiles an account
	Posts    int      // at most so many posts a profile
	Stories  bool     // stories only
}

// Scrape takes everything the wish names through the accounts, each account
// working through its own directory: what two accounts both see is taken once,
// by the first.
func Scrape(ctx context.Context, base string, tokens []string, w Wish) (Haul, error) {
	var h Haul
	seen := map[string]bool{}
	for _, token := range tokens {
		c := NewClient(base, token)
		profiles, err := c.wanted(ctx, w)
		if err != nil {
			return h, err
		}
		for _, p := range profiles {
			if seen[p.ID] {
				continue
			}
			seen[p.ID] = true
			if err := c.take(ctx, p, w, &h); err != nil {
				return h, err
			}
		}
	}
	return h, nil
}

func (c *Client) wanted(ctx context.Context, w Wish) ([]Account, error) {
	if len(w.Handles) == 0 {
		return c.Directory(ctx, w.Profiles)
	}
	var out []Account
	for _, handle := range w.Handles {
		p, err := c.Lookup(ctx, handle)
		if gone(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, nil
}

// take copies one profile into the haul.
func (c *Client) take(ctx context.Context, p Account, w Wish, h *Haul) error {
	posts, err := c.Statuses(ctx, p.ID, 40)
	if gone(err) {
		return nil
	}
	if err != nil {
		return err
	}
	if w.Stories {
		posts = slices.DeleteFunc(posts, func(s Status) bool { return !s.Story() })
		if len(posts) == 0 {
			return nil
		}
	}
	h.Profiles = append(h.Profiles, p)
	if !w.Stories && p.Avatar != "" {
		if err := c.keep(ctx, h, Taken{Profile: p}, p.Avatar); err != nil {
			return err
		}
	}
	for _, s := range posts[:min(len(posts), w.Posts)] {
		for _, m := range s.Media {
			if err := c.keep(ctx, h, Taken{Profile: p, Post: s}, m.URL); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *Client) keep(ctx context.Context, h *Haul, t Taken, link string) error {
	data, err := c.Picture(ctx, link)
	if gone(err) {
		return nil
	}
	if err != nil {
		return err
	}
	t.Data = data
	h.Pictures = append(h.Pictures, t)
	return nil
}
