package registry

import (
	"database/sql"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"time"

	"birdring/beacon/visit"
	"birdring/canary"
)

// listings by the word that list takes.
var listings = map[string]listing{
	"decoys": {
		columns: `d.num, d.planted_at, a.name, EXISTS (SELECT 1 FROM exposures e WHERE e.decoy = d.num)`, from: `decoys d LEFT JOIN accounts a ON a.id = d.account`,
		time: `d.planted_at`, key: `d.num`, scan: scanDecoy,
	},
	"accounts": {
		columns: `a.name, a.first_seen, (SELECT string_agg(CAST(v.number AS TEXT) || ' ' || v.session, '
' ORDER BY v.number) FROM viewers v WHERE v.account = a.id)`,
		from: `accounts a`, time: `a.first_seen`, key: `a.id`, scan: scanAccount,
	},
	"exposures": {
		columns: `a.name, v.session, e.decoy, e.picture, e.at, s.surface, e.address, e.user_agent, e.sha256`,
		from:    `exposures e JOIN surfaces s ON s.num = e.surface JOIN viewers v ON v.number = e.viewer JOIN accounts a ON a.id = v.account`,
		time:    `e.at`, key: `e.viewer`, scan: scanExposure, first: true,
	},
	"hits": {
		columns: `h.id, h.at, h.kind, h.token_kind, h.object, a.name, v.session, h.name, h.qtype, h.subnet, h.method, h.host, h.path, h.status, h.bytes, h.address, h.user_agent, h.referer, h.origin, h.sha256, h.self, h.proto, h.cookie, h.proved, h.via, h.class, h.reason, h.repeats, h.last_at, h.country, h.city, h.asn, h.network, h.confirmed,
			(SELECT min(e.at) FROM exposures e WHERE e.picture = 0 AND e.viewer = h.viewer AND e.decoy = CASE WHEN h.token_kind = 2 THEN (SELECT p.decoy FROM pictures p WHERE p.num = h.object) ELSE h.object END)`,
		from: `hits h LEFT JOIN viewers v ON v.number = h.viewer LEFT JOIN accounts a ON a.id = v.account`,
		time: `h.at`, key: `h.id`, scan: scanHit,
	},
	"sightings": {
		columns: `s.id, t.site, s.kind, s.source, s.decoy, s.picture, s.url, s.page, s.context, s.captured_at, s.capture, s.verdict, s.transform,
			EXISTS (SELECT 1 FROM posts p WHERE p.picture = s.picture AND p.story = 1 AND p.expires_at <= s.captured_at AND s.verdict IN ('attributed', 'marked'))`,
		from: `sightings s JOIN sites t ON t.id = s.site`, time: `s.captured_at`, key: `s.id`, scan: scanSighting,
	},
	"sites": {
		columns: `t.site, t.watched, t.first_at, t.scanned_at,
			(SELECT count(*) FROM sightings s WHERE s.site = t.id),
			(SELECT count(DISTINCT s.picture) FROM sightings s WHERE s.site = t.id),
			(SELECT string_agg(x.id, ' ' ORDER BY x.num) FROM (SELECT DISTINCT d.num, d.id FROM sightings s JOIN decoys d ON d.num = s.decoy WHERE s.site = t.id) AS x)`,
		from: `sites t`, time: `t.first_at`, key: `t.id`, scan: scanSiteRow,
	},
	"attributions": {
		columns: `t.site, a.name, x.millibits, x.verdict, x.exposed, x.pictures, x.decoys, x.single_source, x.first_at, x.updated_at, x.inputs, x.void_at, x.void_reason`,
		from:    `attributions x JOIN sites t ON t.id = x.site JOIN accounts a ON a.id = x.account`,
		time:    `x.updated_at`, key: `x.id`, scan: scanAttribution,
	},
}

// into scans columns, and past them what only orders the rows.
func into(rows *sql.Rows, dest ...any) error {
	columns, err := rows.Columns()
	if err != nil {
		return err
	}
	for len(dest) < len(columns) {
		dest = append(dest, new(any))
	}
	return rows.Scan(dest...)
}

