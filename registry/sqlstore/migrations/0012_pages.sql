-- +goose Up
-- The page of a site shows its newest finds, and how the evidence of its pictures grew.
CREATE INDEX sightings_site_at   ON sightings (site, captured_at);
CREATE INDEX sightings_site_kind ON sightings (site, kind, captured_at);
