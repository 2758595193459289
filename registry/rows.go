package registry

import (
	"context"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"birdring/canary/mark"
	"birdring/registry/sqlstore"
)

// The rows of Rows, as stored. Absent values are null.
type (
	// DecoyRow is a decoy with its pictures and posts.
	DecoyRow struct {
		Decoy       string     `json:"decoy"`
		Kind        string     `json:"kind"`
		Handle      string     `json:"handle"`
		HandleBits  float64    `json:"handle_bits"`
		Share       float64    `json:"share"`
		Account     *string    `json:"account"` // a personal decoy's
		DisplayName string     `json:"display_name"`
		Bio         string     `json:"bio"`
		Locale      string     `json:"locale"`
		Followers   int        `json:"followers"`
		Following   int        `json:"following"`
		Joined      time.Time  `json:"joined"`
		Planted     time.Time  `json:"planted"`
		State       State      `json:"state"` // planted, shown, burnt, recalled or rotated
		Burnt       *time.Time `json:"burnt"`
		Recalled    *time.Time `json:"recalled"`
		Successor   *string    `json:"successor"` // the decoy in its place
		LifeNote    *string    `json:"life_note"`
		Photos      []PhotoRow `json:"photos"`
		Posts       []PostRow  `json:"posts"`
	}
	// PhotoRow is a prepared picture; the first of a decoy is its avatar.
	PhotoRow struct {
		Photo    string `json:"photo"`
		File     string `json:"file"`
		Width    int    `json:"width"`
		Height   int    `json:"height"`
		Segments int    `json:"segments"`
		Code     string `json:"code"`
		Epoch    uint8  `json:"epoch"`
		Bytes    int    `json:"bytes"`
		Group    string `json:"group"` // the largest picture of its photo, of which it is itself or a smaller size
	}
	// PostRow is a post or story of a decoy.
	PostRow struct {
		Post    string     `json:"post"`
		Photo   string     `json:"photo"`
		Caption string     `json:"caption"`
		Tags    []string   `json:"tags"`
		Story   bool       `json:"story"`
		At      time.Time  `json:"at"`
		Expires *time.Time `json:"expires"`
	}
	// AccountRow is an account and the viewers it is.
	AccountRow struct {
		Account   string      `json:"account"`
		FirstSeen time.Time   `json:"first_seen"`
		Viewers   []ViewerRow `json:"viewers"`
	}
	// ViewerRow is a numbered viewer.
	ViewerRow struct {
		Viewer  int64   `json:"viewer"`
		Session *string `json:"session"`
	}
	// ExposureRow is an exposure.
	ExposureRow struct {
		Account   string    `json:"account"`
		Session   *string   `json:"session"`
		Decoy     string    `json:"decoy"`
		Photo     *string   `json:"photo"` // of a fetch
		Time      time.Time `json:"time"`
		Surface   *string   `json:"surface"`
		Kind      string    `json:"kind"`
		Address   *string   `json:"address"`
		UserAgent *string   `json:"user_agent"`
		SHA256    *string   `json:"sha256"`
	}
	// HitRow is a hit, with what its token stands for.
	HitRow struct {
		ID        string     `json:"id"`
		Time      time.Time  `json:"time"`
		Kind      string     `json:"kind"`
		Decoy     *string    `json:"decoy"`
		Photo     *string    `json:"photo"`
		Account   *string    `json:"account"` // whose link or picture it was, not who used it
		Session   *string    `json:"session"`
		Name      *string    `json:"name"`
		QType     *string    `json:"qtype"`
		Subnet    *string    `json:"subnet"`
		Method    *string    `json:"method"`
		Host      *string    `json:"host"`
		Path      *string    `json:"path"`
		Status    int        `json:"status"`
		Bytes     int        `json:"bytes"`
		Address   *string    `json:"address"`
		UserAgent *string    `json:"user_agent"`
		Referer   *string    `json:"referer"`
		Origin    *string    `json:"origin"`
		SHA256    *string    `json:"sha256"`
		Self      bool       `json:"self"`
		Proto     *string    `json:"proto"`
		Cookie    *string    `json:"cookie"`
		Proved    bool       `json:"proved"`  // DNS: the address is not forged
		Via       *string    `json:"via"`     // the trusted proxy that named the address
		Class     *string    `json:"class"`   // who it probably was; never evidence
		Reason    *string    `json:"reason"`  // the rule that says so
		Country   *string    `json:"country"` // ISO 3166-1, by the operator's file
		City      *string    `json:"city"`
		ASN       *int64     `json:"asn"`       // number of the network, by the operator's file
		Network   *string    `json:"network"`   // who runs it
		Confirmed *string    `json:"confirmed"` // whether its address belongs to whom it calls itself: waits, yes, no, unknown
		After     *float64   `json:"after"`     // seconds since the canary was first handed out to the viewer
		Timing    *string    `json:"timing"`    // what that looks like: prompt, echo
		Repeats   int64      `json:"repeats"`   // of the same within the same minute
		Last      *time.Time `json:"last"`      // of the newest repeat
	}
	// SightingRow is a sighting. Whose copy it is stands in the attributions.
	SightingRow struct {
		ID           string       `json:"id"`
		Site         string       `json:"site"`
		Kind         string       `json:"kind"`
		Source       string       `json:"source"`
		Decoy        string       `json:"decoy"`
		Photo        *string      `json:"photo"`
		URL          string       `json:"url"`
		Page         *string      `json:"page"`
		Context      *string      `json:"context"`
		Captured     time.Time    `json:"captured"`
		SHA256       *string      `json:"sha256"`
		Verdict      *string      `json:"verdict"`
		Transform    *mark.Affine `json:"transform"`     // planted pixels to found pixels
		Burnt        bool         `json:"burnt"`         // the decoy was known to be one when it was found: it says less
		StoryExpired bool         `json:"story_expired"` // a served copy of a story, found after the story had vanished from the platform
	}
	// SiteRow is a site.
	SiteRow struct {
		Site      string     `json:"site"`
		Watched   bool       `json:"watched"`
		First     time.Time  `json:"first"`
		Scanned   *time.Time `json:"scanned"`
		Sightings int        `json:"sightings"`
		Pictures  int        `json:"pictures"`
		Decoys    []string   `json:"decoys"`
	}
	// AttributionRow is an attribution with everything it was computed from.
	AttributionRow struct {
		Site         string          `json:"site"`
		Account      string          `json:"account"`
		Bits         float64         `json:"bits"`
		Verdict      string          `json:"verdict"`
		Exposed      bool            `json:"exposed"`
		Pictures     int             `json:"pictures"`
		Decoys       []string        `json:"decoys"`
		SingleSource bool            `json:"single_source"`
		First        time.Time       `json:"first"`
		Updated      time.Time       `json:"updated"`
		Inputs       json.RawMessage `json:"inputs"`
		Void         *time.Time      `json:"void"`        // since when it does not count any more
		VoidReason   *string         `json:"void_reason"` // an epoch in other hands
	}
)

