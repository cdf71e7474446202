# The recipes that people and CI call. `make` alone lists them.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

CARGO ?= cargo
# Variables of the running test environment, for one recipe line.
ENV := source tests/env/env.sh

##@ Try it

.PHONY: demo demo-down
demo: ## Real Kubernetes, real Keycloak, Keywire and a model server on this machine (root)
	deploy/demo/run

demo-down: ## Stop the demo and everything it started
	tests/env/down

##@ Check

.PHONY: test test-all fmt fmt-check lint lint-rust lint-proxy lint-shell unit mutations fuzz contract contract-matrix crash servers e2e deny
test: ## Everything below, in order; stops whatever servers it had to start
	tests/env/scoped $(MAKE) test-all

test-all: fmt-check lint unit mutations servers contract crash e2e

fmt: ## Format the code
	$(CARGO) fmt

fmt-check: ## Fail when the code is not formatted
	$(CARGO) fmt --check

lint: lint-rust lint-shell ## Clippy with warnings as errors; shellcheck where it is installed

lint-rust: lint-proxy
	$(CARGO) clippy --all-targets -- -D warnings

lint-proxy: ## The sidecar alone: builds without kube, and nothing drags it in again
	$(CARGO) clippy --no-default-features --features proxy --all-targets -- -D warnings
	! $(CARGO) tree --no-default-features --features proxy --edges normal --prefix none | grep -E '^(kube|k8s-openapi)'
	! $(CARGO) tree --all-features --prefix none | grep -E '^(ring|openssl|native-tls) '

lint-shell:
	tests/env/lint

unit: ## Tests without any server of others: units, and attacks on the proxy over raw sockets
	$(CARGO) test --lib --bins --test security
	charts/keywire-crds/sync --check

mutations: ## Take the guards out one by one: some test must notice each
	tests/mutations/run

fuzz: ## Fuzz what the guard reads, 30 s per target (not in CI; FUZZ_SECONDS)
	fuzz/run

contract: ## Tests against a real Keycloak on loopback (left running; stop: tests/env/keycloak down)
	tests/env/keycloak up
	tests/env/ldap up
	$(ENV); $(CARGO) test --test contract

contract-matrix: ## The same against each supported Keycloak, beside one that may run; leaves none behind
	tests/env/matrix $(CARGO) test --test contract

crash: ## The operator dies at every write, and nothing of it is seen afterwards (an API server of its own)
	tests/env/keycloak up
	$(ENV); tests/env/apiserver $(CARGO) test --test crash -- --nocapture

e2e: ## Tests with real pods in a real cluster (root; left running; stop: make env-down)
	tests/env/up
	tests/env/keywire install --debug
	tests/env/images/mlserver.sh
	tests/env/images/mcp.sh
	tests/env/images/slm.sh
	tests/env/images/kserve.sh
	tests/env/images/browser.sh
	tests/env/images/dagster.sh
	tests/env/images/mlflow.sh
	tests/env/images/prefect.sh
	tests/env/images/tensorflow-serving.sh
	$(ENV); $(CARGO) test --test e2e
	$(ENV); $(CARGO) test --test e2e -- --ignored --test-threads=1

.PHONY: rotations
rotations: ## A thousand keys, one after the other, under load; after make e2e
	$(ENV); KEYWIRE_ROTATIONS=1000 $(CARGO) test --test e2e a_key_is_replaced -- --nocapture

servers: ## Real model servers behind the guard, called by real clients (installs them, minutes and 3 GB, the first time)
	tests/env/servers up
	tests/env/servers run $(CARGO) test --test servers

deny: ## Licences, advisories and duplicate crates
	$(CARGO) deny check

##@ Make

.PHONY: crds schemas images install bench-operator bench-proxy bench-reconcile
crds: ## Write the CustomResourceDefinitions from the Rust types
	$(CARGO) run --quiet --bin keywire -- crds --dir crds
	charts/keywire-crds/sync

schemas: ## Write the JSON Schema of the proxy's configuration file from the Rust types
	KEYWIRE_WRITE_SCHEMAS=1 $(CARGO) test --quiet --no-default-features --features proxy --lib the_schema_is_current

images: ## Build the binaries and import their images into the test cluster
	$(CARGO) build --release --locked --bin keywire --bin keywire-operator
	deploy/images/build-proxy
	tests/env/images/keywire.sh

install: ## Install or upgrade Keywire in the test cluster, from its charts
	tests/env/keywire install

bench-reconcile: ## The operator beside the raw Admin API, 1,000 and 10,000 identities (root)
	tests/env/scoped benches/reconcile/run

bench-operator: ## Admission, the policy stream, revocation and first tokens, at their stated sizes (root)
	tests/env/scoped benches/operator/run

bench-proxy: ## The proxy against bare hyper, nginx and Envoy on loopback
	benches/proxy/run

##@ Test environment

.PHONY: env-up env-down env-status env-smoke
env-up: ## Start Kubernetes and Keycloak (root; the first time builds them, minutes)
	tests/env/up

env-down: ## Stop them and leave nothing behind
	tests/env/down

env-status: ## What runs, where, and where the logs are
	tests/env/status

env-smoke: ## Prove that the environment does what the tests need
	tests/env/smoke

##@ Tidy

.PHONY: clean help
clean: ## Remove Cargo's results (the environment's cache, .cache/, is kept)
	$(CARGO) clean

help: ## This list
	@awk 'BEGIN {FS = ":.*## "} \
		/^##@ / {printf "\n%s\n", substr($$0, 5)} \
		/^[a-z0-9-]+:.*## / {printf "  %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
