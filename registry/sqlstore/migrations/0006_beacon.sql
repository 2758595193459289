-- +goose Up
-- Beacon events: how sure the address is, who it probably was, and repeats: the
-- same token by the same requester in the same minute is one row that counts.
ALTER TABLE hits ADD COLUMN proto   TEXT    NOT NULL DEFAULT ''; -- DNS: udp, tcp
ALTER TABLE hits ADD COLUMN cookie  TEXT    NOT NULL DEFAULT ''; -- DNS: client cookie, hex
ALTER TABLE hits ADD COLUMN proved  INTEGER NOT NULL DEFAULT 0 CHECK (proved IN (0, 1)); -- DNS: the address is not forged
ALTER TABLE hits ADD COLUMN via     TEXT    NOT NULL DEFAULT ''; -- HTTP: the trusted proxy that named the address
ALTER TABLE hits ADD COLUMN class   TEXT    NOT NULL DEFAULT ''; -- who it probably was, by the rules of beacon/visit
ALTER TABLE hits ADD COLUMN reason  TEXT    NOT NULL DEFAULT ''; -- the rule that says so
ALTER TABLE hits ADD COLUMN repeats INTEGER NOT NULL DEFAULT 0;
ALTER TABLE hits ADD COLUMN last_at INTEGER; -- of the newest repeat

-- Pages that a hit named as its origin. A lead is no evidence: it queues a scan.
CREATE TABLE leads (
	url        TEXT    NOT NULL PRIMARY KEY,
	site       TEXT    NOT NULL,
	first_at   INTEGER NOT NULL,
	last_at    INTEGER NOT NULL,
	hits       INTEGER NOT NULL,
	scanned_at INTEGER, -- absent: waits for a scan
	result     TEXT    NOT NULL DEFAULT ''
) STRICT, WITHOUT ROWID;
CREATE INDEX leads_waiting ON leads (first_at) WHERE scanned_at IS NULL;

-- Drills: test viewers fetched their copies the way real ones do. Insert-only:
-- together they are the measured error rate of the chain.
CREATE TABLE drills (
	id      INTEGER PRIMARY KEY,
	at      INTEGER NOT NULL,
	base    TEXT    NOT NULL, -- where the copies were fetched from
	viewer  INTEGER NOT NULL REFERENCES viewers (number),
	picture INTEGER NOT NULL REFERENCES pictures (num),
	outcome TEXT    NOT NULL, -- own, other, neutral, changed, failed
	detail  TEXT    NOT NULL
) STRICT;
