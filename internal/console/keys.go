package console

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

// Role says what the holder of a key may do.
type Role string

// The roles. Admin may do everything, analyst everything a reader may; platform
// is for the platform's own servers and reads nothing.
const (
	Platform Role = "platform" // number accounts, record exposures, read decoys
	Reader   Role = "reader"   // read sites, sightings, hits, attributions
	Analyst  Role = "analyst"  // and trace, watch sites
	Admin    Role = "admin"    // and plant, and manage keys
)

// May reports whether a key of role r may do what needs role need.
func (r Role) May(need Role) bool {
	switch r {
	case Admin:
		return true
	case Analyst:
		return need == Analyst || need == Reader
	}
	return r == need
}

func (r Role) valid() bool { return slices.Contains([]Role{Platform, Reader, Analyst, Admin}, r) }

// Key is an API key as stored: the secret itself is shown once and never kept.
type Key struct {
	ID     string    `json:"id"`
	Role   Role      `json:"role"`
	Note   string    `json:"note"`
	Added  time.Time `json:"added"`
	SHA256 string    `json:"sha256"` // of the secret, which has 130 random bits
}

// Keys are the API keys of one data folder, in the file api-keys.json.
type Keys struct {
	path string
	mu   sync.Mutex // guards all and the file
	all  []Key
}

// OpenKeys reads the keys of a data folder. A folder without any gets an admin
// key, whose secret is returned once; otherwise secret is "".
func OpenKeys(dir string) (k *Keys, secret string, err error) {
	k = &Keys{path: filepath.Join(dir, "api-keys.json")}
	data, err := os.ReadFile(k.path)
	if errors.Is(err, fs.ErrNotExist) {
		_, secret, err = k.Add(Admin, "first start")
		return k, secret, err
	}
	if err != nil {
		return nil, "", err
	}
	if err := json.Unmarshal(data, &k.all); err != nil {
		return nil, "", fmt.Errorf("%s is damaged: %v; move it away to get a new admin key", k.path, err)
	}
	return k, "", nil
}

// Add makes a key; the secret is not stored.
func (k *Keys) Add(role Role, note string) (Key, string, error) {
	if !role.valid() {
		return Key{}, "", fmt.Errorf("there is no role %q: it is platform, reader, analyst or admin", role)
	}
	secret := "brk_" + rand.Text()
	key := Key{ID: rand.Text()[:8], Role: role, Note: note, Added: time.Now().UTC().Truncate(time.Second), SHA256: fingerprint(secret)}
	k.mu.Lock()
	defer k.mu.Unlock()
	return key, secret, k.write(append(slices.Clone(k.all), key))
}

// Remove forgets a key. The last admin key stays.
func (k *Keys) Remove(id string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	rest := slices.DeleteFunc(slices.Clone(k.all), func(q Key) bool { return q.ID == id })
	if len(rest) == len(k.all) {
		return fmt.Errorf("there is no key %q", id)
	}
	if !slices.ContainsFunc(rest, func(q Key) bool { return q.Role == Admin }) {
		return errors.New("this is the last admin key: add another before removing it")
	}
	return k.write(rest)
}

// List returns the keys, oldest first.
func (k *Keys) List() []Key {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Clone(k.all)
}

// Check finds the key of a secret.
func (k *Keys) Check(secret string) (Key, bool) {
	sum := fingerprint(secret)
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, q := range k.all {
		if subtle.ConstantTimeCompare([]byte(q.SHA256), []byte(sum)) == 1 {
			return q, true
		}
	}
	return Key{}, false
}

// write replaces the file whole, so that a crash leaves the old or the new one.
func (k *Keys) write(all []Key) error {
	data, err := json.MarshalIndent(all, "", "  ")
	if err != nil {
		return err
	}
	tmp := k.path + ".new"
	if err := os.WriteFile(tmp, append(data, '\n'), 0o600); err != nil {
		return err
	}
	if err := os.Rename(tmp, k.path); err != nil {
		return err
	}
	k.all = all
	return nil
}

func fingerprint(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}
