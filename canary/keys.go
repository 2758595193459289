package canary

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"sync/atomic"
)

// Keyring holds the root secrets, one an epoch, from which every ring, handle,
// coin and token is derived (HKDF-SHA256, RFC 5869, one label a purpose). It
// never prints them. An edge's keyring (ParseEdgeKeys) holds no root secret, only
// what the edge needs; asked for more it panics. A keyring is safe for concurrent
// use, Adopt included.
type Keyring struct {
	held atomic.Pointer[held]
	edge *edgeKeys // nil: the keyring of a registry
}

// held is what a keyring holds at one time. It does not change.
type held struct {
	epochs []epoch // newest last
	seal   *epoch  // what is sealed now is sealed with it
}

// epoch is one root secret and what is derived from it once.
type epoch struct {
	Epoch
	tokens cipher.Block
}

// Epoch is one root secret. Epochs are numbered from 1 and never go: a picture
// keeps its epoch for ever, a token names its own.
type Epoch struct {
	Number  uint8
	Secret  []byte // 32 bytes
	Nonce   []byte // 16 bytes, blinds the commitment
	Standby bool   // opened, but nothing is planted or sealed with it yet
}

// MaxEpochs is the most epochs a keyring can hold: a token names its own by one
// base32 letter.
const MaxEpochs = 32

// NewKeyring draws a keyring with one epoch.
func NewKeyring() (*Keyring, error) {
	return KeyringOf([]Epoch{drawEpoch(1)})
}

func drawEpoch(number uint8) Epoch {
	e := Epoch{Number: number, Secret: make([]byte, 32), Nonce: make([]byte, 16)}
	rand.Read(e.Secret)
	rand.Read(e.Nonce)
	return e
}

// KeyringOf makes a keyring of epochs that were kept. Numbers run from 1, and
// only the last may be on standby.
func KeyringOf(epochs []Epoch) (*Keyring, error) {
	if len(epochs) == 0 {
		return nil, errors.New("keyring is empty: restore it from your backup")
	}
	if len(epochs) > MaxEpochs {
		return nil, fmt.Errorf("keyring has %d epochs: at most %d", len(epochs), MaxEpochs)
	}
	h := &held{epochs: make([]epoch, len(epochs))}
	for i, e := range epochs {
		if int(e.Number) != i+1 || len(e.Secret) != 32 || len(e.Nonce) != 16 || e.Standby && (i == 0 || i+1 < len(epochs)) {
			return nil, fmt.Errorf("keyring is damaged in epoch %d: restore it from your backup", i+1)
		}
		c, err := aes.NewCipher(derive(e.Secret, tokenLabel, 16))
		if err != nil {
			return nil, err
		}
		h.epochs[i] = epoch{e, c}
		if !e.Standby {
			h.seal = &h.epochs[i]
		}
	}
	k := &Keyring{}
	k.held.Store(h)
	return k, nil
}

// What is derived from a root secret besides pictures' keys.
const (
	tokenLabel  = "birdring/token/v1"
	cookieLabel = "birdring/dns-cookie/v1"
)

// Epochs returns the root secrets, for whoever keeps them.
func (k *Keyring) Epochs() []Epoch {
	k.needRoot()
	var out []Epoch
	for _, e := range k.held.Load().epochs {
		out = append(out, e.Epoch)
	}
	return out
}

// Rotated is this keyring with one more epoch, on standby: whoever holds it can
// open what is sealed with the new epoch, nobody seals with it before Activated.
func (k *Keyring) Rotated() (*Keyring, error) {
	epochs := k.Epochs()
	if last := epochs[len(epochs)-1]; last.Standby {
		return nil, fmt.Errorf("epoch %d is on standby already", last.Number)
	}
	if len(epochs) == MaxEpochs {
		return nil, fmt.Errorf("the keyring holds %d epochs, as many as tokens can name", MaxEpochs)
	}
	next := drawEpoch(uint8(len(epochs) + 1))
	next.Standby = true
	return KeyringOf(append(epochs, next))
}

// Activated is this keyring with its newest epoch in use.
func (k *Keyring) Activated() (*Keyring, error) {
	epochs := k.Epochs()
	epochs[len(epochs)-1].Standby = false
	return KeyringOf(epochs)
}

// Adopt takes over a newer state of the same keyring, in place: whoever holds k
// opens and seals with it from now on. It refuses one that lacks an epoch of k.
func (k *Keyring) Adopt(newer *Keyring) error {
	k.needRoot()
	old, now := k.held.Load(), newer.held.Load()
	if len(now.epochs) < len(old.epochs) {
		return fmt.Errorf("the keyring lost epoch %d", len(old.epochs))
	}
	for i, e := range old.epochs {
		if !bytes.Equal(e.Secret, now.epochs[i].Secret) {
			return fmt.Errorf("the keyring has another epoch %d", e.Number)
		}
	}
	k.held.Store(now)
	return nil
}

// keyringVersion is the version of the first file format, in which the secrets
// stand open. Package keystore reads it and writes the next.
const keyringVersion = 1

// keyringFile is the keyring on disk.
type keyringFile struct {
	Version int         `json:"version"`
	Epochs  []epochFile `json:"epochs"`
}

type epochFile struct {
	Epoch  uint8  `json:"epoch"`
	Secret string `json:"secret"` // base64
	Nonce  string `json:"nonce"`
}

