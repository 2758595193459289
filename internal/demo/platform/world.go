package platform

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"birdring/canary"
	"birdring/internal/demo/paint"
)

// profile is one profile of the platform: a decoy's or an ordinary one.
type profile struct {
	id                   string // the API's id, the same for every caller
	decoy                *canary.Decoy
	handle, name, note   string
	followers, following int
	joined               time.Time
	avatar               int // ordinary: picture number; decoys take theirs from their copy
	posts                []post
}

// post is one of a profile's posts, newest first in its list.
type post struct {
	id      string
	caption string
	tags    []string
	story   bool
	at      time.Time
	expires time.Time // zero: never
	photo   string    // decoys: photo id
	picture int       // ordinary: picture number
}

// alive says whether the platform shows the post at time t.
func (p post) alive(t time.Time) bool {
	return !t.Before(p.at) && (p.expires.IsZero() || t.Before(p.expires))
}

// decoyProfile shows a decoy as the platform shows any profile.
func decoyProfile(d *canary.Decoy) profile {
	p := profile{
		id: apiID("decoy", d.ID), decoy: d, handle: d.Handle, name: d.DisplayName, note: d.Bio,
		followers: d.Followers, following: d.Following, joined: d.Joined,
	}
	for _, s := range d.Posts {
		p.posts = append(p.posts, post{
			id: s.ID, caption: s.Caption, tags: s.Tags, story: s.Story, at: s.At, expires: s.Expires, photo: s.Photo,
		})
	}
	slices.SortFunc(p.posts, func(a, b post) int { return cmp.Or(b.at.Compare(a.at), cmp.Compare(a.id, b.id)) })
	return p
}

// apiID makes an 18-digit id that says nothing of what it stands for.
func apiID(kind, name string) string {
	sum := sha256.Sum256([]byte(kind + "\x00" + name))
	return fmt.Sprint(binary.BigEndian.Uint64(sum[:])%9e17 + 1e17)
}

// ordinary is the part of the world that is no decoy: people with painted pictures.
type ordinary struct {
	seed     uint64
	profiles []profile

	mu    sync.Mutex // guards files
	files map[int][]byte
}

// ordinaryPeople makes n profiles with an avatar and a post or two each. Their
// personas come from the same drawer as the decoys', under another key.
func ordinaryPeople(n int, seed uint64, now time.Time) (*ordinary, error) {
	keys, err := canary.NewKeyring()
	if err != nil {
		return nil, err
	}
	o := &ordinary{seed: seed, files: map[int][]byte{}}
	plan, err := canary.DefaultHandleModel().Plan(30) // as the decoys'
	if err != nil {
		return nil, err
	}
	for i := range n {
		name := fmt.Sprintf("person-%d", i)
		handle, _, _ := keys.Handle(plan, name, 0)
		draft := keys.Persona(canary.PersonaRequest{Decoy: name, Handle: handle, Now: now, Posts: 1 + i%2})
		p := profile{
			id: apiID("person", fmt.Sprint(seed, "/", i)), handle: handle, name: draft.DisplayName, note: draft.Bio,
			followers: draft.Followers, following: draft.Following, joined: draft.Joined, avatar: i * 3,
		}
		for j, s := range draft.Posts {
			p.posts = append(p.posts, post{
				id: s.ID, caption: s.Caption, tags: s.Tags, at: s.At, story: s.Story, expires: s.Expires, picture: i*3 + 1 + j,
			})
		}
		o.profiles = append(o.profiles, p)
	}
	return o, nil
}

// picture paints ordinary picture n when it is first asked for: 1 in 3 a portrait format.
func (o *ordinary) picture(n int) ([]byte, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if data, ok := o.files[n]; ok {
		return data, nil
	}
	w, h := 960, 720
	if n%3 == 2 {
		w, h = h, w
	}
	// The same encoder as the decoys' pictures come from, without a ring: a
	// platform's files look alike.
	data, err := canary.PreparePlain(paint.Scene(o.seed+uint64(n)*7919+1, w, h), nil)
	if err != nil {
		return nil, err
	}
	o.files[n] = data
	return data, nil
}

// order sorts profiles as a directory would, by something that is neither age nor kind.
func order(all []profile) {
	slices.SortFunc(all, func(a, b profile) int { return strings.Compare(a.id[6:], b.id[6:]) })
}
