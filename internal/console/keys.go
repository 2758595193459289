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
	"syscall"
	"time"

	"birdring/registry"
)

// Role says what the holder of a key may do.
type Role string

// The roles. Admin may do everything, analyst everything a reader may; platform
// is for the platform's own servers and reads nothing.
const (
	Platform Role = "platform" // number accounts, record exposures, read decoys
	Reader   Role = "reader"   // read sites, sightings, hits, attributions
	Analyst  Role = "analyst"  // and trace, watch sites, burn, recall and rotate decoys
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

// Valid says whether there is such a role.
func (r Role) Valid() bool { return slices.Contains([]Role{Platform, Reader, Analyst, Admin}, r) }

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
	mu   sync.Mutex // guards the rest and the file
	all  []Key
	read fileState // of the file as it was read
}

// fileState tells versions of a file apart.
type fileState struct {
	at   time.Time
	size int64
}

// ReadKeys reads the keys of a data folder, of which there may be none yet.
func ReadKeys(dir string) (*Keys, error) {
	k := &Keys{path: filepath.Join(dir, "api-keys.json")}
	k.mu.Lock()
	defer k.mu.Unlock()
	return k, k.refresh()
}

// locked runs f while no other process changes the file.
func (k *Keys) locked(f func() error) error {
	lock, err := os.OpenFile(k.path+".lock", os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	defer lock.Close() // and with it the lock
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return fmt.Errorf("lock %s: %w", lock.Name(), err)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.read = fileState{} // whatever its time says
	if err := k.refresh(); err != nil {
		return err
	}
	return f()
}

// refresh takes up what another process wrote; mu is held.
func (k *Keys) refresh() error {
	st, err := os.Stat(k.path)
	if errors.Is(err, fs.ErrNotExist) {
		k.all = nil
		return nil
	}
	if err != nil {
		return err
	}
	state := fileState{st.ModTime(), st.Size()}
	if state == k.read {
		return nil
	}
	data, err := os.ReadFile(k.path)
	if err != nil {
		return err
	}
	var all []Key
	if err := json.Unmarshal(data, &all); err != nil {
		return fmt.Errorf("%s is damaged: %v; move it away to get a new admin key", k.path, err)
	}
	k.all, k.read = all, state
	return nil
}

// OpenKeys reads the keys of a data folder. A folder without an admin key gets one, whose secret is returned once; otherwise secret is "".
func OpenKeys(dir string) (k *Keys, secret string, err error) {
	if k, err = ReadKeys(dir); err != nil {
		return nil, "", err
	}
	if slices.ContainsFunc(k.List(), isAdmin) {
		return k, "", nil
	}
	err = k.locked(func() error {
		if slices.ContainsFunc(k.all, isAdmin) { // another process was faster
			return nil
		}
		var key Key
		key, secret = newKey(Admin, "first start")
		return k.write(append(slices.Clone(k.all), key))
	})
	return k, secret, err
}

// PlatformKeys are the SHA-256, in hex, of a data folder's keys of role platform:
// edges know the platform's servers by them. There may be none yet.
func PlatformKeys(dir string) ([]string, error) {
	if _, err := os.Stat(filepath.Join(dir, "api-keys.json")); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	k, _, err := OpenKeys(dir)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, q := range k.List() {
		if q.Role == Platform {
			out = append(out, q.SHA256)
		}
	}
	return out, nil
}

// Add makes a key; the secret is not stored.
func (k *Keys) Add(role Role, note string) (Key, string, error) {
	if !role.Valid() {
		return Key{}, "", fmt.Errorf("there is no role %q: it is platform, reader, analyst or admin", role)
	}
	key, secret := newKey(role, note)
	err := k.locked(func() error { return k.write(append(slices.Clone(k.all), key)) })
	if err != nil {
		return Key{}, "", err
	}
	return key, secret, nil
}

func newKey(role Role, note string) (Key, string) {
	secret := "brk_" + rand.Text()
	return Key{ID: rand.Text()[:8], Role: role, Note: note, Added: time.Now().UTC().Truncate(time.Second), SHA256: fingerprint(secret)}, secret
}

// Remove forgets a key. The last admin key stays.
func (k *Keys) Remove(id string) error {
	return k.locked(func() error {
		rest := slices.DeleteFunc(slices.Clone(k.all), func(q Key) bool { return q.ID == id })
		if len(rest) == len(k.all) {
			return fmt.Errorf("there is no key %q", id)
		}
		if slices.ContainsFunc(k.all, isAdmin) && !slices.ContainsFunc(rest, isAdmin) {
			return errors.New("this is the last admin key: add another before removing it")
		}
		return k.write(rest)
	})
}

func isAdmin(k Key) bool { return k.Role == Admin }

// List returns the keys, oldest first. If the file cannot be read it is as it was.
func (k *Keys) List() []Key {
	k.mu.Lock()
	defer k.mu.Unlock()
	_ = k.refresh() // a damaged file takes no key away and gives none
	return slices.Clone(k.all)
}

// Check finds the key of a secret.
func (k *Keys) Check(secret string) (Key, bool) {
	sum := fingerprint(secret)
	k.mu.Lock()
	defer k.mu.Unlock()
	_ = k.refresh() // as in List
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
	if err := registry.WritePrivate(k.path, append(data, '\n')); err != nil {
		return err
	}
	k.all = all
	return nil
}

func fingerprint(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}
