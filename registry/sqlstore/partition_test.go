package sqlstore_test

import (
	"database/sql"
	"testing"
)

// Exposures can be partitioned by the hash of viewer or decoy: every key begins
// with both. The statements that write and read them work as they are.
func TestPartitionedExposures(t *testing.T) {
	for _, by := range []string{"viewer", "decoy"} {
		t.Run(by, func(t *testing.T) {
			d, _ := createPostgres(t)
			err := d.Write(t.Context(), func(tx *sql.Tx) error {
				for _, statement := range []string{
					`DROP TABLE exposures`,
					`CREATE TABLE exposures (decoy bigint NOT NULL REFERENCES decoys (num), viewer bigint NOT NULL REFERENCES viewers (number), at bigint NOT NULL, surface int NOT NULL REFERENCES surfaces (num),
						picture bigint NOT NULL DEFAULT 0, address text, user_agent text, sha256 bytea, PRIMARY KEY (decoy, viewer, at, surface, picture)) PARTITION BY HASH (` + by + `)`,
					`CREATE TABLE exposures_0 PARTITION OF exposures FOR VALUES WITH (MODULUS 2, REMAINDER 0)`,
					`CREATE TABLE exposures_1 PARTITION OF exposures FOR VALUES WITH (MODULUS 2, REMAINDER 1)`,
				} {
					if _, err := tx.Exec(statement); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			fill(t, d, 500)
			var again int64
			if err := d.Write(t.Context(), func(tx *sql.Tx) error {
				res, err := tx.Exec(`INSERT INTO exposures (decoy, viewer, at, surface) SELECT decoy, viewer, at, surface FROM exposures ON CONFLICT DO NOTHING`)
				if err != nil {
					return err
				}
				again, err = res.RowsAffected()
				return err
			}); err != nil || again != 0 {
				t.Errorf("%d rows twice, %v", again, err)
			}
			for table, most := range map[string]int64{"exposures": 500, "exposures_0": 499, "exposures_1": 499} {
				if n := number(t, d, `SELECT count(*) FROM `+table); n == 0 || n > most {
					t.Errorf("%s has %d rows", table, n)
				}
			}
			if n := number(t, d, `SELECT count(*) FROM (SELECT e.viewer, min(v.account), min(e.at) FROM exposures e JOIN viewers v ON v.number = e.viewer WHERE e.decoy = 1 GROUP BY e.viewer) AS x`); n < 40 {
				t.Errorf("%d viewers of decoy 1", n)
			}
		})
	}
}
