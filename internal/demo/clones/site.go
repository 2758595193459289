package clones

import (
	"context"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"

	"birdring/internal/demo/farm"
)

// site serves what was taken.
type site struct {
	orders Orders
	trade  Trade
	mux    *http.ServeMux
	turn   atomic.Uint64 // whose turn it is of the accounts of a live site

	mu       sync.Mutex // guards what follows
	profiles []profile
	files    map[string][]byte // path -> bytes
}

// profile is one republished profile.
type profile struct {
	Path, Name, Title, Note string
	Shots                   []shot
}

// shot is one republished picture.
type shot struct {
	Src, Caption string
}

func newSite(o Orders, t Trade) *site {
	s := &site{orders: o, trade: t, mux: http.NewServeMux(), files: map[string][]byte{}}
	s.mux.HandleFunc("GET /{$}", s.home)
	s.mux.HandleFunc("GET /u/{n}", s.one)
	s.mux.HandleFunc("GET /i/{file}", s.file)
	if t.Live {
		s.mux.HandleFunc("GET /{handle}", s.ask)
	}
	return s
}

func (s *site) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// stockUp takes what the trade lives on.
func (s *site) stockUp(ctx context.Context) error {
	if s.trade.Live {
		return nil
	}
	if len(s.orders.Stock) > 0 {
		return s.stockLibrary(ctx)
	}
	wish := s.trade.wish
	wish.Handles = s.orders.Handles
	haul, err := farm.Scrape(ctx, s.orders.Platform, s.orders.Tokens, wish)
	_, failed := s.publish(haul)
	return errors.Join(err, failed)
}

// stockLibrary copies pictures that are not the platform's.
func (s *site) stockLibrary(ctx context.Context) error {
	c := farm.NewClient("", "")
	var haul farm.Haul
	for i, link := range s.orders.Stock {
		data, err := c.Picture(ctx, link)
		if err != nil {
			return err
		}
		p := farm.Account{ID: fmt.Sprint(i / 4), Username: fmt.Sprintf("wallpapers%02d", i/4), DisplayName: "Wallpapers"}
		if i%4 == 0 {
			haul.Profiles = append(haul.Profiles, p)
		}
		haul.Pictures = append(haul.Pictures, farm.Taken{Profile: p, Data: data})
	}
	_, err := s.publish(haul)
	return err
}

// publish changes the pictures as the trade does and puts them on the site.
// It returns the profiles as they stand there now.
func (s *site) publish(h farm.Haul) ([]profile, error) {
	var errs []error
	var put []profile
	for _, p := range h.Profiles {
		var shots []shot
		for _, t := range h.Pictures {
			if t.Profile.ID != p.ID {
				continue
			}
			data, err := s.trade.change(picture{t.Data})
			if err != nil {
				errs = append(errs, fmt.Errorf("change a picture of %s: %w", p.Username, err))
				continue
			}
			shots = append(shots, shot{Src: s.store(data), Caption: t.Post.Content})
		}
		s.mu.Lock()
		republished := profile{
			Path: fmt.Sprintf("/u/%d", len(s.profiles)), Name: s.trade.rename(p.Username),
			Title: p.DisplayName, Note: p.Note, Shots: shots,
		}
		s.profiles = append(s.profiles, republished)
		s.mu.Unlock()
		put = append(put, republished)
	}
	return put, errors.Join(errs...)
}

func (s *site) store(data []byte) (path string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	path = fmt.Sprintf("/i/%04d.jpg", len(s.files))
	s.files[path] = data
	return path
}

func (s *site) stocked() (profiles, pictures int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.profiles), len(s.files)
}

var page = template.Must(template.New("page").Parse(`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{{.Title}}</title></head><body>
<h1>{{.Title}}</h1>
{{if .Live}}<form action="/" onsubmit="location='/'+this.q.value;return false"><input name="q" placeholder="handle"></form>{{end}}
<ul>{{range .Profiles}}<li><a href="{{.Path}}">{{.Title}} ({{.Name}})</a></li>{{end}}</ul>
{{with .One}}<h2>{{.Title}}</h2><p>{{.Name}}</p><p>{{.Note}}</p>
{{range .Shots}}<figure><img src="{{.Src}}" alt="{{$.Title}}"><figcaption>{{.Caption}}</figcaption></figure>{{end}}{{end}}
</body></html>`))

type view struct {
	Title    string
	Live     bool
	Profiles []profile
	One      *profile
}

func (s *site) show(w http.ResponseWriter, v view) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	page.Execute(w, v)
}

func (s *site) home(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	profiles := slices.Clone(s.profiles)
	s.mu.Unlock()
	s.show(w, view{Title: "Profiles", Live: s.trade.Live, Profiles: profiles})
}

func (s *site) one(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	i := slices.IndexFunc(s.profiles, func(p profile) bool { return p.Path == r.URL.Path })
	var found profile
	if i >= 0 {
		found = s.profiles[i]
	}
	s.mu.Unlock()
	if i < 0 {
		http.NotFound(w, r)
		return
	}
	s.show(w, view{Title: found.Title, One: &found})
}

func (s *site) file(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	data, ok := s.files[r.URL.Path]
	s.mu.Unlock()
	if !ok {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "image/jpeg")
	w.Write(data)
}

// ask answers one question: it fetches the profile through the next of its accounts, live.
func (s *site) ask(w http.ResponseWriter, r *http.Request) {
	token := s.orders.Tokens[int(s.turn.Add(1)-1)%len(s.orders.Tokens)]
	haul, err := farm.Scrape(r.Context(), s.orders.Platform, []string{token}, farm.Wish{Handles: []string{r.PathValue("handle")}, Posts: 6})
	if err != nil || len(haul.Profiles) == 0 {
		http.Error(w, "no such profile", http.StatusNotFound)
		return
	}
	put, err := s.publish(haul)
	if err != nil {
		http.Error(w, "try again later", http.StatusBadGateway)
		return
	}
	s.show(w, view{Title: put[0].Title, One: &put[0]})
}
