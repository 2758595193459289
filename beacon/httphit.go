package beacon

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"time"

	"github.com/google/uuid"

	"birdring/canary"
)

// httpHitFormat is the first byte of an HTTP hit in the journal:
//
//	3 | id 16 | microseconds i64 | what u8 (place in httpKinds) | kind u8 | object u32 |
//	viewer u64 | status u16 | bytes u32 | flags u8 (1 our own fetch, 2 SHA-256) |
//	[SHA-256 32] | method, path, host, address, via, agent, referer, origin, each u16 length and bytes
//
// Numbers are big-endian.
const httpHitFormat = 3

var httpKinds = [...]string{KindLink, KindPicture, KindFetch, KindPixel}

// appendHTTP writes an HTTP hit. ok is false for one that this form cannot hold.
func (h *Hit) appendHTTP(dst []byte) (out []byte, ok bool) {
	id, err := uuid.Parse(h.ID)
	what := -1
	for i, k := range httpKinds {
		if k == h.Kind {
			what = i
		}
	}
	if err != nil || what < 0 || h.Status < 0 || h.Status > 0xffff || h.Bytes < 0 || len(h.SHA256) != 0 && len(h.SHA256) != 64 {
		return dst, false
	}
	dst = append(dst, httpHitFormat)
	dst = append(dst, id[:]...)
	dst = binary.BigEndian.AppendUint64(dst, uint64(h.At.UnixMicro()))
	dst = append(dst, byte(what), byte(h.Token.Kind))
	dst = binary.BigEndian.AppendUint32(dst, h.Token.Object)
	dst = binary.BigEndian.AppendUint64(dst, uint64(h.Token.Viewer))
	dst = binary.BigEndian.AppendUint16(dst, uint16(h.Status))
	dst = binary.BigEndian.AppendUint32(dst, uint32(h.Bytes))
	flags := byte(0)
	if h.Self {
		flags |= 1
	}
	if h.SHA256 != "" {
		flags |= 2
	}
	dst = append(dst, flags)
	if h.SHA256 != "" {
		var sum [32]byte
		if _, err := hex.Decode(sum[:], []byte(h.SHA256)); err != nil {
			return dst, false
		}
		dst = append(dst, sum[:]...)
	}
	for _, s := range h.httpTexts() {
		if len(*s) > 0xffff {
			return dst, false
		}
		dst = binary.BigEndian.AppendUint16(dst, uint16(len(*s)))
		dst = append(dst, *s...)
	}
	return dst, true
}

// httpTexts are the strings of an HTTP hit in the order in which they are written.
func (h *Hit) httpTexts() [8]*string {
	return [...]*string{&h.Method, &h.Path, &h.Host, &h.Addr, &h.Via, &h.UserAgent, &h.Referer, &h.Origin}
}

var errHTTPHit = errors.New("read hit: an HTTP hit is damaged")

// readHTTP reads what appendHTTP wrote.
func (h *Hit) readHTTP(data []byte) error {
	const fixed = 1 + 16 + 8 + 2 + 4 + 8 + 2 + 4 + 1
	if len(data) < fixed || data[0] != httpHitFormat || int(data[25]) >= len(httpKinds) {
		return errHTTPHit
	}
	read := Hit{
		ID: uuid.UUID(data[1:17]).String(), Kind: httpKinds[data[25]],
		At: time.UnixMicro(int64(binary.BigEndian.Uint64(data[17:]))).UTC(),
		Token: canary.Token{
			Kind: canary.TokenKind(data[26]), Object: binary.BigEndian.Uint32(data[27:]),
			Viewer: canary.Viewer(binary.BigEndian.Uint64(data[31:])),
		},
		Status: int(binary.BigEndian.Uint16(data[39:])), Bytes: int(binary.BigEndian.Uint32(data[41:])), Self: data[45]&1 != 0,
	}
	rest := data[fixed:]
	if data[45]&2 != 0 {
		if len(rest) < 32 {
			return errHTTPHit
		}
		read.SHA256 = hex.EncodeToString(rest[:32])
		rest = rest[32:]
	}
	for _, s := range read.httpTexts() {
		if len(rest) < 2 || len(rest)-2 < int(binary.BigEndian.Uint16(rest)) {
			return errHTTPHit
		}
		n := 2 + int(binary.BigEndian.Uint16(rest))
		*s = string(rest[2:n])
		rest = rest[n:]
	}
	if len(rest) > 0 {
		return errHTTPHit
	}
	*h = read
	return nil
}
