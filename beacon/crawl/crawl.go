// Package crawl fetches what hostile sites publish.
package crawl

import (
	"context"
	"errors"
	"net/http"
	"time"
)

var (
	ErrRefused  = errors.New("refused address")
	ErrRobots   = errors.New("disallowed by robots.txt")
	ErrOurs     = errors.New("one of our own links")
	ErrTooLarge = errors.New("too large")
)

type Config struct {
	Allow     []string
	Rate      float64 // per host; 0: 1
	MaxPages  int     // per site; 0: 200
	UserAgent string
	Ours      func(rawURL string) bool // true for our own canary links: never fetched
	OnError   func(url string, err error)
}

type Fetcher struct{}

type Response struct {
	URL, ContentType, SHA256 string
	Status                   int
	Header                   http.Header
	Body                     []byte
	Truncated                bool
	At                       time.Time
}

type Inline struct {
	ContentType string
	Body        []byte
}

type Page struct {
	Response
	Site   string
	UTF8   []byte
	Title  string
	Text   string
	Links  []string
	Images []string
	Data   []Inline
	Ours   []string
}

func New(c Config) (*Fetcher, error)                                             { panic("not yet") }
func (f *Fetcher) Fetch(ctx context.Context, url string) (*Response, error)      { panic("not yet") }
func (f *Fetcher) FetchImage(ctx context.Context, url string) (*Response, error) { panic("not yet") }
func (f *Fetcher) Walk(ctx context.Context, seeds []string, visit func(Page) error) error {
	panic("not yet")
}
func Registrable(site string) string { panic("not yet") }
