package decode

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"image"
	"io"
	"sync"
	_ "unsafe" // go:linkname

	_ "github.com/gen2brain/avif" // holds libavif and libaom as wasm
	_ "github.com/gen2brain/heic" // holds libheif and libde265 as wasm
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"
)

// AVIF and HEIC are decoded by C libraries compiled to WebAssembly, each picture
// in an instance of its own: what a hostile file does to it ends with it. The
// modules named above bring the code; we run it ourselves because their Decode
// knows no context, bounds no memory, prints what the library prints, and prefers
// a shared library of the system, outside any sandbox.

//go:linkname avifCode github.com/gen2brain/avif.decodeWasm
var avifCode []byte

//go:linkname heicCode github.com/gen2brain/heic.heifWasm
var heicCode []byte

// wasmPages bounds an instance: 208 MiB. A picture of wasmPixels needs less.
const (
	wasmPages  = 208 << 20 / 65536
	wasmPixels = 9_000_000
)

// sandbox is a library, compiled when the first picture needs it.
type sandbox struct {
	compile func() (wazero.Runtime, wazero.CompiledModule, error)
}

func newSandbox(code *[]byte) *sandbox {
	s := new(sandbox)
	var rt wazero.Runtime
	var mod wazero.CompiledModule
	once := sync.OnceValue(func() error {
		in, err := gzip.NewReader(bytes.NewReader(*code))
		if err != nil {
			return err
		}
		wasm, err := io.ReadAll(in)
		if err != nil {
			return err
		}
		ctx := context.Background()
		rt = wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfig().
			WithMemoryLimitPages(wasmPages).WithCloseOnContextDone(true))
		if _, err := wasi_snapshot_preview1.Instantiate(ctx, rt); err != nil {
			return err
		}
		mod, err = rt.CompileModule(ctx, wasm)
		return err
	})
	s.compile = func() (wazero.Runtime, wazero.CompiledModule, error) {
		err := once()
		return rt, mod, err
	}
	return s
}

var (
	avifBox = newSandbox(&avifCode)
	heicBox = newSandbox(&heicCode)
)

var errWasm = errors.New("the decoder refuses it")

// instance is one library at work on one file.
type instance struct {
	ctx context.Context
	mod api.Module
}

// open starts an instance and puts the file into its memory.
func (s *sandbox) open(ctx context.Context, data []byte) (in *instance, file uint64, err error) {
	rt, code, err := s.compile()
	if err != nil {
		return nil, 0, fmt.Errorf("compile decoder: %w", err)
	}
	// Without a name instances do not get into each other's way.
	mod, err := rt.InstantiateModule(ctx, code, wazero.NewModuleConfig().WithName(""))
	if err != nil {
		return nil, 0, fmt.Errorf("start decoder: %w", err)
	}
	in = &instance{ctx, mod}
	if file, err = in.alloc(len(data)); err == nil && !mod.Memory().Write(uint32(file), data) {
		err = errWasm
	}
	if err != nil {
		in.close()
		return nil, 0, err
	}
	return in, file, nil
}

// close frees the instance, whatever has become of the context.
func (in *instance) close() { _ = in.mod.Close(context.WithoutCancel(in.ctx)) }

// call calls a function and returns its one result; a context that ended stops it.
func (in *instance) call(name string, args ...uint64) (uint64, error) {
	f := in.mod.ExportedFunction(name)
	if f == nil {
		return 0, errWasm
	}
	out, err := f.Call(in.ctx, args...)
	if err != nil {
		return 0, err
	}
	if len(out) != 1 {
		return 0, errWasm
	}
	return out[0], nil
}

// alloc reserves n bytes; 0 is what C gives when there is no memory left.
func (in *instance) alloc(n int) (uint64, error) {
	at, err := in.call("malloc", uint64(n))
	if err == nil && at == 0 {
		err = fmt.Errorf("%w: decoding it takes too much memory", ErrTooLarge)
	}
	return at, err
}

// words reads n 32-bit numbers.
func (in *instance) words(at uint64, n int) ([]int, error) {
	out := make([]int, n)
	for i := range out {
		v, ok := in.mod.Memory().ReadUint32Le(uint32(at) + uint32(4*i))
		if !ok {
			return nil, errWasm
		}
		out[i] = int(v)
	}
	return out, nil
}

// bytes copies n bytes out of the instance.
func (in *instance) bytes(at uint64, n int) ([]byte, error) {
	view, ok := in.mod.Memory().Read(uint32(at), uint32(n))
	if !ok {
		return nil, errWasm
	}
	return bytes.Clone(view), nil
}

