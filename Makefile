# Everything that is done with this project often. `make` alone lists it.

SHELL := bash
.DEFAULT_GOAL := help
.PHONY: help run test bench bench-check bench-report soak h2spec dashboard tools helm4 chart-docs cluster-test image image-lint image-check fmt fmt-check clippy lint doc proto-lint deny audit sbom ci clean

PREPARE := tools/prepare.sh

help: ## List the targets (the default)
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

# `run` and `test` share the dev profile and with it one target directory: what one has compiled the other need not
# compile again. For figures of speed build with --release.
#
# The service warns of PORTCULLIS_ variables that it does not know, and these two are the tools' alone.
run: ## Serve the demo data (ARGS="--listen 127.0.0.1:50052" passes flags)
	@unset PORTCULLIS_TOOLS PORTCULLIS_PG_BIN; \
	exec cargo run --locked -- serve $(ARGS)

# The default members of the workspace: benches/ compiles its peers, and `clippy` sees to it that it does compile.
test: tools ## Run all tests, with what they need made ready first (ARGS="--test grpc" chooses)
	@variables=$$($(PREPARE) env) && eval "$$variables" && \
	unset PORTCULLIS_TOOLS PORTCULLIS_PG_BIN && \
	cargo test --locked $(ARGS)

# The `release` profile, because figures are of the program as it is shipped: the first build takes some ten minutes.
# A machine that does nothing else gives the best figures; ratios suffer less than times. With Cedar, to compare with,
# in both targets, so that they share a build.
BENCH_CRATE := --locked --release --package portcullis-bench --features cedar
BENCH := cargo run $(BENCH_CRATE) --bin portcullis-bench --
BENCH_BUILD := cargo build $(BENCH_CRATE)
bench: ## Measure everything that has a goal, and print the table (ARGS=decisions and the like for a part of it)
	@$(PREPARE) postgres valgrind
	@$(BENCH_BUILD)
	@export PORTCULLIS_TEST_PG_BIN=$$($(PREPARE) postgres-bin) && unset PORTCULLIS_TOOLS PORTCULLIS_PG_BIN && \
	$(BENCH) $(or $(ARGS),table)

bench-check: ## Compare the instructions of the hot paths with benches/instructions.txt (ARGS=--write writes it)
	@$(PREPARE) valgrind
	@$(BENCH_BUILD)
	@$(BENCH) check $(ARGS)

bench-report: ## Measure how time and memory grow, and write docs/performance.md and its plots (ARGS="--folder DIR")
	@$(PREPARE) postgres
	@$(BENCH_BUILD)
	@export PORTCULLIS_TEST_PG_BIN=$$($(PREPARE) postgres-bin) && unset PORTCULLIS_TOOLS PORTCULLIS_PG_BIN && \
	$(BENCH) report $(ARGS)

# One test at a time, each with its figures; ARGS=--release for those of the program as it is shipped.
soak: tools ## Run the tests of outages and abuse at full length, and evict for SOAK hours (SOAK=0.1; default 1)
	@variables=$$($(PREPARE) env) && eval "$$variables" && \
	unset PORTCULLIS_TOOLS PORTCULLIS_PG_BIN && \
	PORTCULLIS_TEST_SOAK=$(or $(SOAK),1) cargo test --locked $(ARGS) --test outage --test abuse --test operations -- --nocapture --test-threads=1

h2spec: tools ## Run h2spec against the server, and compare what fails with tests/abuse/h2spec.txt
	@variables=$$($(PREPARE) env) && eval "$$variables" && \
	unset PORTCULLIS_TOOLS PORTCULLIS_PG_BIN && \
	cargo test --locked --test abuse h2spec -- --nocapture

# A test renders it and compares; this is the same test, which writes it first.
dashboard: ## Write helm/portcullis/files/dashboard.json from monitoring/dashboard.yaml
	PORTCULLIS_TEST_WRITE_DASHBOARD=1 cargo test --locked --test monitoring -- --exact dashboard::the_dashboard_is_the_one_of_its_source

