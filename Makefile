# Everything a developer or CI runs. Tools are pinned here, not in go.mod: they
# are no part of the program.
GO          ?= go
STATICCHECK ?= $(GO) run honnef.co/go/tools/cmd/staticcheck@v0.8.2
GOFUMPT     ?= $(GO) run mvdan.cc/gofumpt@v0.12.0
FUZZTIME    ?= 20s

# What of the registry runs beside itself; the rest is arithmetic, ten times slower under -race.
RACY = Concurren|AtOnce|Kill|Ingest|Alert|Fetched|ExposeRecords|Lock

.PHONY: bench-registry bench-100m kill-test test-postgres all build test check fuzz bench bench-mark bench-recall bench-plant bench-handles bench-beacon conformance soak sim readme demo clean

all: build

build:
	$(GO) build -o birdring .

demo:
	$(GO) run . demo

# What CI calls: format, vet, staticcheck, all tests, a short pass with the race detector.
test: check
	$(GO) test -timeout 12m ./...
	$(GO) test -race -short -timeout 5m ./beacon ./beacon/journal ./beacon/crawl ./beacon/text ./registry/sqlstore ./registry/stream ./registry/ledger ./registry/keystore ./registry/jobs ./internal/console
	$(GO) test -race -short -timeout 5m -run '$(RACY)' ./registry

check:
	@out=$$(gofmt -l $$(git ls-files '*.go')); [ -z "$$out" ] || { echo "not gofmt-clean: $$out"; exit 1; }
	@out=$$($(GOFUMPT) -l $$(git ls-files '*.go')); [ -z "$$out" ] || { echo "not gofumpt-clean: $$out"; exit 1; }
	$(GO) vet ./...
	$(STATICCHECK) ./...

# Every fuzz target for FUZZTIME. Before Go 1.27 a run may fail with the deadline that
# ends it (go.dev/issue/75804): without a failing input that is no failure.
fuzz:
	@set -e; log=$$(mktemp); trap 'rm -f "$$log"' EXIT; for pkg in $$($(GO) list ./...); do \
	  for f in $$($(GO) test -list '^Fuzz' $$pkg | grep '^Fuzz' || true); do \
	    echo "== $$pkg $$f"; \
	    if ! $(GO) test -run '^$$' -fuzz "^$$f$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 2s $$pkg >"$$log" 2>&1; then \
	      cat "$$log"; if grep -q 'Failing input' "$$log" || ! grep -q 'context deadline exceeded' "$$log"; then exit 1; fi; \
	    else tail -n 1 "$$log"; fi; \
	  done; done

# Ratios against memcpy, Go's and libjpeg-turbo's encoders, and the other hot paths.
bench:
	$(GO) test -run '^$$' -bench . -benchtime 1s ./canary/... ./beacon/... ./registry

# What is promised about pictures, measured: copies changed in all ways, by our own
# and by foreign software, colluders, speeds. PHOTOS=DIR for other photos, FIGURES=a,b
# for some groups (internal/bench/main.go lists them). At most 15 minutes on 2 cores.
PHOTOS ?=
FIGURES ?=
bench-mark:
	$(GO) run ./internal/bench -photos "$(PHOTOS)" -figures "$(FIGURES)"

# Whether planted pictures are found among PLANTED others, and what a look-up costs.
PLANTED ?= 100000
bench-recall:
	$(GO) run ./internal/recall/cmd -photos "$(PHOTOS)" -planted $(PLANTED)

# What preparing and serving a picture costs, as ratios to a copy of the same
# bytes and to libjpeg-turbo; then how well files can be told from ordinary ones.
bench-plant:
	$(GO) run ./internal/bench/pace -photos "$(or $(PHOTOS),../shared/photos)"
	$(GO) run ./internal/bench/tell -photos "$(or $(PHOTOS),../shared/photos)"

# The evidence model against the tables it promises: type-I errors, power, collusion,
# farms on real soft values. JSON rows, the last one {"rows":n,"short":n}.
sim:
	@BIRDRING_MUTATIONS=1 $(GO) test -run TestBrokenRulesAreSeen ./internal/sim >&2
	@$(GO) run ./internal/sim -photos "$(PHOTOS)"

# Figures of handles, decoys and the matcher, one JSON line each and a sum last.
# NAMES=FILE: real names, one a line, to fit the handle model to and judge it by.
# Two ninths of them, always the same, judge and are never fitted to; TUNE=1 leaves it out, for
# trying changes on. SEED=N: another attacker. HUGE=1: the matcher with ten million
# handles too.
NAMES ?=
HUGE  ?=
SEED  ?= 1
TUNE  ?=
bench-handles:
	@BIRDRING_HUGE=$(HUGE) $(GO) run ./internal/bench/handles -names "$(NAMES)" -seed $(SEED) $(if $(TUNE),-tune)

# DNS and HTTP beacons and ingest against NSD, nginx and SQLite in the same run.
bench-beacon:
	$(GO) run ./internal/bench/beacon

# Zonemaster, offline, against our zone and NSD's; needs port 53 of 127.53.0.0/24.
conformance:
	BIRDRING_CONFORMANCE=1 $(GO) test -count=1 -run 'Zonemaster|Unbound' -v ./beacon

# Ten minutes of mixed load with no hit lost, ten of flood with flat memory. SOAK=1m for a short one.
SOAK ?= 10m
soak:
	$(GO) run ./internal/bench/beacon -soak $(SOAK)

# kill -9 of a real process at random moments of every write path, on SQLite and
# PostgreSQL, and of a PostgreSQL whose standby takes over: what was acknowledged is
# there, once. SEED=n repeats a run.
ROUNDS ?= 250
SEED   ?= 0
kill-test:
	@$(GO) run ./internal/bench/kill -rounds $(ROUNDS) -seed $(SEED)

# Exposures through the API and in bulk against bare inserts on the same engine, in
# the same run; a registry of COUNT exposures and SIGHTINGS sightings; bytes an exposure.
COUNT     ?= 1000000
SIGHTINGS ?= 1000000
bench-registry:
	@$(GO) run ./internal/bench/registry -count $(COUNT) -sightings $(SIGHTINGS)

# The large registry alone, with 100 million exposures, in DIR.
DIR ?=
bench-100m:
	@$(GO) run ./internal/bench/registry -only large -count 100000000 -dir "$(DIR)"

# All tests of the registry with its database in PostgreSQL.
test-postgres:
	BIRDRING_TEST_REGISTRY=postgres $(GO) test -count=1 -short -timeout 12m ./registry

# The README's transcript and console picture, made from a run.
readme:
	$(GO) run ./internal/bench/readme

clean:
	rm -rf birdring birdring-data