// ParseKeyring reads a keyring file of the first format.
func ParseKeyring(data []byte) (*Keyring, error) {
	var f keyringFile
	if err := json.Unmarshal(data, &f); err != nil {
		return nil, fmt.Errorf("keyring is damaged: %w", err)
	}
	if f.Version != keyringVersion {
		return nil, fmt.Errorf("keyring has format %d, this program reads %d: use the program that wrote it", f.Version, keyringVersion)
	}
	var epochs []Epoch
	for i, e := range f.Epochs {
		secret, err1 := base64.StdEncoding.DecodeString(e.Secret)
		nonce, err2 := base64.StdEncoding.DecodeString(e.Nonce)
		if err1 != nil || err2 != nil {
			return nil, fmt.Errorf("keyring is damaged in epoch %d: restore it from your backup", i+1)
		}
		epochs = append(epochs, Epoch{Number: e.Epoch, Secret: secret, Nonce: nonce})
	}
	return KeyringOf(epochs)
}

// Marshal writes the first file format, which knows no standby: keep it readable
// by its owner alone.
func (k *Keyring) Marshal() ([]byte, error) {
	f := keyringFile{Version: keyringVersion}
	for _, e := range k.Epochs() {
		f.Epochs = append(f.Epochs, epochFile{
			e.Number, base64.StdEncoding.EncodeToString(e.Secret), base64.StdEncoding.EncodeToString(e.Nonce),
		})
	}
	return json.MarshalIndent(f, "", "  ")
}

// String keeps secrets out of formatted output.
func (k *Keyring) String() string { return "keyring " + k.Commitment()[:12] }

// LogValue keeps secrets out of logs.
func (k *Keyring) LogValue() slog.Value { return slog.StringValue(k.String()) }

// Epoch is the epoch in use: what is planted now uses it.
func (k *Keyring) Epoch() uint8 { return k.held.Load().seal.Number }

// Commitment is the hex SHA-256 over all epochs' secrets, each with its nonce.
// Published before planting, it proves later that the keys were not chosen
// afterwards; it reveals nothing. An edge's keyring tells that of its registry.
func (k *Keyring) Commitment() string {
	if k.edge != nil {
		return k.edge.commitment
	}
	h := sha256.New()
	h.Write([]byte("birdring/commitment/v1"))
	for _, e := range k.held.Load().epochs {
		h.Write([]byte{e.Number})
		h.Write(e.Nonce)
		h.Write(e.Secret)
	}
	return hex.EncodeToString(h.Sum(nil))
}

func (h *held) epoch(number uint8) *epoch {
	if number < 1 || int(number) > len(h.epochs) {
		return nil
	}
	return &h.epochs[number-1]
}

// root is an epoch's secret, nil for an epoch the keyring does not hold.
func (k *Keyring) root(number uint8) []byte {
	k.needRoot()
	e := k.held.Load().epoch(number)
	if e == nil {
		return nil
	}
	return e.Secret
}

// needRoot panics for an edge's keyring: an edge asks for nothing else.
func (k *Keyring) needRoot() {
	if k.edge != nil {
		panic("canary: internal error: an edge's keyring holds no root secret")
	}
}

// Derive draws a 32-byte key for one purpose of the registry's own from the first
// epoch, which rotation leaves as it is. Labels begin with the purpose's name.
func (k *Keyring) Derive(label string) []byte {
	return derive(k.root(1), "birdring/own/v1|"+label, 32)
}

// derive draws n bytes for one purpose.
func derive(secret []byte, label string, n int) []byte {
	out, err := hkdf.Key(sha256.New, secret, nil, label, n)
	if err != nil {
		panic("canary: internal error: hkdf: " + err.Error()) // only for n > 255 x 32
	}
	return out
}

// PictureKey is the 32-byte key of a picture's codebook and bumps, nil for an
// epoch the keyring does not hold, or a picture that an edge does not serve.
func (k *Keyring) PictureKey(number uint8, photo string) []byte {
	if k.edge != nil {
		return k.edge.key(number, photo)
	}
	secret := k.root(number)
	if secret == nil {
		return nil
	}
	return derive(secret, "birdring/picture/v1|"+photo, 32)
}

// uniform is a keyed number in [0, 1) for a purpose and its inputs. Each input
// is preceded by its length, so that no two lists of inputs run together.
func (k *Keyring) uniform(purpose string, inputs ...string) uint64 {
	mac := hmac.New(sha256.New, derive(k.root(1), "birdring/"+purpose, 32))
	for _, in := range inputs {
		binary.Write(mac, binary.BigEndian, uint32(len(in)))
		mac.Write([]byte(in))
	}
	return binary.BigEndian.Uint64(mac.Sum(nil))
}

// Coin says whether a shared decoy is put in front of an account: a keyed coin
// that shows heads with probability share. It belongs to the first epoch, so that
// rotation never changes who is shown what.
func (k *Keyring) Coin(account, decoy string, share float64) bool {
	if share >= 1 {
		return true
	}
	return float64(k.uniform("coin/v1", account, decoy)) < max(0, share)*math.Exp2(64)
}

// CookieSecrets are the secrets of DNS cookies (RFC 9018) that all servers with
// this keyring share, that of the newest epoch first.
func (k *Keyring) CookieSecrets() (secrets [][16]byte) {
	if k.edge != nil {
		return k.edge.cookies
	}
	epochs := k.held.Load().epochs
	for i := len(epochs) - 1; i >= 0; i-- {
		secrets = append(secrets, [16]byte(derive(epochs[i].Secret, cookieLabel, 16)))
	}
	return secrets
}

// Moment is a keyed number in [0, 1), for times that nobody outside may guess.
func (k *Keyring) Moment(label string) float64 {
	return float64(k.uniform("moment/v1", label)>>11) / (1 << 53)
}
