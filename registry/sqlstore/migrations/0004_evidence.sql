-- +goose Up
-- What evidence besides rings is weighed with.

-- How many look-ups a probe's window may have held, of the account that came first.
ALTER TABLE probes ADD COLUMN lookups INTEGER NOT NULL DEFAULT 1024;

-- Strings met on a site next to matched pictures, and which of them a found handle was.
ALTER TABLE sites ADD COLUMN strings INTEGER NOT NULL DEFAULT 0;
ALTER TABLE sightings ADD COLUMN string_index INTEGER;

-- What an attribution rests on besides pictures, and what every kind of evidence came to: JSON.
ALTER TABLE attributions ADD COLUMN parts TEXT NOT NULL DEFAULT '{}';
