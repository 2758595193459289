package mark_test

import (
	"bytes"
	"image"
	_ "image/jpeg"
	_ "image/png"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"birdring/canary/mark"
	"birdring/internal/testkit"
)

// An attack is what a clone site does to a picture: commands of foreign
// programs over IN and OUT, and where the picture's pixels then lie.
type attack struct {
	name     string
	commands []string // %W, %H, %w, %h: size, size after crop; the last writes OUT
	ext      string   // of OUT, default jpg
	moved    func(w, h, ow, oh float64) mark.Affine
}

// magick is ImageMagick itself: some machines have another convert before it in PATH.
const magick = "/usr/bin/convert"

func scaled(w, h, ow, oh float64) mark.Affine { return mark.Affine{A: ow / w, E: oh / h} }

func mirrored(w, _, _, _ float64) mark.Affine { return mark.Affine{A: -1, C: w, E: 1} }

// cropped is a crop whose corner and scale are given by whole pixels.
func cropped(x0, y0, cw, ch func(w, h int) int) func(w, h, ow, oh float64) mark.Affine {
	return func(w, h, ow, oh float64) mark.Affine {
		iw, ih := int(w), int(h)
		sx, sy := ow/float64(cw(iw, ih)), oh/float64(ch(iw, ih))
		return mark.Affine{A: sx, E: sy, C: -sx * float64(x0(iw, ih)), F: -sy * float64(y0(iw, ih))}
	}
}

func side(part float64) func(a, b int) int {
	return func(a, _ int) int { return int(part * float64(a)) }
}

func sideH(part float64) func(a, b int) int {
	return func(_, b int) int { return int(part * float64(b)) }
}

// middle crops the centre, part of each side.
func middle(part float64) func(w, h, ow, oh float64) mark.Affine {
	return cropped(
		func(w, h int) int { return (w - side(part)(w, h)) / 2 },
		func(w, h int) int { return (h - sideH(part)(w, h)) / 2 }, side(part), sideH(part))
}

// Every list is tried on every photo; the first seven are the required ones.
var attacks = []attack{
	{name: "jpeg75", commands: []string{"M IN -quality 75 OUT"}},
	{name: "jpeg50", commands: []string{"M IN -quality 50 OUT"}},
	{name: "640", commands: []string{"M IN -resize 640x640 -quality 75 OUT"}},
	{name: "320", commands: []string{"M IN -resize 320x320 -quality 75 OUT"}},
	{name: "crop75", commands: []string{"M IN -crop CROP.866 +repage -quality 85 OUT"}, moved: middle(.866)},
	{name: "mirror", commands: []string{"M IN -flop -quality 90 OUT"}, moved: mirrored},
	{name: "webp75", commands: []string{"cwebp -quiet -q 75 IN -o OUT.webp", "dwebp -quiet OUT.webp -o OUT"}, ext: "png"},

	{name: "none"},
	{name: "jpeg90", commands: []string{"M IN -quality 90 OUT"}},
	{name: "jpeg30", commands: []string{"M IN -quality 30 OUT"}},
	{name: "jpeg15", commands: []string{"M IN -quality 15 OUT"}},
	{name: "webp40", commands: []string{"cwebp -quiet -q 40 IN -o OUT.webp", "dwebp -quiet OUT.webp -o OUT"}, ext: "png"},
	{name: "150", commands: []string{"M IN -resize 150x150 -quality 75 OUT"}},
	{name: "bilinear480", commands: []string{"M IN -filter triangle -resize 480x480 -quality 80 OUT"}},
	{name: "blur1", commands: []string{"M IN -blur 0x1 -quality 85 OUT"}},
	{name: "blur2", commands: []string{"M IN -blur 0x2 -quality 85 OUT"}},
	{name: "sharpen", commands: []string{"M IN -unsharp 0x1+1+0 -quality 85 OUT"}},
	{name: "gamma1.3", commands: []string{"M IN -gamma 1.3 -quality 85 OUT"}},
	{name: "bright+", commands: []string{"M IN -brightness-contrast 15x15 -quality 85 OUT"}},
	{name: "dark", commands: []string{"M IN -evaluate multiply 0.8 -quality 85 OUT"}},
	{name: "grey", commands: []string{"M IN -colorspace Gray -quality 85 OUT"}},
	{name: "saturate", commands: []string{"M IN -modulate 100,140 -quality 85 OUT"}},
	{name: "noise", commands: []string{"M IN -seed 7 -attenuate 0.4 +noise Gaussian -quality 90 OUT"}},
	{name: "median3", commands: []string{"M IN -median 1 -quality 85 OUT"}},
	{name: "crop50", commands: []string{"M IN -crop CROP.7071 +repage -quality 85 OUT"}, moved: middle(.7071)},
	{name: "crop50+320+q60", commands: []string{"M IN -crop CROP.7071 +repage -resize 320x320 -quality 60 OUT"}, moved: middle(.7071)},
	{name: "q50+50%+webp60", commands: []string{"M IN -quality 50 OUT.a.jpg", "M OUT.a.jpg -resize 50% OUT.b.png", "cwebp -quiet -q 60 OUT.b.png -o OUT.webp", "dwebp -quiet OUT.webp -o OUT"}, ext: "png"},
	{name: "caption", commands: []string{"M IN -gravity south -fill white -undercolor #000c -font DejaVu-Sans -pointsize 60 -annotate +0+20 anonyig.example -quality 80 OUT"}},
	{name: "off0.1px", commands: []string{"M IN -quality 75 OUT"}, moved: func(w, h, _, _ float64) mark.Affine {
		return mark.Affine{A: 1 + .1/w, B: -.1 / h, C: -.1, D: .1 / w, E: 1 - .1/h, F: .1}
	}},
	{name: "320,off0.1px", commands: []string{"M IN -resize 320x320 -quality 75 OUT"}, moved: func(w, h, ow, oh float64) mark.Affine {
		return mark.Affine{A: ow/w + .05/w, B: .1 / h, C: -.1, D: -.05 / w, E: oh / h, F: .1}
	}},
	{name: "rotate2", commands: []string{"M IN -distort SRT 2 -quality 85 OUT"}, moved: func(w, h, _, _ float64) mark.Affine {
		const c, s = 0.9993908270190958, 0.03489949670250097
		return mark.Affine{A: c, B: -s, C: w/2 - c*w/2 + s*h/2, D: s, E: c, F: h/2 - s*w/2 - c*h/2}
	}},
	{name: "up150%", commands: []string{"M IN -resize 150% -quality 80 OUT"}},
	{name: "aspect", commands: []string{"M IN -resize 85%x100%! -quality 80 OUT"}},
}

