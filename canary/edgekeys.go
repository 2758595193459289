package canary

import (
	"bytes"
	"crypto/aes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
)

// edgeVersion is the version of the file of an edge's keys.
const edgeVersion = 1

// EdgePicture is a picture that an edge serves.
type EdgePicture struct {
	Photo    string `json:"photo"`     // id; its prepared picture is the file <photo>.brp
	Num      uint32 `json:"num"`       // as sealed into links
	Decoy    string `json:"decoy"`     // id
	DecoyNum uint32 `json:"decoy_num"` // as sealed into the decoy's link
	Epoch    uint8  `json:"epoch"`     // for ever
}

// edgeFile is an edge's keys on disk: of every epoch what opens and seals tokens
// and DNS cookies, of every picture its own key. All are one-way derivations
// (HKDF-SHA256): neither the root secret nor another picture's key follows.
type edgeFile struct {
	Format     string            `json:"format"` // "birdring-edge-keys"
	Version    int               `json:"version"`
	Commitment string            `json:"commitment"` // of the registry's keyring
	Seal       uint8             `json:"seal"`       // the epoch that seals
	Epochs     []edgeEpochFile   `json:"epochs"`
	Pictures   []edgePictureFile `json:"pictures"` // by num
}

type edgeEpochFile struct {
	Epoch   uint8  `json:"epoch"`
	Tokens  []byte `json:"tokens"`  // base64, 16 bytes
	Cookies []byte `json:"cookies"` // base64, 16 bytes
}

type edgePictureFile struct {
	EdgePicture
	Key []byte `json:"key"` // base64, 32 bytes
}

const edgeFormat = "birdring-edge-keys"

// Bounds of an edge's file.
const (
	MaxEdgeFile = 256 << 20
	keyLength   = 32
)

// edgeKeys is what an edge's keyring holds instead of root secrets.
type edgeKeys struct {
	commitment string
	cookies    [][16]byte // newest first
	pictures   []EdgePicture
	keys       map[string]edgeKey // by photo
}

type edgeKey struct {
	epoch uint8
	key   []byte
}

func (e *edgeKeys) key(epoch uint8, photo string) []byte {
	if k, ok := e.keys[photo]; ok && k.epoch == epoch {
		return k.key
	}
	return nil
}

// ExportEdge writes the keys of an edge that serves these pictures: what opens
// and seals tokens, and the pictures' own keys. Whoever has the file can seal any
// token and compute any viewer's copy of these pictures, nothing else.
func (k *Keyring) ExportEdge(pictures []EdgePicture) ([]byte, error) {
	f := edgeFile{Format: edgeFormat, Version: edgeVersion, Commitment: k.Commitment(), Seal: k.Epoch()}
	for _, e := range k.Epochs() {
		f.Epochs = append(f.Epochs, edgeEpochFile{e.Number, derive(e.Secret, tokenLabel, 16), derive(e.Secret, cookieLabel, 16)})
	}
	for _, p := range pictures {
		key := k.PictureKey(p.Epoch, p.Photo)
		if key == nil {
			return nil, fmt.Errorf("picture %s is of epoch %d, which the keyring does not hold", p.Photo, p.Epoch)
		}
		f.Pictures = append(f.Pictures, edgePictureFile{p, key})
	}
	slices.SortFunc(f.Pictures, func(a, b edgePictureFile) int { return int(a.Num) - int(b.Num) })
	return json.MarshalIndent(f, "", " ")
}

// ParseEdgeKeys reads an edge's keys. The keyring opens and seals tokens, knows
// the keys of its pictures (EdgePictures) and has no root secret.
func ParseEdgeKeys(data []byte) (*Keyring, error) {
	var f edgeFile
	if len(data) > MaxEdgeFile {
		return nil, fmt.Errorf("edge keys of %d bytes: at most %d", len(data), MaxEdgeFile)
	}
	if err := json.Unmarshal(data, &f); err != nil {
		return nil, fmt.Errorf("edge keys are damaged: %w", err)
	}
	switch {
	case f.Format != edgeFormat:
		return nil, errors.New("this is no file of an edge's keys: make one with birdring keys export-edge")
	case f.Version != edgeVersion:
		return nil, fmt.Errorf("edge keys have format %d, this program reads %d: export them anew", f.Version, edgeVersion)
	case len(f.Epochs) == 0 || len(f.Epochs) > MaxEpochs:
		return nil, fmt.Errorf("edge keys name %d epochs: 1 to %d are possible", len(f.Epochs), MaxEpochs)
	case f.Seal < 1 || int(f.Seal) > len(f.Epochs):
		return nil, fmt.Errorf("edge keys seal with epoch %d, which they do not hold", f.Seal)
	}
	edge := &edgeKeys{commitment: f.Commitment, keys: make(map[string]edgeKey, len(f.Pictures))}
	h := &held{epochs: make([]epoch, len(f.Epochs))}
	for i, e := range f.Epochs {
		if int(e.Epoch) != i+1 || len(e.Tokens) != 16 || len(e.Cookies) != 16 {
			return nil, fmt.Errorf("edge keys are damaged in epoch %d: export them anew", i+1)
		}
		c, err := aes.NewCipher(e.Tokens)
		if err != nil {
			return nil, err
		}
		h.epochs[i] = epoch{Epoch{Number: e.Epoch}, c}
		edge.cookies = slices.Insert(edge.cookies, 0, [16]byte(e.Cookies))
	}
	h.seal = &h.epochs[f.Seal-1]
	if err := edge.take(f.Pictures, len(f.Epochs)); err != nil {
		return nil, err
	}
	k := &Keyring{edge: edge}
	k.held.Store(h)
	return k, nil
}

// take checks and keeps the pictures of a file.
func (e *edgeKeys) take(pictures []edgePictureFile, epochs int) error {
	last := uint32(0)
	for _, p := range pictures {
		_, twice := e.keys[p.Photo]
		switch {
		case !isPhotoID(p.Photo) || twice || p.Num <= last || p.Num > MaxObject || p.DecoyNum > MaxObject || p.Epoch < 1 || int(p.Epoch) > epochs:
			return fmt.Errorf("edge keys are damaged at picture %.60q: export them anew", p.Photo)
		case len(p.Key) != keyLength:
			return fmt.Errorf("edge keys are damaged: the key of picture %s has %d bytes, %d are wanted", p.Photo, len(p.Key), keyLength)
		}
		last = p.Num
		e.keys[p.Photo] = edgeKey{p.Epoch, bytes.Clone(p.Key)}
		e.pictures = append(e.pictures, p.EdgePicture)
	}
	return nil
}

// isPhotoID says whether a picture's id is safe as a file name.
func isPhotoID(s string) bool {
	if len(s) < 1 || len(s) > maxID {
		return false
	}
	for _, c := range []byte(s) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}

// EdgePictures are the pictures that an edge serves, by number; none for the
// keyring of a registry.
func (k *Keyring) EdgePictures() []EdgePicture {
	if k.edge == nil {
		return nil
	}
	return slices.Clone(k.edge.pictures)
}