// Rows visits what the registry holds of one kind - decoys, accounts, exposures,
// hits, sightings, sites, attributions or clusters - that is of a time or later, newest
// last. A limit above 0 keeps the newest. It stops at visit's first error.
func (r *Registry) Rows(ctx context.Context, what string, since time.Time, limit int, visit func(any) error) error {
	if what == "clusters" {
		return r.clusterRows(ctx, since, limit, visit)
	}
	l, ok := listings[what]
	if !ok {
		return fmt.Errorf("%w: there is no list of %q", ErrInvalid, what)
	}
	w, err := r.world(ctx)
	if err != nil {
		return err
	}
	from := int64(-1 << 62)
	if !since.IsZero() {
		from = since.UnixMicro()
	}
	rows, err := r.db.Read().QueryContext(ctx, l.query(limit), from)
	if err != nil {
		return fmt.Errorf("list %s: %w", what, sqlstore.Explain(err))
	}
	defer rows.Close()
	for rows.Next() {
		row, err := l.scan(w, rows)
		if err != nil {
			return fmt.Errorf("list %s: %w", what, err)
		}
		if err := visit(row); err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("list %s: %w", what, sqlstore.Explain(err))
	}
	return nil
}

// listing is how one kind of row is read.
type listing struct {
	columns string // t is the row's time, k what orders rows of one time
	from    string
	time    string // column that since compares
	key     string
	scan    func(w *world, rows *sql.Rows) (any, error)
	first   bool // no index leads to the newest rows: they are found before anything is joined to them
}

// query reads in order of time; the newest few are picked from the end.
func (l listing) query(limit int) string {
	inner := fmt.Sprintf(`SELECT %s FROM %s WHERE %s >= ? ORDER BY %s`, l.columns, l.from, l.time, l.time)
	if limit <= 0 {
		return inner + `, ` + l.key
	}
	if l.first {
		table, joins, _ := strings.Cut(l.from, " JOIN ")
		_, alias, _ := strings.Cut(table, " ")
		newest := fmt.Sprintf(`(SELECT * FROM %s WHERE %s >= ? ORDER BY %s DESC, %s DESC LIMIT %d) AS %s`, table, l.time, l.time, l.key, limit, alias)
		return fmt.Sprintf(`SELECT %s FROM %s JOIN %s ORDER BY %s, %s`, l.columns, newest, joins, l.time, l.key)
	}
	return fmt.Sprintf(`SELECT * FROM (SELECT %s, %s AS order_t, %s AS order_k FROM %s WHERE %s >= ? ORDER BY %s DESC, %s DESC LIMIT %d) AS newest ORDER BY order_t, order_k`,
		l.columns, l.time, l.key, l.from, l.time, l.time, l.key, limit)
}

func timeOf(micros int64) time.Time { return sqlstore.Time(micros) }

func timeOrNil(micros sql.NullInt64) *time.Time {
	if !micros.Valid {
		return nil
	}
	return new(timeOf(micros.Int64))
}

func timeOrNone(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func orNil(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func hexOrNil(b []byte) *string { return orNil(hex.EncodeToString(b)) }

// bitsOf is evidence as it is told: rounded down to 0.001 when it was computed.
func bitsOf(millibits int64) float64 { return float64(millibits) / 1000 }
