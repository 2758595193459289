package canary_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"strings"
	"testing"

	"birdring/canary"
)

func rotated(t testing.TB, k *canary.Keyring) *canary.Keyring {
	t.Helper()
	next, err := k.Rotated()
	if err != nil {
		t.Fatal(err)
	}
	if next, err = next.Activated(); err != nil {
		t.Fatal(err)
	}
	return next
}

func edgeOf(t testing.TB, k *canary.Keyring, pictures ...canary.EdgePicture) (*canary.Keyring, []byte) {
	t.Helper()
	data, err := k.ExportEdge(pictures)
	if err != nil {
		t.Fatal(err)
	}
	edge, err := canary.ParseEdgeKeys(data)
	if err != nil {
		t.Fatal(err)
	}
	return edge, data
}

// An edge opens every token, serves its pictures, and holds nothing of the rest.
func TestEdgeKeysHoldWhatAnEdgeNeedsAndNoMore(t *testing.T) {
	first := keyring(t)
	k := rotated(t, first)
	served := []canary.EdgePicture{
		{Photo: "new", Num: 9, Decoy: "d-2", DecoyNum: 2, Epoch: 2},
		{Photo: "old", Num: 3, Decoy: "d-1", DecoyNum: 1, Epoch: 1},
	}
	edge, data := edgeOf(t, k, served...)
	for _, p := range served {
		if !bytes.Equal(edge.PictureKey(p.Epoch, p.Photo), k.PictureKey(p.Epoch, p.Photo)) {
			t.Errorf("picture %s: the edge has another key", p.Photo)
		}
		if edge.PictureKey(3-p.Epoch, p.Photo) != nil {
			t.Errorf("picture %s: the edge has a key of the other epoch", p.Photo)
		}
	}
	if got := edge.EdgePictures(); len(got) != 2 || got[0] != served[1] || got[1] != served[0] {
		t.Errorf("pictures come back as %+v", got)
	}
	if edge.Commitment() != k.Commitment() || edge.Epoch() != 2 {
		t.Errorf("the edge tells commitment %s and epoch %d", edge.Commitment(), edge.Epoch())
	}
	for _, from := range []*canary.Keyring{first, k} {
		pass := from.ViewerPass(123456)
		if v, err := edge.OpenPass(pass); err != nil || v != 123456 {
			t.Errorf("pass %s opens as %d, %v", pass, v, err)
		}
	}
	if v, err := k.OpenPass(edge.ViewerPass(77777)); err != nil || v != 77777 {
		t.Errorf("the registry opens an edge's token as %d, %v", v, err)
	}
	a, b := edge.CookieSecrets(), k.CookieSecrets()
	if len(a) != 2 || a[0] != b[0] || a[1] != b[1] {
		t.Error("cookie secrets differ")
	}

	// Neither a root secret nor another picture's key stands in the file, in any
	// spelling, and no secret of it leads there: what an edge derives with the
	// labels of the registry is something else.
	held := secretsIn(data)
	for _, e := range k.Epochs() {
		forbidden := map[string][]byte{"root": e.Secret, "other picture": k.PictureKey(e.Number, "other"), "own": k.Derive("x")}
		for what, secret := range forbidden {
			for _, spelling := range []string{
				string(secret), base64.StdEncoding.EncodeToString(secret), base64.RawURLEncoding.EncodeToString(secret), hex.EncodeToString(secret),
			} {
				if bytes.Contains(data, []byte(spelling)) {
					t.Errorf("epoch %d: %s stands in the file", e.Number, what)
				}
			}
			for _, s := range held {
				for label, out := range derivations(t, s) {
					if bytes.Equal(out, secret) {
						t.Errorf("epoch %d: %s follows from the file by %s", e.Number, what, label)
					}
				}
			}
		}
	}
	for what, f := range map[string]func(){
		"root":   func() { edge.Epochs() },
		"coin":   func() { edge.Coin("a", "d", .5) },
		"own":    func() { edge.Derive("x") },
		"handle": func() { edge.HandleDraw("d") },
	} {
		if !panics(f) {
			t.Errorf("an edge's keyring gave a %s", what)
		}
	}
	if edge.PictureKey(1, "other") != nil {
		t.Error("an edge has the key of a picture it does not serve")
	}
}

// secretsIn are all base64 texts of 16 bytes or more in a file.
func secretsIn(data []byte) (out [][]byte) {
	for _, s := range strings.Split(string(data), `"`) {
		if b, err := base64.StdEncoding.DecodeString(s); err == nil && len(b) >= 16 {
			out = append(out, b)
		}
	}
	return out
}

// derivations are what a holder of a secret could try with the labels of the house.
func derivations(t *testing.T, secret []byte) map[string][]byte {
	out := map[string][]byte{"itself": secret}
	sum := sha256.Sum256(secret)
	out["SHA-256"] = sum[:]
	if len(secret) == 32 {
		k, err := canary.KeyringOf([]canary.Epoch{{Number: 1, Secret: secret, Nonce: make([]byte, 16)}})
		if err != nil {
			t.Fatal(err)
		}
		out["picture key"], out["own key"] = k.PictureKey(1, "other"), k.Derive("x")
	}
	return out
}

