# Everything a developer or CI runs. Tools are pinned here, not in go.mod: they
# are no part of the program.
GO          ?= go
STATICCHECK ?= $(GO) run honnef.co/go/tools/cmd/staticcheck@v0.8.2
GOFUMPT     ?= $(GO) run mvdan.cc/gofumpt@v0.12.0
FUZZTIME    ?= 20s

# What of the registry runs beside itself; the rest is arithmetic, ten times slower under -race.
RACY = Concurren|AtOnce|Kill|Ingest|Alert|Fetched|ExposeRecords|Lock

.PHONY: all build test check fuzz bench bench-mark bench-plant readme demo clean

all: build

build:
	$(GO) build -o birdring .

demo:
	$(GO) run . demo

# What CI calls: format, vet, staticcheck, all tests, a short pass with the race detector.
test: check
	$(GO) test -timeout 12m ./...
	$(GO) test -race -short -timeout 5m ./beacon ./beacon/journal ./beacon/crawl ./beacon/text ./registry/sqlstore ./internal/console
	$(GO) test -race -short -timeout 5m -run '$(RACY)' ./registry

check:
	@out=$$(gofmt -l $$(git ls-files '*.go')); [ -z "$$out" ] || { echo "not gofmt-clean: $$out"; exit 1; }
	@out=$$($(GOFUMPT) -l $$(git ls-files '*.go')); [ -z "$$out" ] || { echo "not gofumpt-clean: $$out"; exit 1; }
	$(GO) vet ./...
	$(STATICCHECK) ./...

# Every fuzz target for FUZZTIME.
fuzz:
	@set -e; for pkg in $$($(GO) list ./...); do \
	  for f in $$($(GO) test -list '^Fuzz' $$pkg | grep '^Fuzz' || true); do \
	    echo "== $$pkg $$f"; $(GO) test -run '^$$' -fuzz "^$$f$$" -fuzztime $(FUZZTIME) $$pkg; \
	  done; done

# Ratios against memcpy, Go's and libjpeg-turbo's encoders, and the other hot paths.
bench:
	$(GO) test -run '^$$' -bench . -benchtime 1s ./canary/... ./beacon/... ./registry

# Plants the photos, changes one copy of each in seven ways with foreign
# software, and prints how many lead to the right account. PHOTOS=DIR for others.
PHOTOS ?=
bench-mark:
	$(GO) run ./internal/bench -photos "$(PHOTOS)"

# What preparing and serving a picture costs, as ratios to a copy of the same
# bytes and to libjpeg-turbo; then how well files can be told from ordinary ones.
bench-plant:
	$(GO) run ./internal/bench/pace -photos "$(or $(PHOTOS),../shared/photos)"
	$(GO) run ./internal/bench/tell -photos "$(or $(PHOTOS),../shared/photos)"

# The README's transcript and console picture, made from a run.
readme:
	$(GO) run ./internal/bench/readme

clean:
	rm -rf birdring birdring-data
