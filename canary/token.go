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

// Bounds of what layout a of a token can name.
const (
	MaxObject      = 1<<24 - 1
	MaxTokenViewer = Viewer(1<<36 - 1)
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

// layoutA is the second letter of a token.
const layoutA = 'a'

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
// AES-128 block over kind (4 bits), object (24), viewer (36) and 64 zero bits.
// It panics for an object or viewer outside its bounds: numbers are given by the registry.
func (k *Keyring) Seal(t Token) string {
	if t.Object > MaxObject || t.Viewer > MaxTokenViewer || t.Kind > 15 {
		panic(fmt.Sprintf("canary: internal error: token %+v out of bounds", t))
	}
	e := k.held.Load().seal
	var room [2 * aes.BlockSize]byte
	b := onStack(&room)
	binary.BigEndian.PutUint64(b[:8], uint64(t.Kind)<<60|uint64(t.Object)<<36|uint64(t.Viewer))
	clear(b[8:16])
	e.tokens.Encrypt(b[16:], b[:16])
	hi, lo := binary.BigEndian.Uint64(b[16:24]), binary.BigEndian.Uint64(b[24:])
	var out [TokenLength]byte
	out[0], out[1] = alphabet[(e.Number-1)%32], layoutA
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

// OpenToken reads a token in either case. Anything else is ErrForged: the check
// costs one AES block, touches no memory but the keyring and does not allocate.
func (k *Keyring) OpenToken(s string) (Token, error) {
	if len(s) != TokenLength || s[1]|0x20 != layoutA {
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
	word, zero := binary.BigEndian.Uint64(b[16:24]), binary.BigEndian.Uint64(b[24:])
	if zero != 0 {
		return Token{}, ErrForged
	}
	return Token{Kind: TokenKind(word >> 60), Object: uint32(word >> 36 & MaxObject), Viewer: Viewer(word) & MaxTokenViewer}, nil
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
