package platform

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"hash/fnv"
	"net/http"
	"strings"
	"time"

	"birdring/canary"
	"birdring/registry"
)

// decoyURL is where an account finds its copy of a decoy's picture.
func (p *Platform) decoyURL(c registry.Copy, photo string) string {
	for _, q := range c.Photos {
		if q.Photo == photo {
			return p.base + "/media/" + q.Token + ".jpg"
		}
	}
	return ""
}

// ordinaryURL is where an account finds an ordinary picture: the same shape of
// link, its own for every account, sealed under a key that is not Birdring's.
func (p *Platform) ordinaryURL(account string, picture int) string {
	h := fnv.New32a()
	h.Write([]byte(account))
	t := canary.Token{Kind: canary.KindPicture, Object: uint32(picture) + 1, Viewer: canary.Viewer(h.Sum32())}
	return p.base + "/media/" + p.seal.Seal(t) + ".jpg"
}

// media serves a picture to whoever holds its link. A decoy's picture is
// recorded as fetched, with the hash of the bytes, before the first byte is sent.
func (p *Platform) media(w http.ResponseWriter, r *http.Request) {
	sealed, ok := strings.CutSuffix(r.PathValue("file"), ".jpg")
	if !ok {
		http.NotFound(w, r)
		return
	}
	if t, err := p.seal.OpenToken(sealed); err == nil && t.Kind == canary.KindPicture {
		data, err := p.people.picture(int(t.Object) - 1)
		p.send(w, r, data, err)
		return
	}
	t, err := p.reg.Keyring().OpenToken(sealed)
	if err != nil || t.Kind != canary.KindPicture {
		http.NotFound(w, r)
		return
	}
	data, err := p.rendition(r, t, sealed)
	if absent(err) {
		http.NotFound(w, r)
		return
	}
	p.send(w, r, data, err)
}

// rendition renders a viewer's copy and records the fetch. A story's picture
// goes when the story does.
func (p *Platform) rendition(r *http.Request, t canary.Token, sealed string) ([]byte, error) {
	d, photo, err := p.reg.PictureOf(r.Context(), t.Object)
	if err != nil {
		return nil, err
	}
	q := decoyProfile(&d)
	for _, s := range q.posts {
		if s.photo == photo && !s.alive(time.Now()) {
			return nil, registry.ErrNotFound
		}
	}
	if p.remote != nil {
		return p.remote(r, sealed)
	}
	data, err := p.reg.RenditionNum(nil, t.Object, t.Viewer)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(data)
	host := r.RemoteAddr
	if i := strings.LastIndexByte(host, ':'); i > 0 {
		host = host[:i]
	}
	err = p.reg.Fetched(r.Context(), registry.Fetch{
		Viewer: t.Viewer, Decoy: d.ID, Photo: photo, At: time.Now().UTC(), Address: host,
		UserAgent: r.UserAgent(), SHA256: hex.EncodeToString(sum[:]),
	})
	return data, err
}

func (p *Platform) send(w http.ResponseWriter, r *http.Request, data []byte, err error) {
	if err != nil {
		http.Error(w, "try again later", http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "image/jpeg")
	w.Header().Set("Cache-Control", "private, max-age=86400")
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(data))
}
