-- +goose Up
-- Exposures by the hundred million: names by number, one tree and no other index.

-- Where decoys are shown. Rows never change and never go.
CREATE TABLE surfaces (
	num     INT  NOT NULL PRIMARY KEY,
	surface TEXT NOT NULL UNIQUE
) STRICT, WITHOUT ROWID;
INSERT INTO surfaces (num, surface) SELECT row_number() OVER (ORDER BY x.surface), x.surface FROM (SELECT DISTINCT surface FROM exposures) AS x;

-- How many exposures were recorded of each hour, of which retention takes none back.
CREATE TABLE exposure_hours (
	hour INTEGER NOT NULL PRIMARY KEY, -- since 1970
	n    INTEGER NOT NULL
) STRICT;
INSERT INTO exposure_hours (hour, n) SELECT e.at / 3600000000, count(*) FROM exposures e GROUP BY e.at / 3600000000;

-- Who was shown what. Clustered by decoy and viewer, so that "who was shown
-- decoy D before T" is one range read. picture is 0 for offered, which is all of
-- them; a picture that was fetched has a number. The key makes the same exposure
-- told twice one exposure. Queries by viewer name all decoys.
DROP INDEX exposures_at;
DROP INDEX exposures_viewer;
ALTER TABLE exposures RENAME TO exposures_wide;
CREATE TABLE exposures (
	viewer     INTEGER NOT NULL REFERENCES viewers (number), -- only sqlite
	-- only postgres: viewer bigint NOT NULL,
	at         INTEGER NOT NULL,
	decoy      INTEGER NOT NULL REFERENCES decoys (num), -- only sqlite
	surface    INT     NOT NULL REFERENCES surfaces (num), -- only sqlite
	-- only postgres: decoy bigint NOT NULL,
	-- only postgres: surface INT NOT NULL,
	picture    INTEGER NOT NULL DEFAULT 0,
	address    TEXT,
	user_agent TEXT,
	-- only postgres: sha256 bytea
	sha256     BLOB, -- only sqlite
	PRIMARY KEY (decoy, viewer, at, surface, picture) -- only sqlite
) STRICT, WITHOUT ROWID;
INSERT INTO exposures (viewer, at, decoy, surface, picture, address, user_agent, sha256)
	SELECT e.viewer, e.at, e.decoy, s.num, e.picture, e.address, e.user_agent, e.sha256 FROM exposures_wide e CROSS JOIN surfaces s WHERE s.surface = e.surface;
DROP TABLE exposures_wide;
-- Made once the rows are there: a key checked row by row would keep all of them in memory.
-- only postgres: ALTER TABLE exposures ADD CONSTRAINT exposures_pkey PRIMARY KEY (decoy, viewer, at, surface, picture);
-- only postgres: ALTER TABLE exposures ADD CONSTRAINT exposures_viewer_fkey FOREIGN KEY (viewer) REFERENCES viewers (number);
-- only postgres: ALTER TABLE exposures ADD CONSTRAINT exposures_decoy_fkey FOREIGN KEY (decoy) REFERENCES decoys (num);
-- only postgres: ALTER TABLE exposures ADD CONSTRAINT exposures_surface_fkey FOREIGN KEY (surface) REFERENCES surfaces (num);

-- What the list of sites and a site's page sum up stands in the index.
DROP INDEX sightings_site;
CREATE INDEX sightings_site ON sightings (site, decoy, picture, captured_at, verdict);
