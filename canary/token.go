package canary

import (
	"crypto/aes"
	"encoding/binary"
	"errors"
	"fmt"
	"unsafe"
)

// TokenKind says what a sealed token stands for.
type TokenKind uint8

// Kinds of tokens, 4 bits.
const (
	KindLink    TokenKind = 1 // a decoy's link, for one viewer
	KindPicture TokenKind = 2 // a picture's address, for one viewer
	KindPass    TokenKind = 3 // a viewer's number
	KindPixel   TokenKind = 4 // a one-pixel picture
)

// Bounds of what a token can name.
const (
	MaxObject      = 1<<32 - 1
	MaxTokenViewer = Viewer(1<<40 - 1)
)

// Token is what a sealed name or link says: kind, object (a decoy's or
// picture's number, 0 for a pass) and viewer.
type Token struct {
	Kind   TokenKind
	Object uint32
	Viewer Viewer
}

// ErrForged is returned for a string that no key of ours sealed.
var ErrForged = errors.New("not a token of ours")

// TokenLength is the length of a sealed token.
const TokenLength = 28

// alphabet is base32 in lower case: letters and 2..7, safe in DNS labels and URLs.
const alphabet = "abcdefghijklmnopqrstuvwxyz234567"

// A layout says how a token's block of 128 bits is divided, the highest bits first:
//
//	a  kind 4 | object 24 | viewer 36 | zero 64
//	b  kind 4 | object 32 | viewer 40 | zero 52
//
// Seal takes a for whatever it can name and b for the rest, so that a token has
// one spelling in each key epoch. A string that nobody sealed opens by chance as
// any token with a probability of 2^-64 (a) or 2^-52 (b: a million strings a second
// for a year make one in 140), and as a given one with 2^-128.
const (
	layoutA = 'a'
	layoutB = 'b'

	mostObjectA = 1<<24 - 1
	mostViewerA = Viewer(1<<36 - 1)
)

// pack is a token's block and its layout.
func (t Token) pack() (hi, lo uint64, layout byte) {
	if t.Object <= mostObjectA && t.Viewer <= mostViewerA {
		return uint64(t.Kind)<<60 | uint64(t.Object)<<36 | uint64(t.Viewer), 0, layoutA
	}
	return uint64(t.Kind)<<60 | uint64(t.Object)<<28 | uint64(t.Viewer)>>12, uint64(t.Viewer) << 52, layoutB
}

// unpack reads a block; false for one that pack does not make.
func unpack(hi, lo uint64, layout byte) (t Token, ok bool) {
	t.Kind = TokenKind(hi >> 60)
	if layout == layoutA {
		t.Object, t.Viewer = uint32(hi>>36&mostObjectA), Viewer(hi)&mostViewerA
		return t, lo == 0
	}
	t.Object, t.Viewer = uint32(hi>>28), Viewer(hi&(1<<28-1)<<12|lo>>52)
	return t, lo<<12 == 0 && (t.Object > mostObjectA || t.Viewer > mostViewerA)
}

// values[c] is the value of a base32 letter in either case, 0xff for others.
var values = func() (v [256]uint8) {
	for i := range v {
		v[i] = 0xff
	}
	for i := range len(alphabet) {
		v[alphabet[i]] = uint8(i)
		if c := alphabet[i]; c >= 'a' {
			v[c-'a'+'A'] = uint8(i)
		}
	}
	return v
}()

// onStack hides a buffer from escape analysis, as strings.Builder does with
// itself: a cipher.Block keeps neither of the blocks it is given, but the compiler
// cannot see that through the interface.
func onStack(b *[2 * aes.BlockSize]byte) *[2 * aes.BlockSize]byte {
	p := uintptr(unsafe.Pointer(b))
	return *(**[2 * aes.BlockSize]byte)(unsafe.Pointer(&p))
}

