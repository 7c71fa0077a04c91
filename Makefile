# Every target is one line of `make`; the text after ## is what it prints. What is set with ?= below
# can be set, as in make fuzz FUZZTIME=1m.

GO         ?= go
TESTFLAGS  ?=
BENCHFLAGS ?=
LOADFLAGS  ?=
BENCHOUT   ?= bench-out
# The last two of the long cases start nodes, which make nodes builds: they are left out where there are none, which bench-long says.
BENCHLONG  = $(if $(wildcard $(or $(MILLRACE_NODES),$(NODES))/lnd),--long,$(addprefix --case=,sustained scale startup checkpoint history receipt netting settling))
FUZZTIME   ?= 10s
LISTEN     ?= 127.0.0.1:8402
SECONDS    ?= 300
ROUNDS     ?= 500
SEED       ?=
SEED       := $(or $(SEED),$(shell date +%s))

# The nodes of the network that is run for tests, and to try things on: as lnd's own tests build it, and with a wallet's key
# derivation that takes no time (lowscrypt). Other tags build everything anew, which takes minutes.
NODES      ?= $(CURDIR)/bin/nodes
NODETAGS   = autopilotrpc,chainrpc,invoicesrpc,peersrpc,routerrpc,signrpc,walletrpc,watchtowerrpc,wtclientrpc,monitoring,lowscrypt
NODEFLAGS  = -buildvcs=false -mod=readonly -trimpath -tags=$(NODETAGS)
REGTEST    ?= regtest-data

STATICCHECK = $(GO) tool -modfile=.ci/tools.mod staticcheck

.DEFAULT_GOAL := help
.PHONY: help deps deps-hledger deps-ffmpeg deps-age deps-chromium deps-npm deps-postgres build run nodes regtest regtest-stop test test-race test-faults \
	test-regtest check bench bench-peers bench-quick bench-long fuzz cover clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' Makefile

deps: deps-hledger deps-ffmpeg deps-age deps-npm ## install what some tests use beside Go: hledger, ffmpeg and age, where there is apt-get (as root, or by sudo), and npm packages

deps-hledger deps-ffmpeg deps-age deps-chromium:
	@root=; test "$$(id -u)" = 0 || root="sudo -n"; install="$$root apt-get install -y --no-install-recommends $(@:deps-%=%)"; \
		$$install || { $$root apt-get update && $$install; }

deps-npm:
	npm ci --prefix hub/webhook/testdata/npm --ignore-scripts --no-audit --no-fund
	npm ci --prefix hub/nwc/testdata/npm --ignore-scripts --no-audit --no-fund
	npm ci --prefix hub/web --ignore-scripts --no-audit --no-fund
	npm ci --prefix cmd/millrace/testdata/npm --ignore-scripts --no-audit --no-fund

deps-postgres: ## install PostgreSQL 15, which the bench suite and its tests can be held against (as root, or by sudo)
	@root=; test "$$(id -u)" = 0 || root="sudo -n"; install="$$root apt-get install -y --no-install-recommends postgresql-15"; \
		$$install || { $$root apt-get update && $$install; }

build: ## build bin/millrace and bin/age-plugin-millrace
	@mkdir -p bin
	$(GO) build -o bin/ ./cmd/...

run: build ## start a development hub on ./data, made first if there is none
	@test -d data || bin/millrace init --data data
	bin/millrace serve --data data --listen $(LISTEN) --dev

nodes: ## build btcd and lnd into bin/nodes, for the targets with regtest: minutes the first time
	@mkdir -p $(NODES)
	@test -x $(NODES)/lnd || echo "building btcd, btcctl, lnd and lncli: some 850 packages, minutes where nothing is cached"
	@cd deploy/regtest/nodes && { CGO_ENABLED=0 GOFLAGS="$(NODEFLAGS)" $(GO) build -v -ldflags "-s -w" -o $(NODES)/ tool 2>&1; echo "exit $$?"; } | \
		awk '/^exit [0-9]+$$/ { code = $$2; next } /^[^ :]+$$/ { if (++n % 50 == 0) { print "  " n " packages"; fflush() } next } { print } END { exit code }'

regtest: build nodes ## start a network of nodes and a hub in ./regtest-data, in the background; what it prints can be tried
	$(GO) build -o bin/regtest ./deploy/regtest
	bin/regtest start --dir $(REGTEST) --nodes $(NODES) --listen $(LISTEN)

regtest-stop: ## end what make regtest started; its folder stays
	@if test -x bin/regtest; then bin/regtest stop --dir $(REGTEST); else echo "make regtest was not run here"; fi

test: ## run all tests (TESTFLAGS="-run Name -v" and so on)
	$(GO) test $(TESTFLAGS) ./...

test-race: ## run all tests in random order under the race detector
	$(GO) test -race -shuffle=on $(TESTFLAGS) ./...

