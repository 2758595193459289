package registry

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/base32"
	"errors"
	"fmt"
	"strings"

	"birdring/canary"
	"birdring/registry/sqlstore"
)

// pseudonymsKey in meta says that accounts are kept under pseudonyms, for all time:
// coins are drawn for the names that are kept.
const pseudonymsKey = "pseudonyms"

// names keeps accounts under keyed pseudonyms and their names sealed beside.
type names struct {
	key  []byte
	seal cipher.AEAD
}

func newNames(keys *canary.Keyring) (*names, error) {
	block, err := aes.NewCipher(keys.Derive("accounts/seal"))
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCM(block)
	return &names{keys.Derive("accounts/pseudonym"), aead}, err
}

// openNames finds out how accounts are kept.
func (r *Registry) openNames(ctx context.Context) error {
	on, err := r.meta(ctx, pseudonymsKey)
	if err != nil || on == "" {
		return err
	}
	r.book.names, err = newNames(r.keys)
	return err
}

// kinds of viewers stay readable in front of a pseudonym.
var viewerKinds = []string{"guest:", "partner:", "drill:"}

var pseudonymLetters = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// mask is the name under which an account is kept.
func (b *book) mask(account string) string {
	if b.names == nil {
		return account
	}
	kind := ""
	for _, k := range viewerKinds {
		if strings.HasPrefix(account, k) {
			kind = k
		}
	}
	mac := hmac.New(sha256.New, b.names.key)
	mac.Write([]byte(account))
	return kind + "~" + pseudonymLetters.EncodeToString(mac.Sum(nil)[:pseudonymLength])
}

// sealName is the name as it is kept beside its pseudonym, nil if there is none.
func (b *book) sealName(account, stored string) any {
	if b.names == nil {
		return nil
	}
	nonce := make([]byte, b.names.seal.NonceSize())
	rand.Read(nonce)
	return b.names.seal.Seal(nonce, nonce, []byte(account), []byte(stored))
}

func (n *names) open(sealed []byte, stored string) (string, error) {
	size := n.seal.NonceSize()
	if len(sealed) < size {
		return "", errors.New("the sealed name is damaged")
	}
	name, err := n.seal.Open(nil, sealed[:size], sealed[size:], []byte(stored))
	if err != nil {
		return "", fmt.Errorf("the sealed name does not open: %w", err)
	}
	return string(name), nil
}

// Pseudonymous says whether accounts are kept under pseudonyms.
func (r *Registry) Pseudonymous() bool { return r.book.names != nil }

// storedAccount finds an account by its name or by the name under which it is
// kept. Who calls an account after another's pseudonym makes neither go by that name.
func (r *Registry) storedAccount(ctx context.Context, q queryer, account string) (id int64, stored string, err error) {
	var n int
	err = q.QueryRowContext(ctx, `SELECT coalesce(min(id), 0), coalesce(min(name), ''), count(*) FROM accounts WHERE name IN (?, ?)`,
		account, r.book.mask(account)).Scan(&id, &stored, &n)
	switch {
	case err != nil:
		return 0, "", sqlstore.Explain(err)
	case n == 0:
		return 0, "", fmt.Errorf("account %q: %w: birdring list accounts shows them", account, ErrNotFound)
	case n > 1:
		return 0, "", fmt.Errorf("account %q: %w: one account has this name, another this pseudonym; name the first by its pseudonym %s, the second by its name", account, ErrConflict, r.book.mask(account))
	}
	return id, stored, nil
}

// Unmask tells whose pseudonym it is, once the audit log says who asked and why.
func (r *Registry) Unmask(ctx context.Context, pseudonym, who, reason string) (account string, err error) {
	if strings.TrimSpace(reason) == "" {
		return "", fmt.Errorf("unmask %w: a reason is wanted", ErrInvalid)
	}
	if r.book.names == nil {
		return "", fmt.Errorf("unmask %w: accounts are kept under their names here", ErrInvalid)
	}
	var sealed []byte
	err = r.db.Read().QueryRowContext(ctx, `SELECT sealed FROM accounts WHERE name = ?`, pseudonym).Scan(&sealed)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return "", fmt.Errorf("pseudonym %q: %w: birdring list accounts shows them", pseudonym, ErrNotFound)
	case err != nil:
		return "", sqlstore.Explain(err)
	case sealed == nil:
		return "", fmt.Errorf("account %s was forgotten: %w", pseudonym, ErrNotFound)
	}
	if account, err = r.book.names.open(sealed, pseudonym); err != nil {
		return "", err
	}
	// Told only once the audit log has it.
	if err := r.Note(ctx, AuditRow{Who: who, Action: ActUnmask, Subject: pseudonym, Reason: reason}); err != nil {
		return "", err
	}
	return account, nil
}