// make runs the attack on file in (w x h) and returns the suspect, the true transform.
func (a *attack) make(t testing.TB, dir, in string, w, h int) (*mark.Suspect, mark.Affine) {
	t.Helper()
	ext := a.ext
	if ext == "" {
		ext = "jpg"
	}
	out := filepath.Join(dir, strings.TrimSuffix(filepath.Base(in), ".jpg")+"-"+strings.Map(func(r rune) rune {
		if r == '%' || r == '+' || r == ',' {
			return '_'
		}
		return r
	}, a.name)+"."+ext)
	if len(a.commands) == 0 {
		out = in
	}
	if _, err := os.Stat(out); err != nil {
		for _, c := range a.commands {
			run(t, c, in, out, w, h)
		}
	}
	s := load(t, out)
	moved := a.moved
	if moved == nil {
		moved = scaled
	}
	return s, moved(float64(w), float64(h), float64(s.Luma.W), float64(s.Luma.H))
}

func run(t testing.TB, command, in, out string, w, h int) {
	t.Helper()
	args := strings.Fields(command)
	for i, f := range args {
		f = strings.ReplaceAll(strings.ReplaceAll(f, "IN", in), "OUT", out)
		if part, ok := strings.CutPrefix(f, "CROP"); ok {
			p, err := strconv.ParseFloat(part, 64)
			if err != nil {
				t.Fatal(err)
			}
			cw, ch := int(p*float64(w)), int(p*float64(h))
			f = strconv.Itoa(cw) + "x" + strconv.Itoa(ch) + "+" + strconv.Itoa((w-cw)/2) + "+" + strconv.Itoa((h-ch)/2)
		}
		args[i] = f
	}
	if args[0] == "M" {
		args[0] = magick
	}
	if _, err := exec.LookPath(args[0]); err != nil {
		testkit.Lack(t, args[0]+" is not installed")
	}
	if msg, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %v: %s", args, err, msg)
	}
}

// load decodes a JPEG or PNG file to luma, with the luma quantiser of a JPEG.
func load(t testing.TB, path string) *mark.Suspect {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	img, kind, err := image.Decode(bytes.NewReader(data))
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	s := &mark.Suspect{Luma: lumaOf(img)}
	if kind == "jpeg" {
		s.Quant = quantOf(data)
	}
	return s
}

func lumaOf(img image.Image) mark.Plane {
	b := img.Bounds()
	p := mark.Plane{W: b.Dx(), H: b.Dy(), Pix: make([]float32, 0, b.Dx()*b.Dy())}
	switch m := img.(type) {
	case *image.YCbCr:
		for y := range p.H {
			for x := range p.W {
				p.Pix = append(p.Pix, float32(m.Y[m.YOffset(b.Min.X+x, b.Min.Y+y)]))
			}
		}
		return p
	}
	for y := b.Min.Y; y < b.Max.Y; y++ {
		for x := b.Min.X; x < b.Max.X; x++ {
			r, g, bl, _ := img.At(x, y).RGBA()
			p.Pix = append(p.Pix, (0.299*float32(r)+0.587*float32(g)+0.114*float32(bl))/257)
		}
	}
	return p
}

var zigzag = [64]int{
	0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21, 28,
	35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
}

// quantOf reads table 0 of a JPEG file.
func quantOf(data []byte) *[64]uint16 {
	for i := 2; i+4 < len(data) && data[i] == 0xff && data[i+1] != 0xda; {
		n := int(data[i+2])<<8 | int(data[i+3])
		if data[i+1] == 0xdb {
			for body := data[i+4 : i+2+n]; len(body) > 64; {
				wide, id := body[0]>>4, body[0]&15
				body = body[1:]
				var q [64]uint16
				for z := range q {
					if wide == 0 {
						q[zigzag[z]] = uint16(body[z])
					} else {
						q[zigzag[z]] = uint16(body[2*z])<<8 | uint16(body[2*z+1])
					}
				}
				body = body[64*(1+int(wide)):]
				if id == 0 {
					return &q
				}
			}
		}
		i += 2 + n
	}
	return nil
}
