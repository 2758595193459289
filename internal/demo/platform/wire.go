package platform

import (
	"encoding/json"
	"fmt"
	"html"
	"net/http"
	"strconv"
	"time"
)

// The shapes below are the subset of the Mastodon client API (docs.joinmastodon.org)
// that real clients use.

// accountJSON is a profile as the API shows it.
type accountJSON struct {
	ID             string `json:"id"`
	Username       string `json:"username"`
	Acct           string `json:"acct"`
	URL            string `json:"url"`
	DisplayName    string `json:"display_name"`
	Note           string `json:"note"`
	Avatar         string `json:"avatar"`
	AvatarStatic   string `json:"avatar_static"`
	Followers      int    `json:"followers_count"`
	Following      int    `json:"following_count"`
	StatusesCount  int    `json:"statuses_count"`
	CreatedAt      string `json:"created_at"`
	Locked         bool   `json:"locked"`
	Bot            bool   `json:"bot"`
	Discoverable   bool   `json:"discoverable"`
	Group          bool   `json:"group"`
	Fields, Emojis []any  `json:"-"`
}

// statusJSON is a post.
type statusJSON struct {
	ID          string      `json:"id"`
	CreatedAt   string      `json:"created_at"`
	Reblog      *struct{}   `json:"reblog"`
	InReplyToID *string     `json:"in_reply_to_id"`
	Sensitive   bool        `json:"sensitive"`
	SpoilerText string      `json:"spoiler_text"`
	Visibility  string      `json:"visibility"`
	URI         string      `json:"uri"`
	URL         string      `json:"url"`
	Content     string      `json:"content"`
	Tags        []tagJSON   `json:"tags"`
	Account     accountJSON `json:"account"`
	Media       []mediaJSON `json:"media_attachments"`
}

type tagJSON struct {
	Name string `json:"name"`
	URL  string `json:"url"`
}

type mediaJSON struct {
	ID          string  `json:"id"`
	Type        string  `json:"type"`
	URL         string  `json:"url"`
	PreviewURL  string  `json:"preview_url"`
	RemoteURL   *string `json:"remote_url"`
	Description *string `json:"description"`
}

// paragraph wraps plain text as Mastodon does.
func paragraph(text string) string { return "<p>" + html.EscapeString(text) + "</p>" }

// stamp is the API's time format.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

func reply(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", "private, no-store")
	json.NewEncoder(w).Encode(v)
}

func refuse(w http.ResponseWriter, code int, text string) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(code)
	json.NewEncoder(w).Encode(map[string]string{"error": text})
}

// notFound is Mastodon's own wording.
func notFound(w http.ResponseWriter) { refuse(w, http.StatusNotFound, "Record not found") }

// cut takes one page out of all, after the entry whose id is max_id or after
// the first offset ones, and sets the Link header when more follow.
func cut[T any](w http.ResponseWriter, r *http.Request, base string, all []T, id func(T) string, most int) []T {
	q := r.URL.Query()
	limit, err := strconv.Atoi(q.Get("limit"))
	if err != nil || limit < 1 || limit > most {
		limit = most / 2
	}
	start := 0
	if after := q.Get("max_id"); after != "" {
		start = len(all)
		for i, v := range all {
			if id(v) == after {
				start = i + 1
				break
			}
		}
	} else if n, err := strconv.Atoi(q.Get("offset")); err == nil && n > 0 {
		start = min(n, len(all))
	}
	end := min(start+limit, len(all))
	if end < len(all) && end > start {
		q.Del("offset")
		q.Set("max_id", id(all[end-1]))
		q.Set("limit", strconv.Itoa(limit))
		w.Header().Set("Link", fmt.Sprintf(`<%s%s?%s>; rel="next"`, base, r.URL.Path, q.Encode()))
	}
	return all[start:end]
}