test-faults: ## the tests of crashes, failing disks, flipped bits and kills, for SECONDS each and ROUNDS kills, from SEED on
	@echo "SEED=$(SEED) SECONDS=$(SECONDS) ROUNDS=$(ROUNDS)"
	MILLRACE_TEST_SEED=$(SEED) MILLRACE_TEST_SECONDS=$(SECONDS) $(GO) test -count=1 -timeout 24h -v $(TESTFLAGS) ./hub/simulation
	MILLRACE_TEST_KILL_ROUNDS=$(ROUNDS) $(GO) test -count=1 -timeout 24h -v -run '^TestKill(ed)?$$' $(TESTFLAGS) ./hub ./cmd/millrace

test-regtest: ## the tests that run real nodes, which make nodes builds before
	$(GO) test -count=1 -run '^TestRegtest' -timeout 20m $(TESTFLAGS) \
		$$(grep -rl --include='*_test.go' '^func TestRegtest' bench channels cmd deploy hub ledger | xargs -n 1 dirname | sort -u | sed 's|^|./|')

check: ## format, vet, staticcheck and the architecture tests
	@unformatted=$$("$$($(GO) env GOROOT)/bin/gofmt" -l .) && test -z "$$unformatted" || \
		{ echo "not in gofmt's form:"; echo "$$unformatted"; exit 1; }
	$(GO) vet ./...
	$(GO) vet -tags purego ./ledger/tlog/...
	$(STATICCHECK) ./...
	$(GO) test -run '^TestArchitecture' ./cmd/millrace

# Steps of the bench targets, in one shell: each says how long it takes; one that fails does not keep the next from running, but fails the
# whole. "cases TIME FLAGS..." prints the table and keeps it, "load TIME SCENARIO FLAGS..." and "knee ..." leave reports in folders of their names.
BENCHSTEPS = mkdir -p $(BENCHOUT) || exit; failed=; trap 'exit 130' INT; \
	begin() { printf '\n== %s: about %s\n' "$$2" "$$1"; }; \
	cases() { begin "$$1" "the cases"; shift; bin/millrace bench "$$@" >$(BENCHOUT)/cases.txt || failed="$$failed cases"; cat $(BENCHOUT)/cases.txt; }; \
	load() { begin "$$1" "$$2"; shift; bin/millrace bench run "$$@" --out $(BENCHOUT)/$$1 || failed="$$failed $$1"; }; \
	knee() { begin "$$1" "the knee of $$2"; shift; bin/millrace bench knee "$$@" --out $(BENCHOUT)/knee-$$1 || failed="$$failed knee-$$1"; }; \
	ended() { printf '\nreports: %s\n' "$$(ls -d $(BENCHOUT)/* | tr '\n' ' ')"; \
		test -z "$$failed" || { echo "failed:$$failed"; exit 1; }; }

bench: build ## the benchmark table, and reports of five loads in ./bench-out: 5 minutes (BENCHFLAGS are the table's, LOADFLAGS the loads')
	@$(BENCHSTEPS); \
	cases "3.5 minutes" $(BENCHFLAGS); \
	for scenario in page-views transfers-in-batches tips shop; do load "12 s" $$scenario --duration 6s $(LOADFLAGS); done; \
	load "20 s" killed --duration 12s $(LOADFLAGS); \
	ended

bench-quick: build ## the table alone, shorter and less exact: a minute
	bin/millrace bench --quick $(BENCHFLAGS)

bench-long: build ## the cases of time and size, every load that comes with the program in three rounds, and two knees: an hour
	@$(BENCHSTEPS); $(if $(filter --long,$(BENCHLONG)),,echo "left out: payouts-chain and payouts-lightning, for there are no nodes (make nodes)";) \
	cases "20 minutes" $(BENCHLONG) $(BENCHFLAGS); \
	for scenario in $(basename $(notdir $(wildcard bench/scenario/files/*.toml))); do load "2 minutes" $$scenario --rounds 3 $(LOADFLAGS); done; \
	for scenario in tips shop; do knee "3 minutes" $$scenario; done; \
	ended

bench-peers: build ## this hub beside PostgreSQL (make deps-postgres) under the same loads, taking turns, with reports: 7 minutes
	@$(BENCHSTEPS); \
	load "2 minutes" million --duration 6s --rounds 3 --target millrace,postgres,postgres-totals $(LOADFLAGS); \
	load "2 minutes" page-views --duration 6s --rounds 3 --target millrace,postgres,postgres-totals $(LOADFLAGS); \
	load "2 minutes" transfers-in-batches --duration 6s --rounds 3 --target millrace,postgres,postgres-single $(LOADFLAGS); \
	load "1 minute" tips --duration 6s --rounds 3 --target millrace,postgres-single $(LOADFLAGS); \
	ended

fuzz: ## run every fuzz target for FUZZTIME (10s each)
	@set -e; for pkg in $$($(GO) list ./...); do \
		list=$$($(GO) test -list '^Fuzz' $$pkg); \
		for target in $$(echo "$$list" | grep '^Fuzz' || true); do \
			echo "$$pkg $$target"; \
			$(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) $$pkg; \
		done; \
	done

cover: ## run all tests and print the coverage of each package and in total
	@mkdir -p bin
	$(GO) test -coverprofile=bin/cover.out $(TESTFLAGS) ./...
	@$(GO) tool cover -func=bin/cover.out | tail -n 1

clean: ## remove what was built; data/ stays
	rm -rf bin
