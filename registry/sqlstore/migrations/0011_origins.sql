-- +goose Up
-- Where the requester's address is by the files the operator gave, and whether
-- its name says that it is who it calls itself.
ALTER TABLE hits ADD COLUMN country   TEXT    NOT NULL DEFAULT ''; -- ISO 3166-1
ALTER TABLE hits ADD COLUMN city      TEXT    NOT NULL DEFAULT '';
ALTER TABLE hits ADD COLUMN asn       INTEGER NOT NULL DEFAULT 0;
ALTER TABLE hits ADD COLUMN network   TEXT    NOT NULL DEFAULT ''; -- who runs it
ALTER TABLE hits ADD COLUMN confirmed TEXT    NOT NULL DEFAULT ''; -- waits, yes, no, unknown; '': nothing to confirm
CREATE INDEX hits_unconfirmed ON hits (at) WHERE confirmed = 'waits';
