package registry

import (
	"bytes"
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"birdring/registry/sqlstore"
)

// Webhook is a place where attributions are reported, with how it goes there.
type Webhook struct {
	ID        string    `json:"id"`
	URL       string    `json:"url"`
	Added     time.Time `json:"added"`
	Pending   int       `json:"pending"`    // messages still to be delivered
	Dead      int       `json:"dead"`       // messages given up after days
	LastError *string   `json:"last_error"` // of a message pending or dead
}

// AttributionAlert is what a message says about a new attribution.
type AttributionAlert struct {
	Site         string    `json:"site"`
	Account      string    `json:"account"` // the copy served to it was found
	Bits         float64   `json:"bits"`
	Verdict      string    `json:"verdict"`
	Pictures     int       `json:"pictures"`
	Decoys       []string  `json:"decoys"`
	SingleSource bool      `json:"single_source"` // one picture alone stands behind it
	First        time.Time `json:"first"`
}

// message is the body of every message.
type message struct {
	Type      string    `json:"type"`
	Timestamp time.Time `json:"timestamp"`
	Data      any       `json:"data"`
}

// AddWebhook adds a webhook. Its signing secret is returned this once. Messages
// that nobody was there to hear are delivered to it.
func (r *Registry) AddWebhook(ctx context.Context, address string) (Webhook, string, error) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return Webhook{}, "", fmt.Errorf("webhook %q %w: an http or https URL is wanted", address, ErrInvalid)
	}
	key := make([]byte, 32)
	rand.Read(key) // never fails
	hook := Webhook{ID: "hook-" + randomID(8), URL: address, Added: now()}
	secret := "whsec_" + base64.StdEncoding.EncodeToString(key)
	err = r.db.Write(ctx, func(tx *sql.Tx) error {
		var there bool
		err := tx.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM webhooks WHERE url = ? AND removed_at IS NULL)`, address).Scan(&there)
		if err != nil {
			return err
		}
		if there {
			return fmt.Errorf("webhook %s: %w: it is on the list already", address, ErrConflict)
		}
		at := hook.Added.UnixMicro()
		if _, err := tx.ExecContext(ctx, `INSERT INTO webhooks (id, url, secret, added_at) VALUES (?, ?, ?, ?)`, hook.ID, hook.URL, secret, at); err != nil {
			return err
		}
		res, err := tx.ExecContext(ctx, `INSERT INTO deliveries (message, webhook, next_at)
			SELECT id, ?, CAST(? AS BIGINT) FROM messages m WHERE NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.message = m.id)`, hook.ID, at)
		if err != nil {
			return err
		}
		n, err := res.RowsAffected()
		hook.Pending = int(n)
		return err
	})
	return hook, secret, err
}

// Webhooks lists the webhooks, oldest first.
func (r *Registry) Webhooks(ctx context.Context) ([]Webhook, error) {
	rows, err := r.db.Read().QueryContext(ctx, `SELECT w.id, w.url, w.added_at,
		(SELECT count(*) FROM deliveries d WHERE d.webhook = w.id AND d.next_at IS NOT NULL),
		(SELECT count(*) FROM deliveries d WHERE d.webhook = w.id AND d.dead_at IS NOT NULL),
		(SELECT d.error FROM deliveries d WHERE d.webhook = w.id AND d.delivered_at IS NULL AND d.error <> '' LIMIT 1)
		FROM webhooks w WHERE w.removed_at IS NULL ORDER BY w.added_at, w.id`)
	return collect(rows, err, func(rows *sql.Rows) (h Webhook, err error) {
		var added int64
		err = rows.Scan(&h.ID, &h.URL, &added, &h.Pending, &h.Dead, &h.LastError)
		h.Added = sqlstore.Time(added)
		return h, err
	})
}

// RemoveWebhook forgets a webhook by id or URL, with the messages still to be
// delivered to it.
func (r *Registry) RemoveWebhook(ctx context.Context, which string) error {
	return r.db.Write(ctx, func(tx *sql.Tx) error {
		var id string
		err := tx.QueryRowContext(ctx, `SELECT id FROM webhooks WHERE removed_at IS NULL AND (id = ? OR url = ?)`, which, which).Scan(&id)
		if errors.Is(err, sql.ErrNoRows) {
			return fmt.Errorf("webhook %s: %w: birdring alerts list shows them", which, ErrNotFound)
		}
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `UPDATE webhooks SET removed_at = ?, secret = '' WHERE id = ?`, now().UnixMicro(), id); err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `UPDATE deliveries SET next_at = NULL, error = 'webhook removed' WHERE webhook = ? AND next_at IS NOT NULL`, id)
		return err
	})
}

// enqueueAlert puts the message about a new attribution into the outbox, once
// per site and account, in the transaction that stores the attribution.
func enqueueAlert(ctx context.Context, tx *sql.Tx, a AttributionAlert) error {
	topic, err := json.Marshal([]string{"attribution", a.Site, a.Account})
	if err != nil {
		return err
	}
	if a.Decoys == nil {
		a.Decoys = []string{}
	}
	a.First = a.First.UTC()
	return enqueue(ctx, tx, string(topic), message{"attribution.created", now(), a})
}

// enqueue stores a message and its deliveries, unless the topic has had its message.
func enqueue(ctx context.Context, tx *sql.Tx, topic string, m message) error {
	payload, err := json.Marshal(m)
	if err != nil {
		return err
	}
	id, at := "msg_"+rand.Text(), m.Timestamp.UnixMicro()
	res, err := tx.ExecContext(ctx, `INSERT INTO messages (id, topic, type, payload, created_at) VALUES (?, ?, ?, ?, ?) ON CONFLICT (topic) DO NOTHING`,
		id, topic, m.Type, string(payload), at)
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err != nil || n == 0 {
		return err
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO deliveries (message, webhook, next_at) SELECT ?, id, CAST(? AS BIGINT) FROM webhooks WHERE removed_at IS NULL`, id, at)
	if err != nil {
		return err
	}
	if on, err := tells(ctx, tx, TellAttributions); err != nil || !on {
		return err
	}
	return tell(ctx, tx, TellAttributions, id, m.Timestamp)
}

