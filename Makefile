# The front door. Each target says what it does with `make help`.
JOBS ?= $(shell nproc)
PRESET ?= release

.PHONY: help build run demo test test-unit test-api test-clients check bench nightly install clean \
        build-% conformance fuzz

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

build: build-release ## the release binary at build/cove

build-%:
	@cmake --preset $* >/dev/null && cmake --build build/$* -j $(JOBS) -- --quiet

check: ## layers, sizes, banned functions, format, both compilers' warnings
	@tools/check

test-unit: build-asan ## unit tests and fuzz corpora under ASan and UBSan
	@ctest --test-dir build/asan --output-on-failure -j $(JOBS)

clean: ## removes build/
	rm -rf build
