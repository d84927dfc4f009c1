# The front door. `make` lists what there is; each target works in a fresh clone.
#
# Settings, as in `make run DATA=/tmp/try LISTEN=127.0.0.1:9000`:
DATA   ?= ./data
LISTEN ?= 127.0.0.1:7878
SOAK   ?= 33

CARGO  ?= cargo
TARGET := $(or $(CARGO_TARGET_DIR),target)

# nextest runs all the tests of all the crates side by side and kills one that hangs, but building it
# takes minutes, which is no way to be greeted. So it is used where it is installed
# (`cargo install --locked cargo-nextest`), and `cargo test` runs the same tests elsewhere.
NEXTEST := $(shell command -v cargo-nextest 2>/dev/null)

ifdef NEXTEST
# Two for each processor: .config/nextest.toml says which tests take two places, and which mostly wait.
export NEXTEST_TEST_THREADS ?= $(shell expr 2 \* $$(getconf _NPROCESSORS_ONLN))
VALKEY_TESTS := JAEGO_REDIS=valkey-server $(CARGO) nextest run --workspace --locked --no-fail-fast -E \
	'(kind(test) & test(/^(redis|redis_faults::(acl|displaced|failover|layout|quarantine|sentinels))::/)) | package(jaego-queue)'
else
VALKEY_TESTS := export JAEGO_REDIS=valkey-server; \
	$(CARGO) test --workspace --locked --no-fail-fast --test it redis && \
	$(CARGO) test --locked --no-fail-fast -p jaego-queue --test it
endif

.DEFAULT_GOAL := help
.PHONY: help run build test bench soak lint clean-data

help: ## Show this list
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-11s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

build: ## Build the binary, optimised: target/release/jaego
	$(CARGO) build --release --locked -p jaego-cli

run: build ## Start a server on ./data with the sample loaded; prints its address and token
	@DATA="$(DATA)" LISTEN="$(LISTEN)" JAEGO="$(TARGET)/release/jaego" exec scripts/run-sample.sh

# The examples in the documentation go first, so that the last summary is that of the tests. Those of the schedules are
# the locks' own, which run them. What speaks to Redis is tried on Valkey as well, where that can be had. All of it is one
# build: a package built by itself would have its dependencies built once more, with fewer of their features. The benchmark
# of the locks does everything once, for a moment, so that it still works when somebody wants its numbers.
test: ## Run every test (installs Redis, Valkey, PostgreSQL, MariaDB and Chromium if they are missing)
	@scripts/needs.sh test console
	$(CARGO) test --workspace --exclude jaego-lock-schedules --locked --doc
	@if scripts/needs.sh valkey; then $(VALKEY_TESTS); else echo 'Without Valkey: what is tried on it is left out.'; fi
ifdef NEXTEST
	$(CARGO) nextest run --workspace --locked --no-fail-fast
else
	$(CARGO) test --workspace --locked --lib --bins --tests --examples --no-fail-fast
endif
	$(TARGET)/debug/examples/lock_speed --once >/dev/null

# The peers of the locks have a lock file and dependencies of their own, and are built here only.
bench: build ## Measure a server and the locks on this machine, beside Redis, PostgreSQL, redis-py and rslock
	@scripts/needs.sh test bench
	$(CARGO) build --release --locked --manifest-path crates/lock/peers/rslock/Cargo.toml --target-dir $(TARGET)/peers
	$(TARGET)/release/jaego bench --docs docs
	$(CARGO) run --release --locked -p jaego-lock --example lock_speed -- --docs docs/LOCKS.md

# Random tests run in the sizes of a long run, in which a process is killed 10,000 times, or in 33 times their everyday size.
# Those marked #[ignore] are too long for every day. A smaller SOAK tries less of everything and is sooner done.
soak: ## Run the tests in their long sizes, the ignored ones too (hours)
	@scripts/needs.sh test console
ifdef NEXTEST
	JAEGO_SOAK=$(SOAK) JAEGO_NO_SKIP=1 $(CARGO) nextest run --profile soak --workspace --locked --release --no-fail-fast --run-ignored all
else
	JAEGO_SOAK=$(SOAK) JAEGO_NO_SKIP=1 $(CARGO) test --workspace --locked --release --no-fail-fast --lib --bins --tests -- --include-ignored
endif

lint: ## Check the format, clippy's advice and the dependencies' licences
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	@CARGO="$(CARGO)" scripts/lock-features.sh
	@CARGO="$(CARGO)" scripts/lock-package.sh
	@scripts/deny.sh

clean-data: ## Delete the sample's data folder
	@DATA="$(DATA)" scripts/clean-data.sh