// errStale says that a row belongs to a decoy planted after the listing began.
var errStale = errors.New("decoys were planted meanwhile: list again")

func (w *world) decoyID(num uint32) (string, error) {
	i, ok := w.byNum[num]
	if !ok {
		return "", errStale
	}
	return w.decoys[i].ID, nil
}

// photoID is nil for a picture that is none.
func (w *world) photoID(num uint32) *string {
	i, ok := w.photoNum[num]
	if !ok {
		return nil
	}
	return &w.pictures[i].id
}

func scanDecoy(w *world, rows *sql.Rows) (any, error) {
	var num uint32
	var planted int64
	var account *string
	var shown bool
	if err := into(rows, &num, &planted, &account, &shown); err != nil {
		return nil, err
	}
	i, ok := w.byNum[num]
	if !ok {
		return nil, errStale
	}
	d := w.decoys[i]
	row := DecoyRow{
		Decoy: d.ID, Kind: string(d.Kind), Handle: d.Handle, HandleBits: d.HandleBits, Share: d.Share, Account: account,
		DisplayName: d.DisplayName, Bio: d.Bio, Locale: d.Locale, Followers: d.Followers, Following: d.Following,
		Joined: d.Joined.UTC(), Planted: d.Planted, Photos: []PhotoRow{}, Posts: []PostRow{},
		State: StateOf(&d, shown), Burnt: timeOrNone(d.Burnt), Recalled: timeOrNone(d.Recalled), Successor: orNil(d.Successor), LifeNote: orNil(d.LifeNote),
	}
	for _, j := range w.of[i] {
		p := w.pictures[j]
		row.Photos = append(row.Photos, PhotoRow{p.id, p.file, p.width, p.height, p.segments, p.code.String(), p.epoch, p.size, p.group})
	}
	for _, p := range d.Posts {
		q := PostRow{Post: p.ID, Photo: p.Photo, Caption: p.Caption, Tags: append([]string{}, p.Tags...), Story: p.Story, At: p.At}
		if !p.Expires.IsZero() {
			q.Expires = new(p.Expires)
		}
		row.Posts = append(row.Posts, q)
	}
	return row, nil
}

func scanAccount(_ *world, rows *sql.Rows) (any, error) {
	var row AccountRow
	var seen int64
	var viewers sql.NullString
	if err := into(rows, &row.Account, &seen, &viewers); err != nil {
		return nil, err
	}
	row.FirstSeen, row.Viewers = timeOf(seen), []ViewerRow{}
	for line := range strings.Lines(viewers.String) { // no session has a line break
		number, session, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		n, err := strconv.ParseInt(number, 10, 64)
		if err != nil {
			return nil, err
		}
		row.Viewers = append(row.Viewers, ViewerRow{Viewer: n, Session: orNil(session)})
	}
	return row, nil
}

func scanExposure(w *world, rows *sql.Rows) (any, error) {
	var row ExposureRow
	var session, surface string
	var decoy, picture uint32
	var at int64
	var sum []byte
	err := into(rows, &row.Account, &session, &decoy, &picture, &at, &surface, &row.Address, &row.UserAgent, &sum)
	if err != nil {
		return nil, err
	}
	if row.Kind = Offered; picture != 0 {
		row.Kind = Fetched
	}
	row.Session, row.Surface, row.Photo, row.Time, row.SHA256 = orNil(session), orNil(surface), w.photoID(picture), timeOf(at), hexOrNil(sum)
	row.Decoy, err = w.decoyID(decoy)
	return row, err
}

