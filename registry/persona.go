package registry

import "birdring/canary"

// defaultHandleBits is how hard a handle is to meet by chance when nobody says.
const defaultHandleBits = 40

// dress gives a decoy its persona and a post for every picture but the avatar.
func (p *planting) dress(d *canary.Decoy, pictures []*sprout) {
	_, _ = p, pictures
}
