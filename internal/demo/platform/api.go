package platform

import (
	"context"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"slices"
	"strings"
	"time"

	"birdring/canary"
	"birdring/registry"
)

// The account `directory` follows every profile that is put in front of the caller.
const (
	directoryHandle = "directory"
	directoryID     = "100000000000000001"
)

func absent(err error) bool { return errors.Is(err, registry.ErrNotFound) }

func (p *Platform) routes() {
	p.mux.HandleFunc("GET /api/v1/accounts/verify_credentials", p.as(p.me))
	p.mux.HandleFunc("GET /api/v1/accounts/lookup", p.as(p.lookup))
	p.mux.HandleFunc("GET /api/v1/accounts/search", p.as(p.search))
	p.mux.HandleFunc("GET /api/v1/accounts/{id}", p.as(p.account))
	p.mux.HandleFunc("GET /api/v1/accounts/{id}/following", p.as(p.following))
	p.mux.HandleFunc("GET /api/v1/accounts/{id}/statuses", p.as(p.statuses))
	p.mux.HandleFunc("GET /api/v1/directory", p.as(p.directory))
	p.mux.HandleFunc("GET /api/v1/statuses/{id}", p.as(p.status))
	p.mux.HandleFunc("POST /api/v1/statuses/{id}/bookmark", p.as(p.bookmark))
	p.mux.HandleFunc("GET /api/v1/bookmarks", p.as(p.bookmarked))
	p.mux.HandleFunc("GET /media/{file}", p.media)
	p.mux.HandleFunc("GET /{handle}", p.page)
	p.mux.HandleFunc("GET /api/", func(w http.ResponseWriter, _ *http.Request) { notFound(w) })
}

// as runs an endpoint as the account of the bearer token, 401 without one.
func (p *Platform) as(endpoint func(ctx context.Context, account string, w http.ResponseWriter, r *http.Request) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		account, known := p.tokens[token]
		if !ok || !known {
			refuse(w, http.StatusUnauthorized, "The access token is invalid")
			return
		}
		if err := endpoint(r.Context(), account, w, r); err != nil {
			// Nothing was shown that could not be recorded; the caller may try again.
			refuse(w, http.StatusServiceUnavailable, "try again later")
		}
	}
}

func (p *Platform) me(_ context.Context, account string, w http.ResponseWriter, _ *http.Request) error {
	reply(w, accountJSON{ID: apiID("caller", account), Username: account, Acct: account, URL: p.base + "/@" + account, DisplayName: account})
	return nil
}

// draw turns profiles into the API's shape for one caller: decoys are exposed first.
func (p *Platform) draw(ctx context.Context, account, surface string, all []profile) ([]accountJSON, error) {
	var decoys []*canary.Decoy
	for _, q := range all {
		if q.decoy != nil {
			decoys = append(decoys, q.decoy)
		}
	}
	copies, err := p.ours(ctx, account, surface, decoys...)
	if err != nil {
		return nil, err
	}
	out := make([]accountJSON, 0, len(all))
	for _, q := range all {
		out = append(out, p.accountOf(account, q, copies))
	}
	return out, nil
}

func (p *Platform) accountOf(account string, q profile, copies map[string]registry.Copy) accountJSON {
	avatar := p.ordinaryURL(account, q.avatar)
	if q.decoy != nil {
		avatar = p.decoyURL(copies[q.decoy.ID], q.decoy.Avatar)
	}
	note := paragraph(q.note)
	if q.decoy != nil {
		if link := copies[q.decoy.ID].Link; link != "" {
			note += fmt.Sprintf(`<p><a href="%s" rel="nofollow">%s</a></p>`, link, link)
		}
	}
	alive := 0
	for _, s := range q.posts {
		if s.alive(time.Now()) {
			alive++
		}
	}
	return accountJSON{
		ID: q.id, Username: q.handle, Acct: q.handle, URL: p.base + "/@" + q.handle, DisplayName: q.name, Note: note,
		Avatar: avatar, AvatarStatic: avatar, Followers: q.followers, Following: q.following, StatusesCount: alive,
		CreatedAt: stamp(q.joined.Truncate(24 * time.Hour)), Discoverable: true,
	}
}

