-- +goose Up
-- Strings met on a site that have the form of our tokens, valid or not: what a
-- link is worth depends on how many there were. Of sites where links were found
-- before they were counted, a million is assumed.
ALTER TABLE sites ADD COLUMN guesses INTEGER NOT NULL DEFAULT 0;
UPDATE sites SET guesses = 1000000 WHERE id IN (SELECT site FROM sightings WHERE kind = 'link');
UPDATE sightings SET string_index = 1000000 WHERE kind = 'link';
