-- +goose Up
-- The ledger: a Merkle tree over what was taken in (package ledger). Entries get
-- their place in the transaction that stores their rows and wait in ledger_queue
-- until they are on disk as tiles under a signed head.

-- One row. size: entries that have a place. published: of them in tiles. recorded:
-- the latest time an entry tells. began: when the ledger began, null before.
-- folder: the id of the folder that holds the tiles.
CREATE TABLE ledger (
	one       INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
	size      INTEGER NOT NULL,
	published INTEGER NOT NULL,
	recorded  INTEGER NOT NULL,
	began     INTEGER,
	folder    TEXT    NOT NULL
) STRICT;
INSERT INTO ledger (one, size, published, recorded, folder) VALUES (1, 0, 0, 0, '');

CREATE TABLE ledger_queue (
	first_place INTEGER NOT NULL PRIMARY KEY, -- of the first entry
	n           INTEGER NOT NULL,
	entries     BLOB    NOT NULL -- as in a bundle
) STRICT;

-- Signed heads, one a size. stamp: RFC 3161, by somebody else's clock.
CREATE TABLE ledger_heads (
	size       INTEGER NOT NULL PRIMARY KEY,
	at         INTEGER NOT NULL,
	checkpoint TEXT    NOT NULL,
	stamp      BLOB,
	stamped_by TEXT
) STRICT;

-- Places of entries whose rows retention or a person's wish took away; the removal
-- stands in the ledger with the hash of the list.
CREATE TABLE ledger_removed (
	sha256    BLOB NOT NULL PRIMARY KEY,
	positions BLOB NOT NULL -- differences as uvarints
) STRICT;

-- What the keyring was committed to before an epoch of it was used.
CREATE TABLE commitments (
	epoch      INTEGER NOT NULL PRIMARY KEY,
	commitment TEXT    NOT NULL,
	at         INTEGER NOT NULL
) STRICT;

-- Epochs whose secret is in other hands. What is found from since on says nothing.
CREATE TABLE leaks (
	epoch  INTEGER NOT NULL PRIMARY KEY,
	since  INTEGER NOT NULL,
	at     INTEGER NOT NULL,
	reason TEXT    NOT NULL
) STRICT;

-- What people did that others may ask about. Insert-only.
CREATE TABLE audit (
	id      INTEGER NOT NULL PRIMARY KEY,
	at      INTEGER NOT NULL,
	who     TEXT    NOT NULL, -- user of the system, or id of an API key
	action  TEXT    NOT NULL,
	subject TEXT    NOT NULL,
	reason  TEXT    NOT NULL
) STRICT;
CREATE INDEX audit_at ON audit (at);

-- salt: of the account's pseudonym in the ledger; without it nobody can tell whose
-- it is. sealed: the name, where accounts are kept under pseudonyms. tombstone: the
-- pseudonym of an account that was forgotten.
ALTER TABLE accounts ADD COLUMN salt         BLOB;
ALTER TABLE accounts ADD COLUMN sealed       BLOB;
ALTER TABLE accounts ADD COLUMN tombstone    BLOB;
ALTER TABLE accounts ADD COLUMN forgotten_at INTEGER;

-- void_at: an epoch leaked, and the attribution does not stand without what was
-- found with it.
ALTER TABLE attributions ADD COLUMN void_at     INTEGER;
ALTER TABLE attributions ADD COLUMN void_reason TEXT NOT NULL DEFAULT '';
