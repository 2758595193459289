package keystore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/tink-crypto/tink-go/v2/aead"
	tinkregistry "github.com/tink-crypto/tink-go/v2/core/registry"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/tink"
)

// The services that need no client of their own.
const (
	fileKMS = "file-kms://"
	execKMS = "exec-kms://"
)

// clientOf finds who speaks with a service: ours first, then whatever is
// registered with Tink.
func clientOf(uri string) (tinkregistry.KMSClient, error) {
	for _, c := range []tinkregistry.KMSClient{fileClient{}, execClient{}} {
		if c.Supported(uri) {
			return c, nil
		}
	}
	c, err := tinkregistry.GetKMSClient(uri)
	if err != nil {
		return nil, fmt.Errorf("no client for the key-management service %q: %sPATH of a Tink keyset, or %sPATH of a program that wraps keys, work everywhere", uri, fileKMS, execKMS)
	}
	return c, nil
}

// pathOf is the absolute path that a URI names.
func pathOf(uri, scheme string) (string, error) {
	u, err := url.Parse(uri)
	if err != nil || u.Host != "" || !filepath.IsAbs(u.Path) || u.RawQuery != "" {
		return "", fmt.Errorf("%q: want %s/absolute/path", uri, scheme)
	}
	return u.Path, nil
}

// fileClient wraps with a Tink AEAD keyset that is kept apart from the data: on
// another file system, a USB stick, or where a secrets manager mounts it.
type fileClient struct{}

// Supported says whether it is ours.
func (fileClient) Supported(uri string) bool { return strings.HasPrefix(uri, fileKMS) }

// GetAEAD reads the keyset.
func (fileClient) GetAEAD(uri string) (tink.AEAD, error) {
	path, err := pathOf(uri, fileKMS)
	if err != nil {
		return nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	h, err := insecurecleartextkeyset.Read(keyset.NewJSONReader(f))
	if err != nil {
		return nil, fmt.Errorf("%s is no Tink keyset: %w", path, err)
	}
	return aead.New(h)
}

// MakeKEK makes the keyset of a file-kms URI unless it is there. Other URIs are
// left to their services.
func MakeKEK(uri string) (made bool, err error) {
	if !(fileClient{}).Supported(uri) {
		return false, nil
	}
	path, err := pathOf(uri, fileKMS)
	if err != nil {
		return false, err
	}
	h, err := keyset.NewHandle(aead.AES256GCMKeyTemplate())
	if err != nil {
		return false, err
	}
	var out bytes.Buffer
	if err := insecurecleartextkeyset.Write(h, keyset.NewJSONWriter(&out)); err != nil {
		return false, err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	_, err = f.Write(append(out.Bytes(), '\n'))
	if err == nil {
		err = f.Sync()
	}
	return true, errors.Join(err, f.Close())
}

// execClient has a program wrap keys.
type execClient struct{}

// Supported says whether it is ours.
func (execClient) Supported(uri string) bool { return strings.HasPrefix(uri, execKMS) }

// GetAEAD names the program; it runs when it is needed.
func (execClient) GetAEAD(uri string) (tink.AEAD, error) {
	path, err := pathOf(uri, execKMS)
	return wrapper(path), err
}

// wrapper is a program: its argument is encrypt or decrypt, stdin what is to be
// wrapped (32-byte data keys) or unwrapped, stdout the result. Its environment is
// ours, with the associated data, in hex, in BIRDRING_KMS_AD.
type wrapper string

// patience is how long a program may take.
const patience = time.Minute

// mostWrapped bounds what a program may answer, in bytes.
const mostWrapped = 64 << 10

func (w wrapper) run(verb string, in, ad []byte) ([]byte, error) {
	ctx, stop := context.WithTimeout(context.Background(), patience)
	defer stop()
	cmd := exec.CommandContext(ctx, string(w), verb)
	cmd.Stdin = bytes.NewReader(in)
	cmd.Env = append(os.Environ(), fmt.Sprintf("BIRDRING_KMS_AD=%x", ad))
	var out, complaint bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaint
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("%s %s: %w: %.300s", w, verb, err, bytes.TrimSpace(complaint.Bytes()))
	}
	if out.Len() == 0 || out.Len() > mostWrapped {
		return nil, fmt.Errorf("%s %s answered %d bytes: 1 to %d are possible", w, verb, out.Len(), mostWrapped)
	}
	return out.Bytes(), nil
}

// Encrypt wraps.
func (w wrapper) Encrypt(plain, ad []byte) ([]byte, error) { return w.run("encrypt", plain, ad) }

// Decrypt unwraps.
func (w wrapper) Decrypt(wrapped, ad []byte) ([]byte, error) { return w.run("decrypt", wrapped, ad) }
