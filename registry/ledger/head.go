package ledger

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// Head is a tree head: what a ledger of this size hashes to, signed at a time.
type Head struct {
	Size int64
	Root Hash
	At   time.Time // by the signer's clock, whole seconds; the zero time: nobody says
}

// ErrHead is wrapped by errors about a head that is not signed by this ledger.
var ErrHead = errors.New("not signed by this ledger")

// Signer signs the heads of one ledger, with two Ed25519 signatures: the log's own
// (C2SP tlog-checkpoint) and one with the time (C2SP tlog-cosignature).
type Signer struct {
	origin string
	log    note.Signer
	timed  *timed
	key    string // vkey
	opens  note.Verifiers
}

// NewSigner makes the signer of two 32-byte seeds.
func NewSigner(logSeed, timeSeed []byte) (*Signer, error) {
	if len(logSeed) != ed25519.SeedSize || len(timeSeed) != ed25519.SeedSize {
		return nil, errors.New("ledger: seeds of 32 bytes are wanted")
	}
	private := ed25519.NewKeyFromSeed(logSeed)
	public := private.Public().(ed25519.PublicKey)
	sum := sha256.Sum256(public)
	origin := "birdring/ledger/" + hex.EncodeToString(sum[:8])
	const algorithm = 1 // Ed25519
	data := append([]byte{algorithm}, public...)
	key := fmt.Sprintf("%s+%08x+%s", origin, keyHash(origin, data), base64.StdEncoding.EncodeToString(data))
	secret := fmt.Sprintf("PRIVATE+KEY+%s+%08x+%s", origin, keyHash(origin, data), base64.StdEncoding.EncodeToString(append([]byte{algorithm}, logSeed...)))
	log, err := note.NewSigner(secret)
	if err != nil {
		return nil, err
	}
	verifier, err := note.NewVerifier(key)
	if err != nil {
		return nil, err
	}
	t := newTimed(origin+"/time", ed25519.NewKeyFromSeed(timeSeed))
	return &Signer{origin, log, t, key, note.VerifierList(verifier, t)}, nil
}

func keyHash(name string, key []byte) uint32 {
	sum := sha256.Sum256(append([]byte(name+"\n"), key...))
	return binary.BigEndian.Uint32(sum[:])
}

// Key is the public key as note verifiers read it: publish it.
func (s *Signer) Key() string { return s.key }

// TimeKey is the public key of the signature that carries the time.
func (s *Signer) TimeKey() string { return s.timed.vkey() }

// Sign signs the head of a tree.
func (s *Signer) Sign(h Head) ([]byte, error) {
	text := fmt.Sprintf("%s\n%d\n%s\n", s.origin, h.Size, h.Root)
	t := *s.timed
	t.at = h.At.Unix()
	return note.Sign(&note.Note{Text: text}, s.log, &t)
}

// Open reads a signed head. Anything else is ErrHead.
func (s *Signer) Open(checkpoint []byte) (Head, error) {
	if len(checkpoint) > 1<<20 {
		return Head{}, fmt.Errorf("%w: %d bytes", ErrHead, len(checkpoint))
	}
	n, err := note.Open(checkpoint, s.opens)
	if err != nil {
		return Head{}, fmt.Errorf("%w: %v", ErrHead, err)
	}
	h, err := s.parse(n.Text)
	if err != nil {
		return Head{}, fmt.Errorf("%w: %v", ErrHead, err)
	}
	own := false
	for _, sig := range n.Sigs {
		switch sig.Hash {
		case s.log.KeyHash():
			own = own || sig.Name == s.log.Name()
		case s.timed.KeyHash():
			h.At = timeOf(sig)
		}
	}
	if !own {
		return Head{}, fmt.Errorf("%w: the log's own signature is missing", ErrHead)
	}
	return h, nil
}

// parse reads the text of a checkpoint: origin, size, root.
func (s *Signer) parse(text string) (h Head, err error) {
	lines := strings.Split(text, "\n")
	if len(lines) < 4 || lines[0] != s.origin {
		return h, errors.New("it is of another log")
	}
	h.Size, err = strconv.ParseInt(lines[1], 10, 64)
	if err != nil || h.Size < 0 || lines[1] != strconv.FormatInt(h.Size, 10) {
		return h, fmt.Errorf("size %.20q", lines[1])
	}
	h.Root, err = tlog.ParseHash(lines[2])
	return h, err
}

// timed is a signer and verifier of C2SP tlog-cosignature/v1.
type timed struct {
	name    string
	hash    uint32
	private ed25519.PrivateKey
	at      int64 // what Sign says, Unix seconds
}

const cosignature = 4 // the algorithm's number in a key

func newTimed(name string, private ed25519.PrivateKey) *timed {
	t := &timed{name: name, private: private}
	t.hash = keyHash(name, t.key())
	return t
}

func (t *timed) key() []byte {
	return append([]byte{cosignature}, t.private.Public().(ed25519.PublicKey)...)
}

func (t *timed) vkey() string {
	return fmt.Sprintf("%s+%08x+%s", t.name, t.hash, base64.StdEncoding.EncodeToString(t.key()))
}

// Name and KeyHash say whose signature it is.
func (t *timed) Name() string { return t.name }

// KeyHash is as tlog-cosignature computes it.
func (t *timed) KeyHash() uint32 { return t.hash }

func timedMessage(at int64, msg []byte) []byte {
	return append(fmt.Appendf(nil, "cosignature/v1\ntime %d\n", at), msg...)
}

// Sign returns the time and a signature over it and the checkpoint.
func (t *timed) Sign(msg []byte) ([]byte, error) {
	out := binary.BigEndian.AppendUint64(nil, uint64(t.at))
	return append(out, ed25519.Sign(t.private, timedMessage(t.at, msg))...), nil
}

// Verify checks what Sign returned.
func (t *timed) Verify(msg, sig []byte) bool {
	if len(sig) != 8+ed25519.SignatureSize {
		return false
	}
	at := int64(binary.BigEndian.Uint64(sig))
	return at >= 0 && ed25519.Verify(t.private.Public().(ed25519.PublicKey), timedMessage(at, msg), sig[8:])
}

// timeOf is the time of a signature that was verified.
func timeOf(s note.Signature) time.Time {
	data, err := base64.StdEncoding.DecodeString(s.Base64)
	if err != nil || len(data) < 12 {
		return time.Time{}
	}
	return time.Unix(int64(binary.BigEndian.Uint64(data[4:])), 0).UTC()
}

// checkpointFile is the newest signed head, as the layout names it.
const checkpointFile = "checkpoint"

// Checkpoint reads the newest signed head, nil if there is none yet.
func (f Folder) Checkpoint() ([]byte, error) {
	data, err := os.ReadFile(filepath.Join(string(f), checkpointFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return data, err
}

// Publish puts a signed head in place; the tiles under it must be on disk.
func (f Folder) Publish(checkpoint []byte) error {
	if err := os.MkdirAll(string(f), 0o700); err != nil {
		return err
	}
	if err := replace(filepath.Join(string(f), checkpointFile), checkpoint, true); err != nil {
		return fmt.Errorf("publish tree head: %w", err)
	}
	return syncFolder(string(f))
}
