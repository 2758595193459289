package console

import (
	"context"
	"crypto/rand"
	"net/http"
	"strings"
	"sync"
	"time"
)

// sessionLife is how long a login in a browser lasts.
const sessionLife = 12 * time.Hour

// cookieName of the console's login.
const cookieName = "birdring"

// sessions are the console's logins, kept in memory only: a restart ends them.
type sessions struct {
	mu  sync.Mutex // guards all
	all map[string]session
}

type session struct {
	key   Key
	until time.Time
}

func (s *sessions) open(key Key, now time.Time) string {
	id := rand.Text()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all == nil {
		s.all = map[string]session{}
	}
	for id, q := range s.all {
		if now.After(q.until) {
			delete(s.all, id)
		}
	}
	s.all[id] = session{key, now.Add(sessionLife)}
	return id
}

func (s *sessions) find(id string, now time.Time) (Key, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	q, ok := s.all[id]
	return q.key, ok && now.Before(q.until)
}

func (s *sessions) close(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.all, id)
}

type keyOfRequest struct{}

// keyOf returns the key a request was authenticated with.
func keyOf(ctx context.Context) (Key, bool) {
	k, ok := ctx.Value(keyOfRequest{}).(Key)
	return k, ok
}

// identify finds the key behind a request: a bearer token or a console login.
func (c *Console) identify(r *http.Request) (Key, bool) {
	if token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
		return c.keys.Check(strings.TrimSpace(token))
	}
	cookie, err := r.Cookie(cookieName)
	if err != nil {
		return Key{}, false
	}
	key, ok := c.sessions.find(cookie.Value, time.Now())
	if !ok {
		return Key{}, false
	}
	for _, k := range c.keys.List() { // a key removed since ends its logins
		if k.ID == key.ID {
			return key, true
		}
	}
	return Key{}, false
}

// page lets only readers and above see a page; others are asked to log in.
func (c *Console) page(show http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		key, ok := c.identify(r)
		if !ok {
			c.showLogin(w, r, http.StatusUnauthorized, "")
			return
		}
		if !key.Role.May(Reader) {
			c.showLogin(w, r, http.StatusForbidden, "This key is of role "+string(key.Role)+" and may not read the console.")
			return
		}
		show(w, r.WithContext(context.WithValue(r.Context(), keyOfRequest{}, key)))
	}
}

// login takes the token of the form and gives a cookie for it.
func (c *Console) login(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 4096)
	key, ok := c.keys.Check(strings.TrimSpace(r.PostFormValue("token")))
	if !ok {
		c.log.WarnContext(r.Context(), "console login refused", "addr", r.RemoteAddr)
		c.showLogin(w, r, http.StatusUnauthorized, "There is no such token.")
		return
	}
	http.SetCookie(w, &http.Cookie{
		Name: cookieName, Value: c.sessions.open(key, time.Now()), Path: "/", MaxAge: int(sessionLife / time.Second),
		HttpOnly: true, SameSite: http.SameSiteStrictMode, Secure: strings.HasPrefix(c.publicURL, "https:"),
	})
	c.log.InfoContext(r.Context(), "console login", "key", key.ID, "role", key.Role, "addr", r.RemoteAddr)
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

func (c *Console) logout(w http.ResponseWriter, r *http.Request) {
	if cookie, err := r.Cookie(cookieName); err == nil {
		c.sessions.close(cookie.Value)
	}
	http.SetCookie(w, &http.Cookie{Name: cookieName, Path: "/", MaxAge: -1, HttpOnly: true, SameSite: http.SameSiteStrictMode})
	http.Redirect(w, r, "/", http.StatusSeeOther)
}