func (p *Platform) lookup(ctx context.Context, account string, w http.ResponseWriter, r *http.Request) error {
	acct, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Query().Get("acct"), "@"), "@")
	if acct == directoryHandle {
		reply(w, p.directoryAccount())
		return nil
	}
	q, err := p.byHandle(ctx, account, acct)
	return p.replyOne(ctx, account, "lookup", w, q, err)
}

func (p *Platform) account(ctx context.Context, account string, w http.ResponseWriter, r *http.Request) error {
	if r.PathValue("id") == directoryID {
		reply(w, p.directoryAccount())
		return nil
	}
	q, err := p.byID(ctx, account, r.PathValue("id"))
	return p.replyOne(ctx, account, "profile", w, q, err)
}

func (p *Platform) replyOne(ctx context.Context, account, surface string, w http.ResponseWriter, q *profile, err error) error {
	if err != nil {
		return err
	}
	if q == nil {
		notFound(w)
		return nil
	}
	drawn, err := p.draw(ctx, account, surface, []profile{*q})
	if err != nil {
		return err
	}
	reply(w, drawn[0])
	return nil
}

func (p *Platform) directoryAccount() accountJSON {
	return accountJSON{
		ID: directoryID, Username: directoryHandle, Acct: directoryHandle, URL: p.base + "/@" + directoryHandle,
		DisplayName: "Directory", CreatedAt: stamp(time.Unix(1.6e9, 0)),
	}
}

// search finds what is put in front of the account by name, and anybody by the exact handle.
func (p *Platform) search(ctx context.Context, account string, w http.ResponseWriter, r *http.Request) error {
	term := strings.ToLower(strings.TrimPrefix(strings.TrimSpace(r.URL.Query().Get("q")), "@"))
	all, err := p.visible(ctx, account)
	if err != nil {
		return err
	}
	found := slices.DeleteFunc(all, func(q profile) bool {
		return term == "" || !strings.Contains(q.handle, term) && !strings.Contains(strings.ToLower(q.name), term)
	})
	exact, err := p.byHandle(ctx, account, term)
	if err != nil {
		return err
	}
	if exact != nil && !slices.ContainsFunc(found, func(q profile) bool { return q.id == exact.id }) {
		found = append([]profile{*exact}, found...)
	}
	return p.replyPage(ctx, account, "search", w, r, found)
}

func (p *Platform) directory(ctx context.Context, account string, w http.ResponseWriter, r *http.Request) error {
	all, err := p.visible(ctx, account)
	if err != nil {
		return err
	}
	return p.replyPage(ctx, account, "directory", w, r, all)
}

func (p *Platform) following(ctx context.Context, account string, w http.ResponseWriter, r *http.Request) error {
	if r.PathValue("id") == directoryID {
		return p.directory(ctx, account, w, r)
	}
	q, err := p.byID(ctx, account, r.PathValue("id"))
	if err != nil {
		return err
	}
	if q == nil {
		notFound(w)
		return nil
	}
	reply(w, []accountJSON{})
	return nil
}

// replyPage shows one page of profiles; only what stands on the page is exposed.
func (p *Platform) replyPage(ctx context.Context, account, surface string, w http.ResponseWriter, r *http.Request, all []profile) error {
	page := cut(w, r, p.base, all, func(q profile) string { return q.id }, 80)
	drawn, err := p.draw(ctx, account, surface, page)
	if err != nil {
		return err
	}
	reply(w, drawn)
	return nil
}

func (p *Platform) statuses(ctx context.Context, account string, w http.ResponseWriter, r *http.Request) error {
	q, err := p.byID(ctx, account, r.PathValue("id"))
	if err != nil {
		return err
	}
	if q == nil {
		if r.PathValue("id") == directoryID {
			reply(w, []statusJSON{})
			return nil
		}
		notFound(w)
		return nil
	}
	alive := slices.DeleteFunc(slices.Clone(q.posts), func(s post) bool { return !s.alive(time.Now()) })
	page := cut(w, r, p.base, alive, func(s post) string { return s.id }, 40)
	out := make([]statusJSON, 0, len(page))
	for _, s := range page {
		drawn, err := p.statusOf(ctx, account, *q, s)
		if err != nil {
			return err
		}
		out = append(out, drawn)
	}
	reply(w, out)
	return nil
}

