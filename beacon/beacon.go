// Package beacon is how canaries come back: DNS queries for names we planted,
// HTTP requests for links, pictures and pixels, and (in its sub-packages) pages
// that we fetch ourselves.
//
// Every canary name and link carries a sealed token. A token is verified before
// anything else happens: a forged one is counted and costs no I/O. For a valid
// one the hit is recorded first and answered after; if it cannot be recorded,
// the requester gets no answer (DNS) or status 503 (HTTP), a counter rises and
// Stats.Err says so, because an answered hit that nobody wrote down is lost.
//
// The package proves nothing about anybody: no hit is evidence by itself,
// whatever its headers say. Previewers, mail scanners and the viewer's own
// client fetch too, and Referer and User-Agent are written by whoever sends
// them. A hit opens a lead; evidence is what our own fetch finds on a site.
package beacon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"birdring/canary"
)

// What a hit is.
const (
	KindDNS     = "dns"     // a query of any type for a canary name
	KindLink    = "link"    // a request for a link
	KindPicture = "picture" // a request for a picture that was sent no bytes of it: HEAD, not modified, refused
	KindFetch   = "fetch"   // a picture's bytes were sent: the exposure of record
	KindPixel   = "pixel"   // a request for a pixel
	KindOffer   = "offer"   // no event: an edge handed out a viewer's links; the token is that of the decoy's link
)

// Hit is one beacon event. Name, Path, Host, UserAgent, Referer, Origin and
// Subnet were written by whoever sent the request: they are cut to a bounded
// length and must be escaped wherever they are shown.
type Hit struct {
	ID        string       `json:"id"` // uuid, version 7
	At        time.Time    `json:"at"` // UTC
	Kind      string       `json:"kind"`
	Token     canary.Token `json:"token"`
	Name      string       `json:"name,omitempty"`   // DNS: the name as it was asked, case kept
	QType     string       `json:"qtype,omitempty"`  // DNS: A, AAAA, TXT, TYPE1234, ...
	Subnet    string       `json:"subnet,omitempty"` // DNS: client subnet that the resolver named
	Proto     string       `json:"proto,omitempty"`  // DNS: udp or tcp
	Cookie    string       `json:"cookie,omitempty"` // DNS: the client's cookie (RFC 7873), hex: the same resolver again
	Proved    bool         `json:"proved,omitempty"` // DNS: the address is not forged: by TCP, or it returned a cookie of ours
	Method    string       `json:"method,omitempty"`
	Path      string       `json:"path,omitempty"`
	Host      string       `json:"host,omitempty"`
	Addr      string       `json:"addr"`          // address and port of the peer, or the address that a trusted proxy forwards for
	Via       string       `json:"via,omitempty"` // HTTP: the trusted proxy that named Addr
	UserAgent string       `json:"user_agent,omitempty"`
	Referer   string       `json:"referer,omitempty"`
	Origin    string       `json:"origin,omitempty"`
	SHA256    string       `json:"sha256,omitempty"`  // pictures: of the whole rendition, lower-case hex
	Bytes     int          `json:"bytes,omitempty"`   // pictures: length of the body that is sent
	Self      bool         `json:"self,omitempty"`    // one of our own fetches
	Status    int          `json:"status,omitempty"`  // HTTP
	Surface   string       `json:"surface,omitempty"` // offers: where
}

// Recorder makes a hit durable. It is safe for concurrent use. When it returns
// nil the hit survives the end of this process; on an error the request is not answered.
type Recorder func(ctx context.Context, h Hit) error

// Opener opens sealed tokens; *canary.Keyring is one. It does no I/O and is safe for concurrent use.
type Opener interface {
	OpenToken(s string) (canary.Token, error)
}

// Longest values kept of what a requester wrote, in bytes.
const (
	maxName   = 1024 // a DNS name in presentation form, escapes included
	maxMethod = 16
	maxPath   = 512
	maxHost   = 255
	maxHeader = 512
)

// hitFormat is the first byte of a stored hit.
const hitFormat = 1

// MarshalBinary writes a hit for the journal: a format byte, then what
// appendHTTP writes, or JSON.
func (h Hit) MarshalBinary() ([]byte, error) {
	if data, ok := h.appendHTTP(make([]byte, 0, 512)); ok {
		return data, nil
	}
	data, err := json.Marshal(h)
	if err != nil {
		return nil, fmt.Errorf("write hit %s: %w", h.ID, err)
	}
	return append([]byte{hitFormat}, data...), nil
}

// UnmarshalBinary reads a hit from the journal.
func (h *Hit) UnmarshalBinary(data []byte) error {
	if len(data) == 0 {
		return errors.New("read hit: the record is empty")
	}
	switch data[0] {
	case dnsHitFormat:
		return h.readDNS(data)
	case httpHitFormat:
		return h.readHTTP(data)
	}
	if data[0] != hitFormat {
		return fmt.Errorf("read hit: format %d is newer than this program understands", data[0])
	}
	var read Hit
	if err := json.Unmarshal(data[1:], &read); err != nil {
		return fmt.Errorf("read hit: %w", err)
	}
	*h = read
	return nil
}

// newHit begins a hit: id and time.
func newHit(kind string, t canary.Token) (Hit, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return Hit{}, fmt.Errorf("name a hit: %w", err)
	}
	return Hit{ID: id.String(), At: time.Now().UTC(), Kind: kind, Token: t}, nil
}

// cut shortens s to n bytes and makes it valid UTF-8 without zero bytes, which not
// every database stores: what a requester wrote may be anything.
func cut(s string, n int) string {
	if len(s) > n {
		s = s[:n]
	}
	if !utf8.ValidString(s) || strings.IndexByte(s, 0) >= 0 {
		s = strings.ToValidUTF8(strings.ReplaceAll(s, "\x00", "\uFFFD"), "\uFFFD")
		if len(s) > n {
			s = strings.ToValidUTF8(s[:n], "")
		}
	}
	return s
}

// Finder opens what may be a token; *canary.Keyring is one. It does no I/O and is safe for concurrent use.
type Finder interface {
	Opener
	TokenLike(s string) bool // whether a string has the form of one, whatever the keys
}

// Found is a token of ours in a text.
type Found struct {
	canary.Token
	Start, End int
	Index      int // which of the text's token-like strings it is, from 1 on
}

// Tokens visits every valid token in data, which may be any text: a page, a URL,
// a file name. Letters before and after do not matter: an address within an
// address has its slashes written as %2F. It returns how many strings in data had
// the form of a token, valid or not; what stands within a valid one does not count.
func Tokens(keys Finder, data []byte, visit func(Found)) (tried int) {
	for i := 0; i+canary.TokenLength <= len(data); i++ {
		if c := data[i+1] | 0x20; c < 'a' || c > 'z' {
			continue // most places end here
		}
		s := string(data[i : i+canary.TokenLength])
		if !keys.TokenLike(s) {
			continue
		}
		tried++
		if t, err := keys.OpenToken(s); err == nil {
			visit(Found{t, i, i + canary.TokenLength, tried})
			i += canary.TokenLength - 1
		}
	}
	return tried
}

// TokenIn returns the first valid token in s. The crawler asks it before every
// fetch, so that our own scanner never follows our own links.
func TokenIn(keys Finder, s string) (t canary.Token, ok bool) {
	Tokens(keys, []byte(s), func(found Found) {
		if !ok {
			t, ok = found.Token, true
		}
	})
	return t, ok
}

func alphanumeric(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}
