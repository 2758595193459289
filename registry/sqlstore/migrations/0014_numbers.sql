-- +goose Up
-- What a token can name since it has a second layout: objects to 2^32 - 1, viewers
-- to 2^40 - 1. In SQLite a CHECK is altered by editing the schema's text, as its
-- manual tells for changes that touch nothing on disk (lang_altertable.html,
-- section 7); a table that comes and goes tells other connections to read it anew.
PRAGMA writable_schema = ON; -- only sqlite
UPDATE sqlite_schema SET sql = replace(sql, 'num BETWEEN 1 AND 16777215', 'num BETWEEN 1 AND 4294967295') WHERE type = 'table' AND name IN ('decoys', 'pictures'); -- only sqlite
UPDATE sqlite_schema SET sql = replace(sql, 'number < 68719476736', 'number < 1099511627776') WHERE type = 'table' AND name = 'viewers'; -- only sqlite
CREATE TABLE passing (x INTEGER) STRICT; -- only sqlite
DROP TABLE passing; -- only sqlite
PRAGMA writable_schema = RESET; -- only sqlite
-- only postgres: ALTER TABLE decoys DROP CONSTRAINT decoys_num_check, ADD CONSTRAINT decoys_num_check CHECK (num BETWEEN 1 AND 4294967295) NOT VALID;
-- only postgres: ALTER TABLE pictures DROP CONSTRAINT pictures_num_check, ADD CONSTRAINT pictures_num_check CHECK (num BETWEEN 1 AND 4294967295) NOT VALID;
-- only postgres: ALTER TABLE viewers DROP CONSTRAINT viewers_number_check, ADD CONSTRAINT viewers_number_check CHECK (number >= 65536 AND number < 1099511627776) NOT VALID;
