// Package keystore keeps a registry's root secrets in a file, keys.json.
//
// The secrets are a Tink keyset of HKDF-PRF keys (RFC 5869, SHA-256, no salt), one
// an epoch, whose key ids are the epochs' numbers: what Birdring derives from a
// secret is what Tink's PRF gives for the same label. The keyset stands open in a
// file that only its owner reads, or encrypted with a data key that a
// key-management service wrapped (envelope encryption); the service is named by a URI:
//
//	file-kms:///mnt/usb/kek.json     a Tink AEAD keyset in a file of its own
//	exec-kms:///usr/local/bin/wrap   a program: wrap encrypt|decrypt, stdin to stdout
//
// A program makes any service usable without its SDK, for example
//
//	#!/bin/sh
//	exec aws kms "$1" --key-id alias/birdring ...
//
// Clients of other services that implement Tink's KMSClient can be registered with
// Tink (core/registry.RegisterKMSClient): their URIs work here unchanged.
//
// The first format (version 1) is read as well. It has the secrets as they are;
// birdring keys move writes the new one.
package keystore

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
	commonpb "github.com/tink-crypto/tink-go/v2/proto/common_go_proto"
	hkdfpb "github.com/tink-crypto/tink-go/v2/proto/hkdf_prf_go_proto"
	tinkpb "github.com/tink-crypto/tink-go/v2/proto/tink_go_proto"
	"github.com/tink-crypto/tink-go/v2/tink"
	"google.golang.org/protobuf/proto"

	"birdring/canary"
)

// version is that of the file format.
const version = 2

// keyType is Tink's name of an HKDF-PRF key.
const keyType = "type.googleapis.com/google.crypto.tink.HkdfPrfKey"

// Env is the variable that names the service instead of the file's own URI, for
// a key that was moved.
const Env = "BIRDRING_KMS"

// file is keys.json.
type file struct {
	Version int             `json:"version"`
	KMS     string          `json:"kms"` // "": the keyset stands open
	Epochs  []epochFile     `json:"epochs"`
	Keyset  json.RawMessage `json:"keyset"` // as Tink writes it
}

type epochFile struct {
	Epoch   uint8  `json:"epoch"`
	Nonce   []byte `json:"nonce"` // base64, blinds the commitment
	Standby bool   `json:"standby"`
}

// Info says how secrets were kept.
type Info struct {
	Version int
	KMS     string // "": open, readable by whoever reads the file
}

// Parse reads a file of any version.
func Parse(data []byte) (*canary.Keyring, Info, error) {
	var f file
	if err := json.Unmarshal(data, &f); err != nil {
		return nil, Info{}, fmt.Errorf("keys are damaged: %w", err)
	}
	if f.Version == 1 {
		k, err := canary.ParseKeyring(data)
		return k, Info{Version: 1}, err
	}
	if f.Version != version {
		return nil, Info{}, fmt.Errorf("keys have format %d, this program reads 1 and %d: use the program that wrote them", f.Version, version)
	}
	k, err := f.open()
	return k, Info{version, f.KMS}, err
}

func (f *file) open() (*canary.Keyring, error) {
	if len(f.Keyset) == 0 {
		return nil, errors.New("keys are damaged: there is no keyset")
	}
	in := keyset.NewJSONReader(bytes.NewReader(f.Keyset))
	handle, err := f.handle(in)
	if err != nil {
		return nil, err
	}
	secrets := map[uint32][]byte{}
	for _, k := range insecurecleartextkeyset.KeysetMaterial(handle).GetKey() {
		var p hkdfpb.HkdfPrfKey
		if k.GetKeyData().GetTypeUrl() != keyType {
			return nil, fmt.Errorf("key %d of the keyset is a %s: an HKDF-PRF key is wanted", k.GetKeyId(), k.GetKeyData().GetTypeUrl())
		}
		if err := proto.Unmarshal(k.GetKeyData().GetValue(), &p); err != nil {
			return nil, fmt.Errorf("key %d of the keyset is damaged: %w", k.GetKeyId(), err)
		}
		if p.GetParams().GetHash() != commonpb.HashType_SHA256 || len(p.GetParams().GetSalt()) != 0 {
			return nil, fmt.Errorf("key %d of the keyset has another hash or a salt", k.GetKeyId())
		}
		secrets[k.GetKeyId()] = p.GetKeyValue()
	}
	var epochs []canary.Epoch
	for _, e := range f.Epochs {
		epochs = append(epochs, canary.Epoch{Number: e.Epoch, Secret: secrets[uint32(e.Epoch)], Nonce: e.Nonce, Standby: e.Standby})
	}
	return canary.KeyringOf(epochs)
}

