package change

import (
	"image"
	"image/color"

	"golang.org/x/image/draw"
	"golang.org/x/image/font"
	"golang.org/x/image/font/basicfont"
	"golang.org/x/image/math/fixed"

	"birdring/canary/mark"
)

// ground is the colour of a page.
var ground = color.RGBA{0xf3, 0xf4, 0xf6, 0xff}

// overlaid covers a share of the height with a dark bar that bears a site's name.
func overlaid(share float64) step {
	return func(k *work) error {
		b := k.img.Bounds()
		bar := image.Rect(0, int(float64(b.Dy())*(.96-share)), b.Dx(), int(float64(b.Dy())*.96))
		draw.Draw(k.img, bar, image.NewUniform(color.RGBA{24, 20, 28, 255}), image.Point{}, draw.Src)
		write(k.img, "anonview.example", image.Pt(bar.Min.X+b.Dx()/40, bar.Min.Y+bar.Dy()/5), bar.Dy()*3/5, color.White)
		k.truth.hidden = append(k.truth.hidden, bar)
		return nil
	}
}

// screenshot shows the picture in a page, resampled as browsers do.
func screenshot(scale float64) step {
	return func(k *work) error {
		b := k.img.Bounds()
		k.sized(int(scale*float64(b.Dx())), int(scale*float64(b.Dy())), draw.BiLinear)
		w, h := k.truth.W, k.truth.H
		at := image.Pt(w/6+8, 96)
		page := plain(w+w/3+16, h+260, ground)
		draw.Draw(page, image.Rect(0, 0, page.Bounds().Dx(), 56), image.NewUniform(color.RGBA{38, 50, 92, 255}), image.Point{}, draw.Src)
		write(page, "anonview.example   search a profile", image.Pt(24, 14), 28, color.White)
		write(page, "somebody shared a photo", image.Pt(at.X, 64), 22, color.RGBA{40, 44, 52, 255})
		draw.Draw(page, image.Rect(0, 0, w, h).Add(at), k.img, image.Point{}, draw.Src)
		for i, text := range []string{"128 likes   14 comments", "what a day, would go again any time", "download original   report   share"} {
			write(page, text, image.Pt(at.X, at.Y+h+16+40*i), 22, color.RGBA{84, 90, 104, 255})
		}
		k.img = page
		k.move(mark.Affine{A: 1, E: 1, C: float64(at.X), F: float64(at.Y)}, page.Bounds().Dx(), page.Bounds().Dy())
		return nil
	}
}

// write sets text of this height in pixels, from its top left corner.
func write(dst *image.RGBA, text string, at image.Point, height int, ink color.Color) {
	face := basicfont.Face7x13
	small := image.NewRGBA(image.Rect(0, 0, face.Advance*len(text), face.Height))
	d := font.Drawer{Dst: small, Src: image.NewUniform(ink), Face: face, Dot: fixed.P(0, face.Ascent)}
	d.DrawString(text)
	to := image.Rect(0, 0, small.Bounds().Dx()*height/face.Height, height).Add(at)
	draw.BiLinear.Scale(dst, to, small, small.Bounds(), draw.Over, nil)
}
