# Each of these installs what it needs (see deploy/prerequisites.sh), then does its work.

# Where rustup puts cargo, for a shell that has not heard of it yet.
export PATH := $(or $(CARGO_HOME),$(HOME)/.cargo)/bin:$(PATH)
# A shell for every line: without one, make looks for commands on the PATH it was called with.
SHELL := /bin/sh
.SHELLFLAGS := -ec

# Of the tests against a real Kafka, by parts of their names: those that have targets of their own, and those that share
# the machine with no other, as they measure it or use all of it. Of the rest two go side by side: one alone leaves more
# than half of two cores idle, and each brings brokers of its own.
LONG := soak_ bench_
ALONE := faults:: isolation::

.PHONY: help demo test faults fuzz soak bench micro-bench webhook-load kafka deploy-check sbom

help: ## Lists these targets (the default).
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 20

demo: ## Shows the whole bridge at work, with nothing to set up: a simulated GREEN-API, a built-in broker. ARGS="--events 5000" passes options.
	@deploy/prerequisites.sh build
	cargo run --release --locked -- demo $(ARGS)

test: ## Runs every check of the code: format, lints, documentation, tests, and the tests against a real Kafka.
	@deploy/prerequisites.sh test
	cargo fmt --all --check
	cargo clippy --all-targets --locked -- -D warnings
	cargo clippy --package chatbridge --no-default-features --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --locked
	@# Twice as many at once as there are cores: most of them wait for other processes and for time to pass.
	cargo test --locked --no-fail-fast --lib --bins --test it -- --include-ignored --test-threads=$$(($$(getconf _NPROCESSORS_ONLN) * 2))
	cargo test --locked --test memory
	cargo test --locked --doc
	cargo test --locked --test kafka -- --ignored --nocapture --test-threads=2 $(LONG:%=--skip %) $(ALONE:%=--skip %)
	cargo test --locked --test kafka -- --ignored --nocapture --test-threads=1 $(LONG:%=--skip %) $(ALONE)
	cargo test --locked --test guard -- --ignored

faults: ## Does every fault to the bridge and a real Kafka, and writes the table of tests/README.md. Takes about 20 minutes.
	@deploy/prerequisites.sh test
	CI=true FAULTS_TABLE=tests/README.md cargo test --locked --test kafka every_fault -- --ignored --nocapture

fuzz: ## Fuzzes the readers of what others send, three targets for ten minutes each, within 256 MiB. FUZZ_SECONDS=20 is quicker.
	@deploy/prerequisites.sh build
	@tests/fuzz/run.sh

soak: ## Simulates the delivery loop for a million events, keeps a real Kafka away for ten minutes, kills both ends of ChatApp, then lets everything go wrong at once for ten minutes; prints the figures.
	@deploy/prerequisites.sh test
	CHATBRIDGE_SIMULATION_EVENTS=1000000 cargo test --release --locked --lib simulation::tests::every -- --nocapture
	cargo test --release --locked --test kafka soak_ -- --ignored --nocapture

bench: ## Measures the bridge beside three others that do the same, with a real Kafka; prints tables, writes target/bench.json and plots beside it. ARGS=--guard only checks the ratios, ARGS=--help lists more.
	@deploy/prerequisites.sh bench
	cargo build --release --locked
	cargo build --release --locked --package chatbridge-bench
	@# Ten thousand instances are as many open files, where a shell often begins with 1024.
	ulimit -n $$(ulimit -Hn); target/release/chatbridge-bench $(ARGS)

micro-bench: ## Times the way from a body to a record, kind by kind, against serde_json.
	@deploy/prerequisites.sh build
	cargo bench --locked --package chatbridge-bench

webhook-load: ## Loads the webhook with wrk, a real Kafka there and away; prints answers a second and how long each took.
	@deploy/prerequisites.sh bench
	cargo test --release --locked --test kafka bench_ -- --ignored --nocapture

kafka: ## Runs a real Kafka on localhost:9092 for use by hand, topics made on first use, until Ctrl-C.
	@deploy/prerequisites.sh test
	@tests/kafka/kafka.sh

deploy-check: ## Has image, unit, package, manifests, alerts and dashboard looked at by the tools that consume them. ARGS=kubernetes does one.
	@deploy/check/run.sh $(ARGS)

sbom: ## Writes the software bill of materials, in CycloneDX: target/sbom/chatbridge.cdx.json.
	@deploy/check/run.sh sbom