func (f *file) handle(in keyset.Reader) (*keyset.Handle, error) {
	uri := f.KMS
	if uri == "" {
		h, err := insecurecleartextkeyset.Read(in)
		if err != nil {
			return nil, fmt.Errorf("keys are damaged: %w", err)
		}
		return h, nil
	}
	if other := os.Getenv(Env); other != "" {
		uri = other
	}
	wrap, err := envelope(uri)
	if err != nil {
		return nil, err
	}
	h, err := keyset.ReadWithAssociatedData(in, wrap, associated)
	if err != nil {
		return nil, fmt.Errorf("keys cannot be decrypted with %s: %w; name the right key with $%s", uri, err, Env)
	}
	return h, nil
}

// associated is bound to every encrypted keyset of ours.
var associated = []byte("birdring/keys/v2")

// Marshal writes the file, encrypted if kms is not "".
func Marshal(k *canary.Keyring, kms string) ([]byte, error) {
	f := file{Version: version, KMS: kms}
	set := &tinkpb.Keyset{PrimaryKeyId: uint32(k.Epoch())}
	for _, e := range k.Epochs() {
		f.Epochs = append(f.Epochs, epochFile{e.Number, e.Nonce, e.Standby})
		value, err := proto.Marshal(&hkdfpb.HkdfPrfKey{Params: &hkdfpb.HkdfPrfParams{Hash: commonpb.HashType_SHA256}, KeyValue: e.Secret})
		if err != nil {
			return nil, err
		}
		set.Key = append(set.Key, &tinkpb.Keyset_Key{
			KeyData: &tinkpb.KeyData{TypeUrl: keyType, Value: value, KeyMaterialType: tinkpb.KeyData_SYMMETRIC},
			KeyId:   uint32(e.Number), Status: tinkpb.KeyStatusType_ENABLED, OutputPrefixType: tinkpb.OutputPrefixType_RAW,
		})
	}
	plain, err := proto.Marshal(set)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	handle, err := insecurecleartextkeyset.Read(keyset.NewBinaryReader(bytes.NewReader(plain)))
	if err != nil {
		return nil, err
	}
	if err := write(handle, keyset.NewJSONWriter(&out), kms); err != nil {
		return nil, err
	}
	f.Keyset = out.Bytes()
	return json.MarshalIndent(f, "", "  ")
}

func write(h *keyset.Handle, to keyset.Writer, kms string) error {
	if kms == "" {
		return insecurecleartextkeyset.Write(h, to)
	}
	wrap, err := envelope(kms)
	if err != nil {
		return err
	}
	if err := h.WriteWithAssociatedData(to, wrap, associated); err != nil {
		return fmt.Errorf("encrypt keys with %s: %w", kms, err)
	}
	return nil
}

// envelope encrypts with a fresh data key that the service wraps.
func envelope(uri string) (tink.AEAD, error) {
	client, err := clientOf(uri)
	if err != nil {
		return nil, err
	}
	kek, err := client.GetAEAD(uri)
	if err != nil {
		return nil, fmt.Errorf("key-management service %s: %w", uri, err)
	}
	return aead.NewKMSEnvelopeAEAD2(aead.AES256GCMKeyTemplate(), kek), nil
}
