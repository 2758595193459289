package keystore_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/prf"

	"birdring/canary"
	"birdring/registry/keystore"
)

// keys are a keyring of two epochs, the second on standby.
func keys(t testing.TB) *canary.Keyring {
	t.Helper()
	k, err := canary.NewKeyring()
	if err == nil {
		k, err = k.Rotated()
	}
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func same(t *testing.T, a, b *canary.Keyring) {
	t.Helper()
	if a.Commitment() != b.Commitment() || a.Epoch() != b.Epoch() || !bytes.Equal(a.PictureKey(2, "p"), b.PictureKey(2, "p")) {
		t.Error("the keyring changed on its way through the file")
	}
}

// written checks that no secret stands in a file.
func sealed(t *testing.T, data []byte, k *canary.Keyring) {
	t.Helper()
	for _, e := range k.Epochs() {
		if bytes.Contains(data, []byte(base64.StdEncoding.EncodeToString(e.Secret))) || bytes.Contains(data, e.Secret) {
			t.Error("a secret stands in the file")
		}
	}
}

func TestOpenKeysetComesBackAndIsTinks(t *testing.T) {
	k := keys(t)
	data, err := keystore.Marshal(k, "")
	if err != nil {
		t.Fatal(err)
	}
	back, info, err := keystore.Parse(data)
	if err != nil || info.Version != 2 || info.KMS != "" {
		t.Fatalf("%+v, %v", info, err)
	}
	same(t, k, back)

	// Tink's own PRF gives what we derive from the epoch in use.
	var f struct{ Keyset json.RawMessage }
	if err := json.Unmarshal(data, &f); err != nil {
		t.Fatal(err)
	}
	h, err := insecurecleartextkeyset.Read(keyset.NewJSONReader(bytes.NewReader(f.Keyset)))
	if err != nil {
		t.Fatal(err)
	}
	set, err := prf.NewPRFSet(h)
	if err != nil {
		t.Fatal(err)
	}
	out, err := set.ComputePrimaryPRF([]byte("birdring/picture/v1|p"), 32)
	if err != nil || !bytes.Equal(out, k.PictureKey(1, "p")) {
		t.Errorf("Tink derives another key: %v", err)
	}
}

// The format of before is read for ever.
func TestFirstFormatIsRead(t *testing.T) {
	k, err := canary.NewKeyring()
	if err != nil {
		t.Fatal(err)
	}
	data, err := k.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	back, info, err := keystore.Parse(data)
	if err != nil || info.Version != 1 {
		t.Fatalf("%+v, %v", info, err)
	}
	if back.Commitment() != k.Commitment() {
		t.Error("another keyring")
	}
}

func TestFileKMSWrapsTheKeyset(t *testing.T) {
	k := keys(t)
	path := filepath.Join(t.TempDir(), "kek.json")
	uri := "file-kms://" + path
	if _, err := keystore.Marshal(k, uri); err == nil {
		t.Fatal("keys were wrapped by nothing")
	}
	for _, want := range []bool{true, false} {
		if made, err := keystore.MakeKEK(uri); err != nil || made != want {
			t.Fatalf("made %v, %v", made, err)
		}
	}
	if st, err := os.Stat(path); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("others read the wrapping key: %v", err)
	}
	data, err := keystore.Marshal(k, uri)
	if err != nil {
		t.Fatal(err)
	}
	sealed(t, data, k)
	back, info, err := keystore.Parse(data)
	if err != nil || info.KMS != uri {
		t.Fatalf("%+v, %v", info, err)
	}
	same(t, k, back)

	moved := filepath.Join(t.TempDir(), "moved.json")
	if err := os.Rename(path, moved); err != nil {
		t.Fatal(err)
	}
	if _, _, err := keystore.Parse(data); err == nil {
		t.Error("keys were opened without the wrapping key")
	}
	t.Setenv(keystore.Env, "file-kms://"+moved)
	if back, _, err = keystore.Parse(data); err != nil {
		t.Fatal(err)
	}
	same(t, k, back)
	other := "file-kms://" + filepath.Join(t.TempDir(), "other.json")
	if _, err := keystore.MakeKEK(other); err != nil {
		t.Fatal(err)
	}
	t.Setenv(keystore.Env, other)
	if _, _, err := keystore.Parse(data); err == nil || !strings.Contains(err.Error(), keystore.Env) {
		t.Errorf("another key opened them, or nobody says what to do: %v", err)
	}
}

// program writes a script that wraps; what it does is no encryption.
func program(t *testing.T, script string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "wrap")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+script), 0o700); err != nil {
		t.Fatal(err)
	}
	return "exec-kms://" + path
}

func TestExecKMSRunsAProgram(t *testing.T) {
	k := keys(t)
	uri := program(t, "case $1 in encrypt) exec base64;; decrypt) exec base64 -d;; esac\n")
	data, err := keystore.Marshal(k, uri)
	if err != nil {
		t.Fatal(err)
	}
	sealed(t, data, k)
	back, _, err := keystore.Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	same(t, k, back)
	t.Setenv(keystore.Env, program(t, "echo no such key >&2; exit 3\n"))
	if _, _, err := keystore.Parse(data); err == nil || !strings.Contains(err.Error(), "no such key") {
		t.Errorf("what the program says is not told: %v", err)
	}
}

func TestUnknownServiceIsRefused(t *testing.T) {
	for _, uri := range []string{"aws-kms://arn", "file-kms://relative", "exec-kms://host/x", "nonsense"} {
		if _, err := keystore.Marshal(keys(t), uri); err == nil {
			t.Errorf("%s was taken", uri)
		}
	}
}

func FuzzParse(f *testing.F) {
	k, err := canary.NewKeyring()
	if err != nil {
		f.Fatal(err)
	}
	for _, write := range []func() ([]byte, error){k.Marshal, func() ([]byte, error) { return keystore.Marshal(k, "") }} {
		data, err := write()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
		f.Add(bytes.Replace(data, []byte(`"epoch": 1`), []byte(`"epoch": 2`), 1))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if bytes.Contains(data, []byte("-kms")) {
			t.Skip("no program is run for a fuzzer")
		}
		k, _, err := keystore.Parse(data)
		if err == nil && len(k.PictureKey(k.Epoch(), "p")) != 32 {
			t.Error("a keyring without a key in use")
		}
	})
}
