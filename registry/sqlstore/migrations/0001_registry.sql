-- +goose Up
-- Times are integer microseconds since 1970, UTC. Evidence is integer
-- millibits, rounded down. Evidence tables (exposures, hits, captures,
-- sightings) are insert-only.

-- Facts about the registry as a whole: commitment, public_url, zone, created_at.
CREATE TABLE meta (
	key   TEXT NOT NULL PRIMARY KEY,
	value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Running numbers. 'decoys' is bumped whenever a decoy, post, picture or binding
-- changes, so that every process knows when its picture of them is old.
CREATE TABLE counters (
	name TEXT    NOT NULL PRIMARY KEY,
	n    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO counters (name, n) VALUES ('decoys', 0), ('exposures', 0), ('hits', 0), ('traces', 0);

CREATE TABLE accounts (
	id         INTEGER PRIMARY KEY,
	name       TEXT    NOT NULL UNIQUE CHECK (length(CAST(name AS BLOB)) BETWEEN 1 AND 200),
	first_seen INTEGER NOT NULL
) STRICT;

-- Viewer numbers are dense, start above the controls and are never reused:
-- AUTOINCREMENT keeps the highest one even when a row goes.
CREATE TABLE viewers (
	number   INTEGER PRIMARY KEY AUTOINCREMENT CHECK (number >= 65536 AND number < 68719476736),
	account  INTEGER NOT NULL REFERENCES accounts (id),
	session  TEXT    NOT NULL DEFAULT '' CHECK (length(CAST(session AS BLOB)) <= 200),
	given_at INTEGER NOT NULL,
	UNIQUE (account, session)
) STRICT;
INSERT INTO sqlite_sequence (name, seq) VALUES ('viewers', 65535); -- only sqlite

-- num is sealed into links (24 bits).
CREATE TABLE decoys (
	num              INTEGER PRIMARY KEY CHECK (num BETWEEN 1 AND 16777215),
	id               TEXT    NOT NULL UNIQUE,
	kind             TEXT    NOT NULL CHECK (kind IN ('shared', 'personal', 'dark')),
	handle           TEXT    NOT NULL UNIQUE,
	fold             TEXT    NOT NULL UNIQUE, -- the handle without what people leave out or mix up
	handle_millibits INTEGER NOT NULL,
	share            REAL    NOT NULL,
	account          INTEGER REFERENCES accounts (id), -- personal: bound once, for ever
	bound_at         INTEGER,
	persona          TEXT    NOT NULL, -- JSON: locale, display_name, bio, followers, following, joined
	planted_at       INTEGER NOT NULL,
	CHECK (account IS NULL OR kind = 'personal')
) STRICT;
CREATE INDEX decoys_account ON decoys (account) WHERE account IS NOT NULL;

-- Prepared pictures; the file is pictures/<id>.brp. num is sealed into links (24 bits).
CREATE TABLE pictures (
	num         INTEGER PRIMARY KEY CHECK (num BETWEEN 1 AND 16777215),
	id          TEXT    NOT NULL UNIQUE,
	decoy       INTEGER NOT NULL REFERENCES decoys (num),
	position    INTEGER NOT NULL, -- 0 is the avatar
	photo_group TEXT    NOT NULL, -- id of the first picture prepared from the photo
	file        TEXT    NOT NULL, -- name of the photo it was prepared from
	source      BLOB    NOT NULL, -- SHA-256 of that photo's file
	width       INTEGER NOT NULL,
	height      INTEGER NOT NULL,
	segments    INTEGER NOT NULL,
	code        INTEGER NOT NULL,
	layout      INTEGER NOT NULL,
	epoch       INTEGER NOT NULL,
	size        INTEGER NOT NULL, -- bytes of every rendition
	print       BLOB    NOT NULL, -- find.Print
	prepared_at INTEGER NOT NULL,
	UNIQUE (decoy, position)
) STRICT;
CREATE INDEX pictures_source ON pictures (source);

CREATE TABLE posts (
	id         TEXT    NOT NULL PRIMARY KEY,
	decoy      INTEGER NOT NULL REFERENCES decoys (num),
	position   INTEGER NOT NULL, -- 0 is the newest
	picture    INTEGER NOT NULL REFERENCES pictures (num),
	caption    TEXT    NOT NULL,
	tags       TEXT    NOT NULL, -- JSON
	story      INTEGER NOT NULL CHECK (story IN (0, 1)),
	at         INTEGER NOT NULL,
	expires_at INTEGER,
	UNIQUE (decoy, position)
) STRICT;

-- Who was shown what. Clustered by decoy and viewer, so that "who was shown
-- decoy D before T" is one range read. picture is 0 for offered: all of them.
-- The key makes the same exposure told twice one exposure.
CREATE TABLE exposures (
	decoy      INTEGER NOT NULL REFERENCES decoys (num),
	viewer     INTEGER NOT NULL REFERENCES viewers (number),
	at         INTEGER NOT NULL,
	surface    TEXT    NOT NULL,
	kind       TEXT    NOT NULL CHECK (kind IN ('offered', 'fetched')),
	picture    INTEGER NOT NULL DEFAULT 0,
	address    TEXT,
	user_agent TEXT,
	sha256     BLOB,
	PRIMARY KEY (decoy, viewer, at, surface, kind, picture)
) STRICT, WITHOUT ROWID;
CREATE INDEX exposures_at ON exposures (at);
CREATE INDEX exposures_viewer ON exposures (viewer, at);

-- Beacon events. id is a UUID v7, given before the hit was journalled: the same
-- record taken in twice is one hit. object is a decoy's or picture's num.
CREATE TABLE hits (
	id         TEXT    NOT NULL PRIMARY KEY,
	at         INTEGER NOT NULL,
	kind       TEXT    NOT NULL, -- dns, link, picture, pixel, fetch
	token_kind INTEGER NOT NULL,
	object     INTEGER NOT NULL,
	viewer     INTEGER NOT NULL,
	name       TEXT    NOT NULL,
	qtype      TEXT    NOT NULL,
	subnet     TEXT    NOT NULL,
	method     TEXT    NOT NULL,
	host       TEXT    NOT NULL,
	path       TEXT    NOT NULL,
	status     INTEGER NOT NULL,
	bytes      INTEGER NOT NULL,
	address    TEXT    NOT NULL,
	user_agent TEXT    NOT NULL,
	referer    TEXT    NOT NULL,
	origin     TEXT    NOT NULL,
	sha256     TEXT    NOT NULL,
	self       INTEGER NOT NULL CHECK (self IN (0, 1)) -- our own scanner
) STRICT, WITHOUT ROWID;
CREATE INDEX hits_at ON hits (at);

-- How far each journal is taken in; moved in the transaction that stores the hits.
CREATE TABLE journals (
	name    TEXT    NOT NULL PRIMARY KEY,
	segment INTEGER NOT NULL,
	"offset" INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE sites (
	id         INTEGER PRIMARY KEY,
	site       TEXT    NOT NULL UNIQUE, -- registrable domain, or host:port
	watched    INTEGER NOT NULL DEFAULT 0 CHECK (watched IN (0, 1)),
	first_at   INTEGER NOT NULL,
	scanned_at INTEGER
) STRICT;

-- Bytes found, once each.
CREATE TABLE captures (
	sha256     BLOB    NOT NULL PRIMARY KEY CHECK (length(sha256) = 32),
	media_type TEXT    NOT NULL,
	size       INTEGER NOT NULL,
	data       BLOB, -- null: only the hash is kept (pages, other people's photos)
	first_at   INTEGER NOT NULL
) STRICT;

CREATE TABLE sightings (
	id               INTEGER PRIMARY KEY AUTOINCREMENT,
	site             INTEGER NOT NULL REFERENCES sites (id),
	kind             TEXT    NOT NULL CHECK (kind IN ('picture', 'handle', 'link')),
	source           TEXT    NOT NULL CHECK (source IN ('scan', 'trace', 'probe')),
	decoy            INTEGER NOT NULL REFERENCES decoys (num),
	picture          INTEGER REFERENCES pictures (num),
	viewer           INTEGER, -- link: whose link it is
	url              TEXT    NOT NULL,
	page             TEXT    NOT NULL, -- the page that showed it, '' if none
	context          TEXT    NOT NULL, -- the page's text around it
	page_sha256      BLOB,
	capture          BLOB REFERENCES captures (sha256),
	captured_at      INTEGER NOT NULL,
	stored_at        INTEGER NOT NULL,
	verdict          TEXT    NOT NULL, -- of this picture alone; '' for handles and links
	transform        TEXT,    -- JSON: mark.Affine, reference pixels to found pixels
	y                BLOB,    -- soft values, int16 little-endian, one per segment
	marked_millibits INTEGER,
	alternatives     TEXT     -- JSON: other pictures of the group it could come from
) STRICT;
CREATE INDEX sightings_site ON sightings (site, decoy, picture);
CREATE INDEX sightings_capture ON sightings (capture);
CREATE INDEX sightings_at ON sightings (captured_at);

CREATE TABLE probes (
	id          INTEGER PRIMARY KEY,
	site        INTEGER NOT NULL REFERENCES sites (id),
	decoy       INTEGER NOT NULL UNIQUE REFERENCES decoys (num), -- used up by it
	template    TEXT    NOT NULL,
	url         TEXT    NOT NULL,
	planned_at  INTEGER NOT NULL,
	asked_at    INTEGER,
	answered_at INTEGER,
	status      INTEGER,
	requester   INTEGER REFERENCES viewers (number),
	sighting    INTEGER REFERENCES sightings (id),
	millibits   INTEGER,
	error       TEXT
) STRICT;
CREATE INDEX probes_site ON probes (site);

-- Nothing below the line of 64 bits is stored here.
CREATE TABLE attributions (
	id            INTEGER PRIMARY KEY,
	site          INTEGER NOT NULL REFERENCES sites (id),
	account       INTEGER NOT NULL REFERENCES accounts (id),
	verdict       TEXT    NOT NULL,
	millibits     INTEGER NOT NULL CHECK (millibits >= 64000),
	exposed       INTEGER NOT NULL CHECK (exposed IN (0, 1)),
	pictures      INTEGER NOT NULL,
	decoys        TEXT    NOT NULL, -- JSON: ids of decoys
	single_source INTEGER NOT NULL CHECK (single_source IN (0, 1)),
	first_at      INTEGER NOT NULL,
	updated_at    INTEGER NOT NULL,
	inputs        TEXT    NOT NULL, -- JSON: everything it was computed from
	UNIQUE (site, account)
) STRICT;

-- Defects of ours (a control over its line, a viewer number nobody gave). Shown
-- in /healthz until somebody clears them.
CREATE TABLE alarms (
	id         INTEGER PRIMARY KEY,
	at         INTEGER NOT NULL,
	kind       TEXT    NOT NULL,
	message    TEXT    NOT NULL,
	detail     TEXT    NOT NULL, -- JSON: the case
	cleared_at INTEGER
) STRICT;
CREATE INDEX alarms_open ON alarms (at) WHERE cleared_at IS NULL;

CREATE TABLE webhooks (
	id         TEXT    NOT NULL PRIMARY KEY,
	url        TEXT    NOT NULL,
	secret     TEXT    NOT NULL, -- needed to sign; whsec_...
	added_at   INTEGER NOT NULL,
	removed_at INTEGER
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX webhooks_url ON webhooks (url) WHERE removed_at IS NULL;

-- The outbox: a message is stored in the transaction that stores what it tells;
-- topic makes it one message per site and account.
CREATE TABLE messages (
	id         TEXT    NOT NULL PRIMARY KEY, -- the webhook-id of every try
	topic      TEXT    NOT NULL UNIQUE,
	type       TEXT    NOT NULL,
	payload    TEXT    NOT NULL,
	created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE deliveries (
	message      TEXT    NOT NULL REFERENCES messages (id),
	webhook      TEXT    NOT NULL REFERENCES webhooks (id),
	attempts     INTEGER NOT NULL DEFAULT 0,
	next_at      INTEGER,             -- null: nothing more to do
	delivered_at INTEGER,
	dead_at      INTEGER,             -- given up
	error        TEXT    NOT NULL DEFAULT '', -- of the last try
	PRIMARY KEY (message, webhook)
) STRICT, WITHOUT ROWID;
CREATE INDEX deliveries_due ON deliveries (next_at) WHERE next_at IS NOT NULL;
CREATE INDEX deliveries_dead ON deliveries (dead_at) WHERE dead_at IS NOT NULL;