// Seal writes a token: two letters for key epoch and layout, then 26 for one
// AES-128 block. It panics for a kind or viewer outside its bounds: numbers are
// given by the registry.
func (k *Keyring) Seal(t Token) string {
	if t.Viewer > MaxTokenViewer || t.Kind > 15 {
		panic(fmt.Sprintf("canary: internal error: token %+v out of bounds", t))
	}
	e := k.held.Load().seal
	var room [2 * aes.BlockSize]byte
	b := onStack(&room)
	hi, lo, layout := t.pack()
	binary.BigEndian.PutUint64(b[:8], hi)
	binary.BigEndian.PutUint64(b[8:16], lo)
	e.tokens.Encrypt(b[16:], b[:16])
	hi, lo = binary.BigEndian.Uint64(b[16:24]), binary.BigEndian.Uint64(b[24:])
	var out [TokenLength]byte
	out[0], out[1] = alphabet[(e.Number-1)%32], layout
	// 128 bits as 26 letters, the last one carrying the lowest 3 bits.
	out[27] = alphabet[lo&7]
	lo = lo>>3 | hi<<61
	hi >>= 3
	for i := 26; i >= 2; i-- {
		out[i] = alphabet[lo&31]
		lo = lo>>5 | hi<<59
		hi >>= 5
	}
	return string(out[:])
}

// TokenLike reports whether a string has the form of a token of ours: length,
// letters, an epoch that we have keys of. One in thousands of strings of that
// length has. It does not depend on any key: each one found is a guess at every
// token, and counts as such in what a token is worth as evidence (ring.Link).
func (k *Keyring) TokenLike(s string) bool {
	// What differs most often first: this is asked at every place of a page.
	if len(s) != TokenLength || s[1]|0x20 != layoutA && s[1]|0x20 != layoutB || values[s[27]] > 7 || k.held.Load().epoch(values[s[0]]+1) == nil {
		return false
	}
	bad := uint8(0)
	for i := 2; i < 27; i++ {
		bad |= values[s[i]]
	}
	return bad <= 31
}

// OpenToken reads a token in either case. Anything else is ErrForged: the check
// costs one AES block, touches no memory but the keyring and does not allocate.
func (k *Keyring) OpenToken(s string) (Token, error) {
	if len(s) != TokenLength || s[1]|0x20 != layoutA && s[1]|0x20 != layoutB {
		return Token{}, ErrForged
	}
	e := k.held.Load().epoch(values[s[0]] + 1)
	if e == nil {
		return Token{}, ErrForged
	}
	var hi, lo uint64
	bad := uint8(0)
	for i := 2; i < 27; i++ {
		v := values[s[i]]
		bad |= v
		hi = hi<<5 | lo>>59
		lo = lo<<5 | uint64(v&31)
	}
	last := values[s[27]]
	bad |= last
	hi = hi<<3 | lo>>61
	lo = lo<<3 | uint64(last&7)
	if bad > 31 || last > 7 {
		return Token{}, ErrForged
	}
	var room [2 * aes.BlockSize]byte
	b := onStack(&room)
	binary.BigEndian.PutUint64(b[:8], hi)
	binary.BigEndian.PutUint64(b[8:16], lo)
	e.tokens.Decrypt(b[16:], b[:16])
	t, ok := unpack(binary.BigEndian.Uint64(b[16:24]), binary.BigEndian.Uint64(b[24:]), s[1]|0x20)
	if !ok {
		return Token{}, ErrForged
	}
	return t, nil
}

// ViewerPass seals a viewer's number for the platform to keep.
func (k *Keyring) ViewerPass(v Viewer) string { return k.Seal(Token{Kind: KindPass, Viewer: v}) }

// OpenPass reads a pass.
func (k *Keyring) OpenPass(s string) (Viewer, error) {
	t, err := k.OpenToken(s)
	if err != nil || t.Kind != KindPass || t.Object != 0 {
		return 0, ErrForged
	}
	return t.Viewer, nil
}