func (p *Platform) statusOf(ctx context.Context, account string, q profile, s post) (statusJSON, error) {
	author, err := p.draw(ctx, account, "profile", []profile{q})
	if err != nil {
		return statusJSON{}, err
	}
	link := p.ordinaryURL(account, s.picture)
	if q.decoy != nil {
		copies, err := p.ours(ctx, account, "profile", q.decoy)
		if err != nil {
			return statusJSON{}, err
		}
		link = p.decoyURL(copies[q.decoy.ID], s.photo)
	}
	tags := []tagJSON{}
	for _, t := range s.tags {
		tags = append(tags, tagJSON{Name: t, URL: p.base + "/tags/" + t})
	}
	if s.story {
		tags = append(tags, tagJSON{Name: "story", URL: p.base + "/tags/story"})
	}
	where := p.base + "/@" + q.handle + "/" + s.id
	return statusJSON{
		ID: s.id, CreatedAt: stamp(s.at), Visibility: "public", URI: where, URL: where, Content: paragraph(s.caption), Tags: tags,
		Account: author[0], Media: []mediaJSON{{ID: apiID("media", s.id), Type: "image", URL: link, PreviewURL: link}},
	}, nil
}

// find looks a living status up for an account; a nil post means 404.
func (p *Platform) find(ctx context.Context, account, id string) (*profile, *post, error) {
	q, err := p.byStatus(ctx, account, id)
	if err != nil || q == nil {
		return nil, nil, err
	}
	i := slices.IndexFunc(q.posts, func(s post) bool { return s.id == id })
	if i < 0 || !q.posts[i].alive(time.Now()) {
		return nil, nil, nil
	}
	return q, &q.posts[i], nil
}

func (p *Platform) status(ctx context.Context, account string, w http.ResponseWriter, r *http.Request) error {
	q, s, err := p.find(ctx, account, r.PathValue("id"))
	if err != nil {
		return err
	}
	if s == nil {
		notFound(w)
		return nil
	}
	drawn, err := p.statusOf(ctx, account, *q, *s)
	if err != nil {
		return err
	}
	reply(w, drawn)
	return nil
}

func (p *Platform) bookmark(ctx context.Context, account string, w http.ResponseWriter, r *http.Request) error {
	if _, s, err := p.find(ctx, account, r.PathValue("id")); err != nil || s == nil {
		if err == nil {
			notFound(w)
		}
		return err
	}
	p.mu.Lock()
	if id := r.PathValue("id"); !slices.Contains(p.bookmarks[account], id) {
		p.bookmarks[account] = append(p.bookmarks[account], id)
	}
	p.mu.Unlock()
	return p.status(ctx, account, w, r)
}

func (p *Platform) bookmarked(ctx context.Context, account string, w http.ResponseWriter, r *http.Request) error {
	p.mu.Lock()
	ids := slices.Clone(p.bookmarks[account])
	p.mu.Unlock()
	slices.Reverse(ids)
	out := []statusJSON{}
	for _, id := range cut(w, r, p.base, ids, func(s string) string { return s }, 40) {
		q, s, err := p.find(ctx, account, id)
		if err != nil {
			return err
		}
		if s == nil {
			continue
		}
		drawn, err := p.statusOf(ctx, account, *q, *s)
		if err != nil {
			return err
		}
		out = append(out, drawn)
	}
	reply(w, out)
	return nil
}

var loggedOut = template.Must(template.New("page").Parse(`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{{.}}</title></head>
<body><h1>{{.}}</h1><p>Log in to see this profile.</p></body></html>`))

// page is a profile's page for visitors without an account: the same for every
// handle, so it neither exposes a decoy nor says which handles exist.
func (p *Platform) page(w http.ResponseWriter, r *http.Request) {
	handle, ok := strings.CutPrefix(r.PathValue("handle"), "@")
	if !ok {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	loggedOut.Execute(w, "@"+handle)
}
