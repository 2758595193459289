-- +goose Up
-- Viewer numbers come from a counter: they are dense on every engine, and no
-- number returns when the row that had it goes.
INSERT INTO counters (name, n) SELECT 'viewers', seq FROM sqlite_sequence WHERE name = 'viewers'; -- only sqlite
-- only postgres: INSERT INTO counters (name, n) SELECT 'viewers', coalesce(max(number), 65535) FROM viewers;

-- Whoever writes in PostgreSQL holds this row until the transaction ends: one
-- writer at a time, as SQLite has it. Its number never changes.
INSERT INTO counters (name, n) VALUES ('writer', 0);