// decodeAVIF decodes the first frame of an AVIF file of w x h pixels at most.
func decodeAVIF(ctx context.Context, data []byte, w, h int) (image.Image, error) {
	in, file, err := avifBox.open(ctx, data)
	if err != nil {
		return nil, err
	}
	defer in.close()
	said, err := in.alloc(4*4 + 8) // width, height, depth, frames; duration
	if err != nil {
		return nil, err
	}
	size := uint64(len(data))
	decode := func(sizeOnly, out uint64) error {
		ok, err := in.call("decode", file, size, sizeOnly, 0, said, said+4, said+8, said+12, said+16, out)
		if err == nil && ok == 0 {
			err = errWasm
		}
		return err
	}
	if err := decode(1, 0); err != nil {
		return nil, err
	}
	info, err := in.words(said, 3)
	if err != nil {
		return nil, err
	}
	if info[0] < 1 || info[1] < 1 || info[0]*info[1] > w*h {
		return nil, fmt.Errorf("%w: boxes and content name different sizes", errWasm)
	}
	sample := 4
	if info[2] > 8 {
		sample = 8
	}
	n := info[0] * info[1] * sample
	out, err := in.alloc(n)
	if err != nil {
		return nil, err
	}
	if err := decode(0, out); err != nil {
		return nil, err
	}
	pix, err := in.bytes(out, n)
	if err != nil {
		return nil, err
	}
	rect := image.Rect(0, 0, info[0], info[1])
	if sample == 4 {
		return &image.RGBA{Pix: pix, Stride: 4 * info[0], Rect: rect}, written(pix)
	}
	for i := 0; i+1 < len(pix); i += 2 { // little endian there, big endian in Go
		pix[i], pix[i+1] = pix[i+1], pix[i]
	}
	return &image.RGBA64{Pix: pix, Stride: 8 * info[0], Rect: rect}, written(pix)
}

// written says that a decoder wrote something: this one reports no failure
// of the first frame, and memory is zero from the start.
func written(pix []byte) error {
	for _, b := range pix {
		if b != 0 {
			return nil
		}
	}
	return errWasm
}

// libheif's numbers for what it decodes to.
const (
	heifYCbCr, heifRGB, heifGrey  = 0, 1, 2
	heif420, heif422, heif444     = 1, 2, 3
	heifRowAlign                  = 16
	heifWidth, heifHeight         = 0, 1
	heifSpace, heifChroma, heifOn = 2, 3, 4
)

// decodeHEIC decodes the main picture of a HEIC file of w x h pixels at most;
// it comes turned upright.
func decodeHEIC(ctx context.Context, data []byte, w, h int) (image.Image, error) {
	in, file, err := heicBox.open(ctx, data)
	if err != nil {
		return nil, err
	}
	defer in.close()
	said, err := in.alloc(4 * 5)
	if err != nil {
		return nil, err
	}
	size := uint64(len(data))
	decode := func(sizeOnly, out uint64) error {
		ok, err := in.call("decode", file, size, sizeOnly, said, said+4, said+8, said+12, said+16, out)
		if err == nil && ok == 0 {
			err = errWasm
		}
		return err
	}
	if err := decode(1, 0); err != nil {
		return nil, err
	}
	info, err := in.words(said, 5)
	if err != nil {
		return nil, err
	}
	if info[heifWidth] < 1 || info[heifHeight] < 1 || info[heifWidth]*info[heifHeight] > w*h {
		return nil, fmt.Errorf("%w: boxes and content name different sizes", errWasm)
	}
	img, n, err := heifImage(info)
	if err != nil {
		return nil, err
	}
	out, err := in.alloc(n)
	if err != nil {
		return nil, err
	}
	if err := decode(0, out); err != nil {
		return nil, err
	}
	pix, err := in.bytes(out, n)
	if err != nil {
		return nil, err
	}
	return img(pix), nil
}

// heifImage says how many bytes a picture takes and how they become one.
func heifImage(info []int) (img func(pix []byte) image.Image, n int, err error) {
	w, h := info[heifWidth], info[heifHeight]
	rect := image.Rect(0, 0, w, h)
	align := func(n int) int { return (n + heifRowAlign - 1) / heifRowAlign * heifRowAlign }
	switch info[heifSpace] {
	case heifGrey:
		stride := align(w)
		return func(pix []byte) image.Image { return &image.Gray{Pix: pix, Stride: stride, Rect: rect} }, stride * h, nil
	case heifRGB:
		stride := align(4 * w)
		return func(pix []byte) image.Image {
			if info[heifOn] == 1 {
				return &image.RGBA{Pix: pix, Stride: stride, Rect: rect}
			}
			return &image.NRGBA{Pix: pix, Stride: stride, Rect: rect}
		}, stride * h, nil
	case heifYCbCr:
		ratio, cw, ch := image.YCbCrSubsampleRatio444, w, h
		switch info[heifChroma] {
		case heif420:
			ratio, cw, ch = image.YCbCrSubsampleRatio420, (w+1)/2, (h+1)/2
		case heif422:
			ratio, cw = image.YCbCrSubsampleRatio422, (w+1)/2
		case heif444:
		default:
			return nil, 0, errWasm
		}
		ys, cs := align(w), align(cw)
		y, c := ys*h, cs*ch
		return func(pix []byte) image.Image {
			return &image.YCbCr{
				Y: pix[:y:y], Cb: pix[y : y+c : y+c], Cr: pix[y+c:],
				YStride: ys, CStride: cs, SubsampleRatio: ratio, Rect: rect,
			}
		}, y + 2*c, nil
	}
	return nil, 0, errWasm
}
