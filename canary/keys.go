package canary

import (
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
)

// Keyring holds the root secrets, one an epoch, from which every ring, handle,
// coin and token is derived (HKDF-SHA256, RFC 5869, one label a purpose). It
// never prints them.
type Keyring struct {
	epochs []epoch // newest last
}

// epoch is one root secret and what is derived from it once.
type epoch struct {
	number uint8
	secret []byte // 32 bytes
	nonce  []byte // 16 bytes, blinds the commitment
	tokens cipher.Block
}

// keyringVersion is the version of the file format.
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

// NewKeyring draws a keyring with one epoch.
func NewKeyring() (*Keyring, error) {
	secret, nonce := make([]byte, 32), make([]byte, 16)
	rand.Read(secret)
	rand.Read(nonce)
	return newKeyring([]epoch{{number: 1, secret: secret, nonce: nonce}})
}

func newKeyring(epochs []epoch) (*Keyring, error) {
	for i := range epochs {
		c, err := aes.NewCipher(derive(epochs[i].secret, "birdring/token/v1", 16))
		if err != nil {
			return nil, err
		}
		epochs[i].tokens = c
	}
	return &Keyring{epochs: epochs}, nil
}

// ParseKeyring reads a keyring file.
func ParseKeyring(data []byte) (*Keyring, error) {
	var f keyringFile
	if err := json.Unmarshal(data, &f); err != nil {
		return nil, fmt.Errorf("keyring is damaged: %w", err)
	}
	if f.Version != keyringVersion {
		return nil, fmt.Errorf("keyring has format %d, this program reads %d: use the program that wrote it", f.Version, keyringVersion)
	}
	if len(f.Epochs) == 0 {
		return nil, errors.New("keyring is empty: restore it from your backup")
	}
	var epochs []epoch
	for i, e := range f.Epochs {
		secret, err1 := base64.StdEncoding.DecodeString(e.Secret)
		nonce, err2 := base64.StdEncoding.DecodeString(e.Nonce)
		if err1 != nil || err2 != nil || len(secret) != 32 || len(nonce) != 16 || int(e.Epoch) != i+1 {
			return nil, fmt.Errorf("keyring is damaged in epoch %d: restore it from your backup", i+1)
		}
		epochs = append(epochs, epoch{number: e.Epoch, secret: secret, nonce: nonce})
	}
	return newKeyring(epochs)
}

// Marshal writes the keyring file: keep it readable by its owner alone.
func (k *Keyring) Marshal() ([]byte, error) {
	f := keyringFile{Version: keyringVersion}
	for _, e := range k.epochs {
		f.Epochs = append(f.Epochs, epochFile{
			e.number, base64.StdEncoding.EncodeToString(e.secret), base64.StdEncoding.EncodeToString(e.nonce),
		})
	}
	return json.MarshalIndent(f, "", "  ")
}

// String keeps secrets out of formatted output.
func (k *Keyring) String() string { return "keyring " + k.Commitment()[:12] }

// LogValue keeps secrets out of logs.
func (k *Keyring) LogValue() slog.Value { return slog.StringValue(k.String()) }

// Epoch is the newest epoch: what is planted now uses it.
func (k *Keyring) Epoch() uint8 { return k.epochs[len(k.epochs)-1].number }

// Commitment is the hex SHA-256 over all epochs' secrets, each with its nonce.
// Published before planting, it proves later that the keys were not chosen
// afterwards; it reveals nothing.
func (k *Keyring) Commitment() string {
	h := sha256.New()
	h.Write([]byte("birdring/commitment/v1"))
	for _, e := range k.epochs {
		h.Write([]byte{e.number})
		h.Write(e.nonce)
		h.Write(e.secret)
	}
	return hex.EncodeToString(h.Sum(nil))
}

func (k *Keyring) epoch(number uint8) *epoch {
	if number < 1 || int(number) > len(k.epochs) {
		return nil
	}
	return &k.epochs[number-1]
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
// epoch the keyring does not hold.
func (k *Keyring) PictureKey(number uint8, photo string) []byte {
	e := k.epoch(number)
	if e == nil {
		return nil
	}
	return derive(e.secret, "birdring/picture/v1|"+photo, 32)
}

// uniform is a keyed number in [0, 1) for a purpose and its inputs. Each input
// is preceded by its length, so that no two lists of inputs run together.
func (k *Keyring) uniform(purpose string, inputs ...string) uint64 {
	mac := hmac.New(sha256.New, derive(k.epochs[0].secret, "birdring/"+purpose, 32))
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
	for i := len(k.epochs) - 1; i >= 0; i-- {
		secrets = append(secrets, [16]byte(derive(k.epochs[i].secret, "birdring/dns-cookie/v1", 16)))
	}
	return secrets
}

// Moment is a keyed number in [0, 1), for times that nobody outside may guess.
func (k *Keyring) Moment(label string) float64 {
	return float64(k.uniform("moment/v1", label)>>11) / (1 << 53)
}