func scanHit(w *world, rows *sql.Rows) (any, error) {
	var row HitRow
	var at int64
	var kind canary.TokenKind
	var object uint32
	var name, qtype, subnet, method, host, path, address, agent, referer, origin, sum, proto, cookie, via, class, reason, country, city, network, confirmed string
	var last, offered sql.NullInt64
	var asn int64
	err := into(rows, &row.ID, &at, &row.Kind, &kind, &object, &row.Account, &row.Session, &name, &qtype, &subnet, &method, &host, &path,
		&row.Status, &row.Bytes, &address, &agent, &referer, &origin, &sum, &row.Self,
		&proto, &cookie, &row.Proved, &via, &class, &reason, &row.Repeats, &last,
		&country, &city, &asn, &network, &confirmed, &offered)
	if err != nil {
		return nil, err
	}
	if row.Session != nil {
		row.Session = orNil(*row.Session)
	}
	row.Time = timeOf(at)
	row.Name, row.QType, row.Subnet, row.Method, row.Host, row.Path = orNil(name), orNil(qtype), orNil(subnet), orNil(method), orNil(host), orNil(path)
	row.Address, row.UserAgent, row.Referer, row.Origin, row.SHA256 = orNil(address), orNil(agent), orNil(referer), orNil(origin), orNil(sum)
	row.Proto, row.Cookie, row.Via, row.Class, row.Reason, row.Last = orNil(proto), orNil(cookie), orNil(via), orNil(class), orNil(reason), timeOrNil(last)
	row.Country, row.City, row.Network, row.Confirmed = orNil(country), orNil(city), orNil(network), orNil(confirmed)
	if asn > 0 {
		row.ASN = &asn
	}
	if offered.Valid && !row.Self {
		since := time.Duration(at-offered.Int64) * time.Microsecond
		row.After, row.Timing = new(since.Seconds()), orNil(visit.Timing(row.Kind, since))
	}
	if kind == canary.KindPicture {
		if row.Photo = w.photoID(object); row.Photo != nil {
			row.Decoy = &w.decoys[w.pictures[w.photoNum[object]].decoy].ID
		}
	} else if i, ok := w.byNum[object]; ok {
		row.Decoy = &w.decoys[i].ID
	}
	return row, nil
}

func scanSighting(w *world, rows *sql.Rows) (any, error) {
	var row SightingRow
	var id, at int64
	var decoy uint32
	var photo sql.NullInt64
	var page, context, verdict string
	var sum, transform []byte
	err := into(rows, &id, &row.Site, &row.Kind, &row.Source, &decoy, &photo, &row.URL, &page, &context, &at, &sum, &verdict, &transform, &row.StoryExpired)
	if err != nil {
		return nil, err
	}
	row.ID, row.Captured, row.SHA256 = strconv.FormatInt(id, 10), timeOf(at), hexOrNil(sum)
	row.Page, row.Context, row.Verdict = orNil(page), orNil(context), orNil(verdict)
	if photo.Valid {
		row.Photo = w.photoID(uint32(photo.Int64))
	}
	if len(transform) > 0 {
		if err := json.Unmarshal(transform, &row.Transform); err != nil {
			return nil, err
		}
	}
	if i, ok := w.byNum[decoy]; ok {
		burnt := w.decoys[i].Burnt
		row.Burnt = !burnt.IsZero() && !row.Captured.Before(burnt)
	}
	row.Decoy, err = w.decoyID(decoy)
	return row, err
}

func scanSiteRow(_ *world, rows *sql.Rows) (any, error) {
	var row SiteRow
	var first int64
	var scanned sql.NullInt64
	var decoys sql.NullString
	if err := into(rows, &row.Site, &row.Watched, &first, &scanned, &row.Sightings, &row.Pictures, &decoys); err != nil {
		return nil, err
	}
	row.First, row.Scanned = timeOf(first), timeOrNil(scanned)
	row.Decoys = append([]string{}, strings.Fields(decoys.String)...)
	return row, nil
}

func scanAttribution(_ *world, rows *sql.Rows) (any, error) {
	var row AttributionRow
	var millibits, first, updated int64
	var decoys, inputs []byte
	var void sql.NullInt64
	var why string
	err := into(rows, &row.Site, &row.Account, &millibits, &row.Verdict, &row.Exposed, &row.Pictures, &decoys, &row.SingleSource, &first, &updated, &inputs, &void, &why)
	if err != nil {
		return nil, err
	}
	row.Bits, row.First, row.Updated, row.Inputs = bitsOf(millibits), timeOf(first), timeOf(updated), json.RawMessage(inputs)
	row.Void, row.VoidReason = timeOrNil(void), orNil(why)
	return row, json.Unmarshal(decoys, &row.Decoys)
}
