// Package farm is the platform's crowd: a client of the platform's API, people
// who look around, and the bulk scraping that clone sites do with their accounts.
// It knows the platform only through HTTP and a token, as any client does.
package farm

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"time"
)

// maxBody bounds what a client reads of one answer.
const maxBody = 32 << 20

// Account is a profile as the platform's API shows it.
type Account struct {
	ID          string `json:"id"`
	Username    string `json:"username"`
	Acct        string `json:"acct"`
	URL         string `json:"url"`
	DisplayName string `json:"display_name"`
	Note        string `json:"note"`
	Avatar      string `json:"avatar"`
	Followers   int    `json:"followers_count"`
	Following   int    `json:"following_count"`
}

// Status is a post with its media.
type Status struct {
	ID      string    `json:"id"`
	Created time.Time `json:"created_at"`
	Content string    `json:"content"`
	Account Account   `json:"account"`
	Tags    []Tag     `json:"tags"`
	Media   []Media   `json:"media_attachments"`
}

// Tag is a hashtag of a status.
type Tag struct {
	Name string `json:"name"`
}

// Story says whether the status is a story that vanishes after its day.
func (s Status) Story() bool {
	for _, t := range s.Tags {
		if t.Name == "story" {
			return true
		}
	}
	return false
}

// Media is one picture of a status.
type Media struct {
	ID   string `json:"id"`
	Type string `json:"type"`
	URL  string `json:"url"`
}

// Client talks to the platform as one account. It is safe for concurrent use.
type Client struct {
	Base  string // http://host:port
	Token string // bearer token of the account
	HTTP  *http.Client
}

// NewClient returns a client of the platform at base for the account with token.
func NewClient(base, token string) *Client {
	return &Client{Base: base, Token: token, HTTP: http.DefaultClient}
}

// nextLink picks the next page out of a Link header.
var nextLink = regexp.MustCompile(`<([^>]+)>;\s*rel="next"`)

// get reads path (or a full URL) into v and returns the next page's URL, "" at the end.
func (c *Client) get(ctx context.Context, path string, v any) (next string, err error) {
	target := path
	if len(path) > 0 && path[0] == '/' {
		target = c.Base + path
	}
	body, header, err := c.fetch(ctx, target, true)
	if err != nil {
		return "", err
	}
	if err := json.Unmarshal(body, v); err != nil {
		return "", fmt.Errorf("read %s: %w", path, err)
	}
	if m := nextLink.FindStringSubmatch(header.Get("Link")); m != nil {
		next = m[1]
	}
	return next, nil
}

func (c *Client) fetch(ctx context.Context, target string, signed bool) ([]byte, http.Header, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return nil, nil, err
	}
	if signed {
		req.Header.Set("Authorization", "Bearer "+c.Token)
	}
	resp, err := c.HTTP.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody))
	if err != nil {
		return nil, nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, nil, &StatusError{URL: target, Code: resp.StatusCode}
	}
	return body, resp.Header, nil
}

// StatusError is an answer other than 200.
type StatusError struct {
	URL  string
	Code int
}

func (e *StatusError) Error() string {
	return fmt.Sprintf("%s answered %d %s", e.URL, e.Code, http.StatusText(e.Code))
}

// Directory lists up to limit profiles that are put in front of this account.
func (c *Client) Directory(ctx context.Context, limit int) ([]Account, error) {
	return pages[Account](ctx, c, "/api/v1/directory?limit=40", limit)
}

// Lookup finds a profile by its exact handle.
func (c *Client) Lookup(ctx context.Context, handle string) (Account, error) {
	var a Account
	_, err := c.get(ctx, "/api/v1/accounts/lookup?acct="+url.QueryEscape(handle), &a)
	return a, err
}

// Statuses lists up to limit posts with media of a profile, newest first.
func (c *Client) Statuses(ctx context.Context, account string, limit int) ([]Status, error) {
	return pages[Status](ctx, c, "/api/v1/accounts/"+url.PathEscape(account)+"/statuses?only_media=1&exclude_replies=1&limit=20", limit)
}

// Picture fetches media, as any <img> would: without the token.
func (c *Client) Picture(ctx context.Context, link string) ([]byte, error) {
	body, _, err := c.fetch(ctx, link, false)
	return body, err
}

// pages follows rel="next" until limit entries are read.
func pages[T any](ctx context.Context, c *Client, path string, limit int) ([]T, error) {
	var all []T
	for path != "" && len(all) < limit {
		var page []T
		next, err := c.get(ctx, path, &page)
		if err != nil {
			return all, err
		}
		all = append(all, page...)
		path = next
	}
	return all[:min(limit, len(all))], nil
}