// TestWebhook sends a test message to every webhook now and reports those that
// did not take it.
func (r *Registry) TestWebhook(ctx context.Context) error {
	rows, err := r.db.Read().QueryContext(ctx, `SELECT url, secret FROM webhooks WHERE removed_at IS NULL ORDER BY added_at, id`)
	hooks, err := collect(rows, err, func(rows *sql.Rows) (d delivery, err error) { return d, rows.Scan(&d.url, &d.secret) })
	if err != nil {
		return err
	}
	if len(hooks) == 0 {
		return errors.New("there is no webhook: add one with birdring alerts add URL")
	}
	payload, err := json.Marshal(message{"test", now(), struct {
		Text string `json:"text"`
	}{"A test by birdring alerts test: no account is concerned."}})
	if err != nil {
		return err
	}
	var errs []error
	for _, d := range hooks {
		d.message, d.payload = "msg_"+rand.Text(), payload
		if _, err := d.send(ctx); err != nil {
			errs = append(errs, fmt.Errorf("webhook %s: %w", originOf(d.url), err))
		}
	}
	return errors.Join(errs...)
}

// delivery is one message on its way to one webhook.
type delivery struct {
	message, webhook string
	url, secret      string
	payload          []byte
	attempts         int // so far
}

// webhookClient follows no redirects: what is signed goes where it was meant to.
var webhookClient = &http.Client{
	Timeout:       20 * time.Second,
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// send tries a delivery once. gone says that the receiver wants no more of them.
func (d *delivery) send(ctx context.Context) (gone bool, err error) {
	hook, err := standardwebhooks.NewWebhook(d.secret)
	if err != nil {
		return false, err
	}
	at := time.Now()
	signature, err := hook.Sign(d.message, at, d.payload)
	if err != nil {
		return false, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, d.url, bytes.NewReader(d.payload))
	if err != nil {
		return false, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "birdring-alerts/1")
	req.Header.Set(standardwebhooks.HeaderWebhookID, d.message)
	req.Header.Set(standardwebhooks.HeaderWebhookTimestamp, strconv.FormatInt(at.Unix(), 10))
	req.Header.Set(standardwebhooks.HeaderWebhookSignature, signature)
	resp, err := webhookClient.Do(req)
	if err != nil {
		if e, ok := errors.AsType[*url.Error](err); ok {
			err = e.Err // without the URL, which may hold a secret
		}
		return false, err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10)); err != nil {
		return false, fmt.Errorf("read answer: %w", err)
	}
	if resp.StatusCode/100 != 2 {
		return resp.StatusCode == http.StatusGone, fmt.Errorf("it answers %s", resp.Status)
	}
	return false, nil
}

// originOf is a URL as it may stand in messages: without user, path and query.
func originOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return "(unreadable URL)"
	}
	return u.Scheme + "://" + u.Host
}
