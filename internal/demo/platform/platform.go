// Package platform is a small lookalike of a social platform that speaks the
// part of the Mastodon client API that real tools use. It shows decoys among
// ordinary profiles through Birdring: every caller gets its own copies, and
// nothing is shown before the exposure is recorded.
//
// It stands in for the operator's platform in the demo and for trying real
// scraping tools against decoys. It has no rate limit and no login page.
package platform

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"birdring/canary"
	"birdring/registry"
)

// Config of a platform.
type Config struct {
	Registry *registry.Registry
	Base     string // http://host:port, as callers reach it
	Accounts []string
	Ordinary int    // ordinary profiles
	Seed     uint64 // of the ordinary profiles' pictures

	// Where copies come from; nil: the registry in this process.
	Expose func(ctx context.Context, all []registry.Exposure) ([]registry.Copy, error)
	Media  func(r *http.Request, token string) ([]byte, error) // the bytes are recorded by whoever gives them
}

// Platform is the running lookalike. It is safe for concurrent use.
type Platform struct {
	reg    *registry.Registry
	expose func(ctx context.Context, all []registry.Exposure) ([]registry.Copy, error)
	remote func(r *http.Request, token string) ([]byte, error) // nil: pictures are rendered here
	base   string
	people *ordinary
	seal   *canary.Keyring // seals ordinary pictures' links, so that all links look alike
	mux    *http.ServeMux

	tokens map[string]string // bearer token -> account
	issued []Login           // in the order of Config.Accounts

	mu        sync.Mutex // guards what follows
	copies    map[copyKey]registry.Copy
	bookmarks map[string][]string // account -> status ids
}

// Login is an account and its bearer token.
type Login struct {
	Account string `json:"account"`
	Token   string `json:"token"`
}

// copyKey names an exposure already recorded by this process.
type copyKey struct{ account, decoy, surface string }

// New builds a platform; tokens are drawn anew each time.
func New(c Config) (*Platform, error) {
	people, err := ordinaryPeople(c.Ordinary, c.Seed, time.Now().UTC())
	if err != nil {
		return nil, err
	}
	seal, err := canary.NewKeyring()
	if err != nil {
		return nil, err
	}
	p := &Platform{
		reg: c.Registry, expose: c.Expose, remote: c.Media, base: strings.TrimSuffix(c.Base, "/"), people: people, seal: seal, mux: http.NewServeMux(),
		tokens: map[string]string{}, copies: map[copyKey]registry.Copy{}, bookmarks: map[string][]string{},
	}
	if p.expose == nil {
		p.expose = c.Registry.Expose
	}
	for _, a := range c.Accounts {
		l := Login{Account: a, Token: rand.Text()}
		p.tokens[l.Token] = a
		p.issued = append(p.issued, l)
	}
	p.routes()
	return p, nil
}

// Logins lists the accounts with their tokens.
func (p *Platform) Logins() []Login { return p.issued }

// OrdinaryHandles lists the handles of profiles that are no decoys.
func (p *Platform) OrdinaryHandles() []string {
	var out []string
	for _, q := range p.people.profiles {
		out = append(out, q.handle)
	}
	return out
}

// ServeHTTP answers the API, profile pages and media.
func (p *Platform) ServeHTTP(w http.ResponseWriter, r *http.Request) { p.mux.ServeHTTP(w, r) }

// AccountNames makes the names of n accounts.
func AccountNames(n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("acct-%04d", i+1)
	}
	return out
}

// visible lists every profile that is put in front of the account: ordinary
// ones, the shared decoys its coin gives it, its own personal decoy.
func (p *Platform) visible(ctx context.Context, account string) ([]profile, error) {
	decoys, err := p.reg.Visible(ctx, account, time.Now().UTC())
	if err != nil {
		return nil, err
	}
	all := append([]profile(nil), p.people.profiles...)
	for i := range decoys {
		all = append(all, decoyProfile(&decoys[i]))
	}
	order(all)
	return all, nil
}

// byHandle finds the profile that somebody asked for by name, whatever the coin
// says; nil if there is none for this account.
func (p *Platform) byHandle(ctx context.Context, account, handle string) (*profile, error) {
	for i := range p.people.profiles {
		if strings.EqualFold(p.people.profiles[i].handle, handle) {
			return &p.people.profiles[i], nil
		}
	}
	d, err := p.reg.DecoyByHandle(ctx, strings.ToLower(handle))
	return p.admit(account, d, err)
}

// byID finds a profile by the API's id.
func (p *Platform) byID(ctx context.Context, account, id string) (*profile, error) {
	for i := range p.people.profiles {
		if p.people.profiles[i].id == id {
			return &p.people.profiles[i], nil
		}
	}
	decoys, err := p.reg.Decoys(ctx)
	if err != nil {
		return nil, err
	}
	for i := range decoys {
		if apiID("decoy", decoys[i].ID) == id {
			return p.admit(account, decoys[i], nil)
		}
	}
	return nil, nil
}

// byStatus finds the profile that a status belongs to.
func (p *Platform) byStatus(ctx context.Context, account, id string) (*profile, error) {
	all := p.people.profiles
	decoys, err := p.reg.Decoys(ctx)
	if err != nil {
		return nil, err
	}
	for i := range decoys {
		all = append(all[:len(all):len(all)], decoyProfile(&decoys[i]))
	}
	for i := range all {
		for _, s := range all[i].posts {
			if s.id != id {
				continue
			}
			if all[i].decoy == nil {
				return &all[i], nil
			}
			return p.admit(account, *all[i].decoy, nil)
		}
	}
	return nil, nil
}

// admit lets an account see a decoy it asked for, unless it is somebody else's personal one.
func (p *Platform) admit(account string, d canary.Decoy, err error) (*profile, error) {
	if absent(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if d.Kind == canary.Personal && d.Account != account {
		return nil, nil
	}
	q := decoyProfile(&d)
	return &q, nil
}

// ours returns the account's copy of a decoy. The exposure is recorded before
// the links exist; the same exposure on the same surface is recorded once a process.
func (p *Platform) ours(ctx context.Context, account, surface string, decoys ...*canary.Decoy) (map[string]registry.Copy, error) {
	out := map[string]registry.Copy{}
	var ask []registry.Exposure
	p.mu.Lock()
	for _, d := range decoys {
		if c, ok := p.copies[copyKey{account, d.ID, surface}]; ok {
			out[d.ID] = c
			continue
		}
		ask = append(ask, registry.Exposure{Account: account, Decoy: d.ID, Surface: surface, At: time.Now().UTC(), Kind: registry.Offered})
	}
	p.mu.Unlock()
	if len(ask) == 0 {
		return out, nil
	}
	made, err := p.expose(ctx, ask)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range made {
		out[c.Decoy] = c
		p.copies[copyKey{account, c.Decoy, surface}] = c
	}
	return out, nil
}
