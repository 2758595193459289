package registry

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"birdring/canary"
)

// Where sightings come from.
const (
	fromScan  = "scan"
	fromTrace = "trace"
	fromProbe = "probe"
)

// The kinds of sighting.
const (
	kindPicture = "picture"
	kindHandle  = "handle"
	kindLink    = "link"
)

// mostContext bounds the text of a page kept with a sighting, in bytes.
const mostContext = 2000

// sighting is a canary found on a site, on its way into the database.
type sighting struct {
	kind, source string
	decoy        uint32
	picture      *picture      // nil: none
	viewer       canary.Viewer // link: whose it is
	url, page    string
	context      string // text of the page around it
	pageHash     []byte // SHA-256 of the page, nil: none
	data         []byte // the file: kept for pictures, of pages only the hash
	captured     time.Time
	verdict      Verdict
	finding      finding // pictures: what was read
	index        int     // handle: which of the strings that name somebody on the site, 0: none of them; link: which of those that look like tokens
}

// sight stores a sighting. The same canary in the same bytes at the same URL is
// one sighting, however often it is found; a handle or link needs no same bytes,
// because pages change.
func (b *book) sight(ctx context.Context, tx *sql.Tx, site int64, s *sighting) (id int64, fresh bool, err error) {
	sum := sha256.Sum256(s.data)
	if id, err = s.known(ctx, tx, site, sum[:]); err != nil || id != 0 {
		return id, false, err
	}
	if err := s.keep(ctx, tx, sum[:]); err != nil {
		return 0, false, fmt.Errorf("store capture: %w", err)
	}
	var num, viewer, transform, y, marked, others any
	if s.picture != nil {
		num = s.picture.num
	}
	if s.kind == kindLink {
		viewer = s.viewer
	}
	if len(s.finding) > 0 {
		first := s.finding[0]
		t, err := json.Marshal(first.transform)
		if err != nil {
			return 0, false, err
		}
		transform, y, marked = string(t), packSoft(first.soft.Y), first.soft.MarkedMillibits
		if others, err = s.finding.others(); err != nil {
			return 0, false, err
		}
	}
	err = tx.QueryRowContext(ctx, `INSERT INTO sightings (site, kind, source, decoy, picture, viewer, url, page, context, page_sha256, capture,
		captured_at, stored_at, verdict, transform, y, marked_millibits, alternatives, string_index) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, nullif(?, 0)) RETURNING id`,
		site, s.kind, s.source, s.decoy, num, viewer, s.url, s.page, clip(s.context, mostContext), s.pageHash, sum[:],
		s.captured.UnixMicro(), now().UnixMicro(), s.verdict, transform, y, marked, others, s.index).Scan(&id)
	if err != nil {
		return 0, false, fmt.Errorf("store sighting: %w", err)
	}
	return id, true, b.addRows(ctx, tx, scanSightingEntry, sightingRows+` WHERE id = ?`, id)
}

// known returns the id of the sighting that this one repeats, 0 if there is none.
func (s *sighting) known(ctx context.Context, tx *sql.Tx, site int64, sum []byte) (id int64, err error) {
	switch s.kind {
	case kindPicture:
		err = tx.QueryRowContext(ctx, `SELECT id FROM sightings WHERE capture = ? AND site = ? AND kind = ? AND picture = ? AND url = ?`,
			sum, site, s.kind, s.picture.num, s.url).Scan(&id)
	case kindLink:
		err = tx.QueryRowContext(ctx, `SELECT id FROM sightings WHERE site = ? AND decoy = ? AND kind = ? AND viewer = ? AND url = ? AND page = ?`,
			site, s.decoy, s.kind, s.viewer, s.url, s.page).Scan(&id)
	default:
		err = tx.QueryRowContext(ctx, `SELECT id FROM sightings WHERE site = ? AND decoy = ? AND kind = ? AND url = ?`,
			site, s.decoy, s.kind, s.url).Scan(&id)
	}
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	return id, err
}

// keep stores what was found: a picture of ours with its bytes, of all else the hash.
func (s *sighting) keep(ctx context.Context, tx *sql.Tx, sum []byte) error {
	var data any
	if s.kind == kindPicture {
		data = s.data
	}
	_, err := tx.ExecContext(ctx, `INSERT INTO captures (sha256, media_type, size, data, first_at) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (sha256) DO UPDATE SET data = excluded.data WHERE captures.data IS NULL AND excluded.data IS NOT NULL`,
		sum, http.DetectContentType(s.data), len(s.data), data, s.captured.UnixMicro())
	return err
}

// others are the further pictures of the group, as stored; nil if there are none.
func (f finding) others() (any, error) {
	if len(f) < 2 {
		return nil, nil
	}
	all := make([]alternative, 0, len(f)-1)
	for _, l := range f[1:] {
		all = append(all, alternative{l.picture.id, packSoft(l.soft.Y)})
	}
	data, err := json.Marshal(all)
	return string(data), err
}

// reads are the soft values of a finding, picture by picture.
func (f finding) reads() []softRead {
	out := make([]softRead, len(f))
	for i, l := range f {
		out[i] = softRead{l.picture, l.soft.Y}
	}
	return out
}

// packSoft is the stored form of soft values: int16, little-endian.
func packSoft(y []int16) []byte {
	out := make([]byte, 0, 2*len(y))
	for _, v := range y {
		out = binary.LittleEndian.AppendUint16(out, uint16(v))
	}
	return out
}

func unpackSoft(data []byte) []int16 {
	y := make([]int16, len(data)/2)
	for i := range y {
		y[i] = int16(binary.LittleEndian.Uint16(data[2*i:]))
	}
	return y
}

// clip cuts text to most bytes without splitting a character.
func clip(s string, most int) string {
	if len(s) <= most {
		return s
	}
	for most > 0 && s[most]&0xc0 == 0x80 {
		most--
	}
	return s[:most]
}

// alarm raises a defect of ours for somebody to look at.
func (r *Registry) alarm(ctx context.Context, kind, text string, detail any) error {
	r.log.ErrorContext(ctx, "alarm", "kind", kind, "message", text)
	if r.readOnly {
		return nil
	}
	err := r.db.Write(ctx, func(tx *sql.Tx) error { return raiseAlarm(ctx, tx, kind, text, detail) })
	if err != nil {
		return fmt.Errorf("store alarm: %w", err)
	}
	return nil
}
