package registry

import "birdring/canary"

// dress gives a decoy its persona, and every picture but the first, which is the
// avatar, its post. Stories that are given a life of their own begin now.
func (p *planting) dress(d *canary.Decoy, pictures []*sprout) {
	posts := len(pictures) - 1
	draft := p.r.keys.Persona(canary.PersonaRequest{
		Decoy: d.ID, Handle: d.Handle, Now: d.Planted, Posts: posts, Stories: min(p.q.Stories, posts), Like: p.q.Like, Said: p.said,
	})
	d.Locale, d.DisplayName, d.Bio = draft.Locale, draft.DisplayName, draft.Bio
	d.Followers, d.Following, d.Joined = draft.Followers, draft.Following, draft.Joined
	d.Avatar, d.Posts = pictures[0].id(), draft.Posts
	for i := range d.Posts {
		q := &d.Posts[i]
		q.Photo = pictures[i+1].id()
		if q.Story && p.q.StoryLife > 0 {
			q.At, q.Expires = d.Planted, d.Planted.Add(p.q.StoryLife)
		}
	}
}