tools: ## Make ready what the tests need: a Postgres server's programs, grpcurl, h2spec, promtool, helm, kubeconform
	@$(PREPARE) postgres grpcurl h2spec promtool helm kubeconform valgrind

# Once it is there, `make test` uses both.
helm4: ## Make Helm 4 ready too, and test the chart with it as well
	@$(PREPARE) postgres grpcurl h2spec promtool helm kubeconform helm4
	@$(MAKE) --no-print-directory test ARGS="--test chart"

# Not a part of `ci`, because building Kubernetes takes so long. tools/cluster/README.md says what it is.
cluster-test: tools ## Install the chart on a real Kubernetes with Helm 3 and 4, as root (the first time takes up to an hour)
	@$(PREPARE) helm4
	@tools/cluster/prepare.sh
	@variables=$$($(PREPARE) env) && eval "$$variables" && \
	helms="$$($(PREPARE) path helm) $$($(PREPARE) path helm4)" && \
	cargo build --locked && \
	CLUSTER_PORTCULLIS=$${CARGO_TARGET_DIR:-$$PWD/target}/debug/portcullis HELM_PROGRAMS=$$helms tools/cluster/with.sh tools/cluster/check.sh

chart-docs: ## Write the chart's README from the comments in its values.yaml
	@$(PREPARE) helm-docs
	@docs=$$($(PREPARE) path helm-docs) && "$$docs" --chart-search-root helm --sort-values-order file --log-level warning

fmt: ## Format the code
	cargo fmt --all

fmt-check:
	cargo fmt --all -- --check

clippy:
	cargo clippy --locked --workspace --all-targets -- -D warnings

lint: fmt-check clippy ## Check the format, and run Clippy with warnings as errors

# With private items, because nobody but this project's developers reads the documentation of a service's code.
doc: ## Build the code's documentation, with warnings as errors
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps --document-private-items

proto-lint: ## Check the API's files with buf
	@$(PREPARE) buf
	@buf=$$($(PREPARE) path buf) && "$$buf" lint

# Without the graphs, which are pages long: `cargo tree --invert CRATE` shows who depends on a crate.
deny: ## Check the licences, the bans and the sources of all dependencies
	@$(PREPARE) cargo-deny
	@deny=$$($(PREPARE) path cargo-deny) && "$$deny" --locked check --hide-inclusion-graph licenses bans sources

# A database that cannot be fetched is an error of its own, and not an all-clear.
audit: ## Check the dependencies for known vulnerabilities (fetches the advisory database)
	@$(PREPARE) cargo-deny
	@deny=$$($(PREPARE) path cargo-deny) && "$$deny" --locked check advisories

# What it is built from is the commit and nothing else: .dockerignore lets in what Git keeps, and times are the commit's.
# CONTAINER=podman uses another engine.
IMAGE := portcullis
VERSION = $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
image: ## Build the container image (IMAGE=registry.example/portcullis, CONTAINER=podman, ARGS=--push)
	$(or $(CONTAINER),docker) build \
	    --build-arg VERSION=$(VERSION) \
	    --build-arg REVISION=$$(git rev-parse HEAD) \
	    --build-arg CREATED=$$(git log -1 --format=%cI) \
	    --build-arg SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct) \
	    --tag $(IMAGE):$(VERSION) $(ARGS) .

image-lint: ## Check the Dockerfile with hadolint
	@$(PREPARE) hadolint
	@hadolint=$$($(PREPARE) path hadolint) && "$$hadolint" Dockerfile

# Not in `ci`: it needs a release build, Debian's packages and root.
image-check: ## Run the program that the image ships in a bare root, as the image would
	@tools/image-check.sh

sbom: ## Write what the program is made of, as CycloneDX: target/portcullis.cdx.json
	@$(PREPARE) cargo-cyclonedx
	@tools/sbom.sh

ci: ## Everything that is checked before a change lands
	@.ci/run

clean: ## Remove what was built (not the tools, which other clones use)
	cargo clean
