-- +goose Up
-- Journals of other machines, whose records come through a stream.
CREATE TABLE sources (
	source   TEXT    NOT NULL PRIMARY KEY,
	first_at INTEGER NOT NULL,
	last_at  INTEGER NOT NULL, -- of the newest record taken in
	records  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Which stretches of their segments are taken in; grown in the transaction that
-- stores the records. Stretches that touch are one row.
CREATE TABLE taken (
	source  TEXT    NOT NULL REFERENCES sources (source),
	segment INTEGER NOT NULL,
	from_at INTEGER NOT NULL, -- offsets in the segment
	to_at   INTEGER NOT NULL,
	touched INTEGER NOT NULL, -- when, to forget what no broker sends any more
	PRIMARY KEY (source, segment, from_at)
) STRICT, WITHOUT ROWID;
CREATE INDEX taken_touched ON taken (touched);

-- What is still to be told on a stream; stored with what it tells.
CREATE TABLE told (
	topic TEXT    NOT NULL,
	id    TEXT    NOT NULL, -- of a hit or message
	at    INTEGER NOT NULL,
	PRIMARY KEY (topic, at, id)
) STRICT, WITHOUT ROWID;

-- Files somebody wants traced by a worker.
CREATE TABLE uploads (
	id      TEXT    NOT NULL PRIMARY KEY,
	name    TEXT    NOT NULL,
	site    TEXT    NOT NULL, -- '' if nothing is to be stored about a site
	at      INTEGER NOT NULL, -- also the time of the capture
	data    BLOB,             -- until it is traced
	done_at INTEGER,
	results TEXT    NOT NULL DEFAULT '[]' -- JSON, as trace tells them
) STRICT, WITHOUT ROWID;
CREATE INDEX uploads_waiting ON uploads (at) WHERE done_at IS NULL;
