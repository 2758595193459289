package console

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
	"image/png"
	"math"
	"net/http"

	"birdring/beacon/decode"
	"birdring/canary/ring"
	"birdring/registry"
)

// mostView bounds pictures drawn for the console, in pixels of the longer side.
const mostView = 1600

// showPicture draws one of the pictures of a find. A served copy and evidence
// are drawn only for the account that is named for the find.
func (c *Console) showPicture(w http.ResponseWriter, r *http.Request) {
	id, what, account := r.PathValue("id"), r.PathValue("what"), r.URL.Query().Get("account")
	img, err := c.picture(r.Context(), id, what, account)
	switch {
	case errors.Is(err, registry.ErrNotFound):
		http.NotFound(w, r)
		return
	case err != nil:
		c.fail(w, r, err)
		return
	}
	var buf bytes.Buffer
	if what == "difference" || what == "evidence" {
		w.Header().Set("Content-Type", "image/png")
		err = (&png.Encoder{CompressionLevel: png.BestSpeed}).Encode(&buf, img)
	} else {
		w.Header().Set("Content-Type", "image/jpeg")
		err = jpeg.Encode(&buf, img, &jpeg.Options{Quality: 93})
	}
	if err != nil {
		c.fail(w, r, err)
		return
	}
	w.Header().Set("Cache-Control", "private, max-age=600")
	if _, err := buf.WriteTo(w); err != nil {
		c.log.DebugContext(r.Context(), "picture cut short", "error", err)
	}
}

func (c *Console) picture(ctx context.Context, id, what, account string) (image.Image, error) {
	ev, err := c.reg.Evidence(ctx, id)
	if err != nil {
		return nil, err
	}
	if account != ev.Account {
		return nil, registry.ErrNotFound
	}
	found, err := decode.Decode(ctx, ev.Data, decode.Default())
	if err != nil {
		return nil, fmt.Errorf("found picture of %s: %w", id, err)
	}
	if account == "" {
		if what != "found" {
			return nil, registry.ErrNotFound
		}
		return decode.Shrink(found.Img, mostView), nil
	}
	served, err := c.served(ctx, ev)
	if err != nil {
		return nil, err
	}
	switch what {
	case "served":
		return served, nil
	case "found":
		return onPaper(align(found.Img, ev.Transform, ev.Grid.W, ev.Grid.H)), nil
	case "difference":
		out, _ := difference(served, align(found.Img, ev.Transform, ev.Grid.W, ev.Grid.H))
		return out, nil
	case "evidence":
		nats, err := c.segments(ctx, ev)
		if err != nil {
			return nil, err
		}
		return heatmap(served, ev.Grid, nats), nil
	}
	return nil, registry.ErrNotFound
}

// served is the copy as the account got it.
func (c *Console) served(ctx context.Context, ev registry.Evidence) (image.Image, error) {
	data, err := c.reg.Rendition(nil, ev.Photo, ev.Viewer)
	if err != nil {
		return nil, err
	}
	img, err := decode.Decode(ctx, data, decode.Default())
	if err != nil {
		return nil, err
	}
	return img.Img, nil
}

// segments is the evidence of each segment for the account, in nats. The
// strength of the mark is estimated with the account's own codeword: this
// explains a verdict that was reached without it.
func (c *Console) segments(ctx context.Context, ev registry.Evidence) ([]float64, error) {
	book, err := c.reg.Book(ctx, ev.Photo)
	if err != nil {
		return nil, err
	}
	if book.M() != len(ev.Y) {
		return nil, fmt.Errorf("find %s holds %d values for %d segments", ev.ID, len(ev.Y), book.M())
	}
	word := make([]uint64, book.Words())
	book.Codeword(word, uint64(ev.Viewer))
	return perSegment(book, word, ev.Y), nil
}

func perSegment(book *ring.Book, word []uint64, y []int16) []float64 {
	order := book.Order()
	sign := func(k int) float64 {
		pos := order[k]
		return float64(word[pos>>6]>>(pos&63)&1)*2 - 1
	}
	var n, sum, square float64
	for k, v := range y {
		if v != 0 {
			n++
			sum += sign(k) * float64(v)
			square += float64(v) * float64(v)
		}
	}
	nats := make([]float64, len(y))
	if n == 0 || sum <= 0 {
		return nats
	}
	a := sum / n
	s2 := max(square/n-a*a, 1)
	for k, v := range y {
		if v == 0 {
			continue
		}
		l := max(-16, min(16, 2*a*float64(v)/s2)) // log f1/f0
		p := book.P(int(order[k]))
		mix := math.Log(p*math.Exp(l) + 1 - p)
		if sign(k) > 0 {
			nats[k] = l - mix
		} else {
			nats[k] = -mix
		}
	}
	return nats
}
