# The front door: `make help` lists it. Parts of the tests and their times: tools/parts.
.PHONY: help setup build run demo test test-unit test-api test-clients conformance check bench \
        nightly fuzz install clean

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

setup: ## installs what the build needs (as root; else prints the apt line)
	@tools/setup build

build: setup build-release ## the release binary at build/cove

build-%:
	@cmake --preset $* >/dev/null && cmake --build build/$* -- --quiet

run: build ## builds, starts Cove on :5000 with a Docker Hub mirror on :5001
	@tools/run

demo: build ## the main job without the internet, scenario by scenario
	@tools/setup test
	@tools/demo

test: ## all set-up, then unit, API, thread and crash tests: ends with "N passed, N failed"
	@COVE_SETUP=test tools/parts packages build unit api_sqlite api_postgres tsan crash

test-unit: build-asan ## unit tests and fuzz corpora under ASan and UBSan
	@ctest --test-dir build/asan --output-on-failure

test-api: build-asan ## API tests on SQLite under ASan and UBSan
	@tools/parts api_sqlite

test-clients: ## real clients and OCI conformance (needs Go >= 1.26)
	@tools/parts packages tools build conformance clients

check: ## layers, sizes, banned functions, format, clang's warnings, API contract
	@tools/setup test
	@$(MAKE) -s build-release
	@tools/parts check

bench: build ## figures beside docker-registry and distribution v3 (BENCH="--quick --docs")
	@tools/setup test
	@tools/setup-go registry
	@python3 tests/bench/bench.py $(BENCH)

fuzz: ## every fuzz target for FUZZ_SECONDS (10) each
	@tools/fuzz

nightly: build ## the long proofs as a table; ARGS=--quick for a short pass: see docs/testing.md
	@tools/setup test
	@tools/nightly $(ARGS)

install: build ## to PREFIX (/usr/local), with man page and systemd unit
	@cmake --install build/release --prefix $(or $(PREFIX),/usr/local)

clean: ## removes build/
	rm -rf build