func panics(f func()) (yes bool) {
	defer func() { yes = recover() != nil }()
	f()
	return false
}

// Rotation changes nothing of what was made with the epochs before.
func TestRotationKeepsWhatIsOut(t *testing.T) {
	k := keyring(t)
	pass, key, coin, own := k.ViewerPass(70000), k.PictureKey(1, "p"), k.Coin("a", "d", .5), k.Derive("x")
	standby, err := k.Rotated()
	if err != nil {
		t.Fatal(err)
	}
	if standby.Epoch() != 1 || standby.PictureKey(2, "p") == nil {
		t.Error("an epoch on standby is in use, or cannot be opened")
	}
	if _, err := standby.Rotated(); err == nil {
		t.Error("two epochs on standby")
	}
	next, err := standby.Activated()
	if err != nil {
		t.Fatal(err)
	}
	if next.Epoch() != 2 || next.ViewerPass(70000) == pass {
		t.Error("the new epoch is not in use")
	}
	if v, err := next.OpenPass(pass); err != nil || v != 70000 {
		t.Errorf("a pass of the old epoch opens as %d, %v", v, err)
	}
	if v, err := standby.OpenPass(next.ViewerPass(70001)); err != nil || v != 70001 {
		t.Errorf("on standby, a pass of the new epoch opens as %d, %v", v, err)
	}
	if _, err := k.OpenPass(next.ViewerPass(70001)); err == nil {
		t.Error("a keyring without the epoch opened its pass")
	}
	if !bytes.Equal(key, next.PictureKey(1, "p")) || bytes.Equal(key, next.PictureKey(2, "p")) || coin != next.Coin("a", "d", .5) || !bytes.Equal(own, next.Derive("x")) {
		t.Error("rotation changed what belongs to the first epoch")
	}
	if next.Commitment() != standby.Commitment() || next.Commitment() == k.Commitment() {
		t.Error("the commitment is to the secrets, whether in use or not")
	}
	if err := k.Adopt(next); err != nil || k.Epoch() != 2 {
		t.Errorf("a running keyring did not adopt the new state: %v", err)
	}
	if err := k.Adopt(keyring(t)); err == nil {
		t.Error("a foreign keyring was adopted")
	}
	for n := 2; n < canary.MaxEpochs; n++ {
		next = rotated(t, next)
	}
	if _, err := next.Rotated(); err == nil {
		t.Error("more epochs than a token can name")
	}
	if v, err := next.OpenPass(next.ViewerPass(5)); err != nil || v != 5 {
		t.Errorf("epoch %d does not seal: %v", next.Epoch(), err)
	}
}

// FuzzEdgeKeys: no file makes the parser fail otherwise than with an error, and
// what it takes says the same when written again.
func FuzzEdgeKeys(f *testing.F) {
	k := rotated(f, fixedKeyring(f))
	_, good := edgeOf(f, k, canary.EdgePicture{Photo: "p-1", Num: 1, Decoy: "d", DecoyNum: 1, Epoch: 1}, canary.EdgePicture{Photo: "p-2", Num: 2, Decoy: "d", DecoyNum: 1, Epoch: 2})
	f.Add(good)
	f.Add([]byte(`{"format":"birdring-edge-keys","version":1}`))
	f.Add(bytes.Replace(good, []byte(`"epoch": 2`), []byte(`"epoch": 9`), 1))
	f.Add(bytes.Replace(good, []byte(`"p-2"`), []byte(`"../x"`), 1))
	f.Fuzz(func(t *testing.T, data []byte) {
		edge, err := canary.ParseEdgeKeys(data)
		if err != nil {
			return
		}
		for _, p := range edge.EdgePictures() {
			if len(edge.PictureKey(p.Epoch, p.Photo)) != 32 || strings.ContainsAny(p.Photo, "/.\\") {
				t.Errorf("picture %+v without a key or with a bad id", p)
			}
		}
		if v, err := edge.OpenPass(edge.ViewerPass(70000)); err != nil || v != 70000 {
			t.Errorf("its own pass opens as %d, %v", v, err)
		}
	})
}

func FuzzEdgeSwitch(f *testing.F) {
	f.Add([]byte(`{"neutral":true}`))
	f.Add([]byte(`{"neutral":null}`))
	f.Add([]byte(`{}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		e, err := canary.ParseEdgeSwitch(data)
		if err != nil {
			return
		}
		if again, err := canary.ParseEdgeSwitch(e.Marshal()); err != nil || again != e || !bytes.Contains(bytes.ToLower(data), []byte("neutral")) {
			t.Errorf("%q: %+v, then %+v, %v", data, e, again, err)
		}
	})
}
