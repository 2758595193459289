package registry_test

import (
	"os"
	"os/exec"
	"testing"

	"birdring/internal/testkit"
)

// alsoOnPostgres are tests of whatever asks or changes the database; with
// BIRDRING_TEST_REGISTRY=postgres in the environment all of them run there.
const alsoOnPostgres = `^Test(ExposeIsAll|FetchedIs|ImportExposures|Numbers|Personal|Kill|Alert|Webhooks|Alarms|Ingest|ReportHit|OnlyRepeats|Referer|RowsSince|LockServe|` +
	`SitesThatShare|NoScoreBelow|Reposts|Mixed|Drill|Init)`

// TestOnPostgres runs them again, in a process of their own, on PostgreSQL.
func TestOnPostgres(t *testing.T) {
	t.Parallel()
	testkit.Long(t)
	if onPostgres() {
		t.Skip("this is it")
	}
	testkit.Postgres(t) // there must be one
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run="+alsoOnPostgres, "-test.short")
	cmd.Env = append(os.Environ(), engineEnv+"=postgres")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
