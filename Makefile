# Covey. `make` lists what can be made; `make demo` and `make test` set themselves up.
# Needs Python 3.11, Node.js 20 with npm, and the package registries; Go only for the tests against real Kubo, geth, Clef and toxiproxy.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules
.DELETE_ON_ERROR:

PYTHON ?= python3.11
VENV := .venv
TOOLS := .toolchain
BIN := $(VENV)/bin
PY := $(BIN)/python

export PATH := $(CURDIR)/$(BIN):$(CURDIR)/node_modules/.bin:$(PATH)
export SOLCX_BINARY_PATH := $(CURDIR)/$(TOOLS)/solcx
export APE_DATA_FOLDER := $(CURDIR)/$(TOOLS)/ape
# Bytecode is kept: without it, importing torch and transformers takes three times as long.
export PYTHONDONTWRITEBYTECODE :=

SOLC_VERSION := 0.8.37
SOLC := $(TOOLS)/solcx/solc-v$(SOLC_VERSION)
SOLIDITY := $(shell find contracts -name .cache -prune -o -name '*.sol' -print 2>/dev/null)
# Extra arguments for the test runner of one target: make test-node ARGS="-k cid -x"
ARGS ?=
# Profile of foundry.toml with the number of random cases of each forge test: default, ci or long.
FUZZ_PROFILE ?= default
# Processes that run unit tests: one thread and up to 2 GB each.
WORKERS ?= 2
# Processes that run end-to-end and chaos tests. Each starts several daemons and waits for them most of the time.
NETWORK_WORKERS ?= 4
# Which Python tests run: by default all but the long ones.
SELECT ?= not long

##@ Use

.PHONY: help
help: ## Show this list
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-zA-Z0-9_%-]+:.*## / {printf "  %-18s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

.PHONY: setup
setup: $(TOOLS)/python.stamp $(TOOLS)/node.stamp $(SOLC) ## Install everything (done by the other targets as needed)

.PHONY: demo
demo: $(TOOLS)/python.stamp $(TOOLS)/node.stamp ## Run one task on a local network, from posting to payout (ARGS go to `covey demo`)
	$(BIN)/covey demo $(ARGS)

##@ Test

.PHONY: test
test: setup ## Run the suite; `test-long` has more cases of the same tests
	@$(MAKE) --no-print-directory -j2 build
	@$(MAKE) --no-print-directory test-solidity
	@$(MAKE) --no-print-directory test-contracts
	@$(MAKE) --no-print-directory -j3 --output-sync=target test-node test-network test-web

# What the suite needs, side by side: the contracts and forge tests, Debian's prometheus; with Go Kubo, geth, Clef and toxiproxy.
.PHONY: build
build: build-solidity $(if $(shell command -v go),$(TOOLS)/kubo.stamp $(TOOLS)/geth.stamp $(TOOLS)/clef.stamp $(TOOLS)/toxiproxy.stamp,no-go) prometheus libfaketime

.PHONY: build-solidity
build-solidity: $(TOOLS)/compile.stamp
	forge build

.PHONY: no-go
no-go:
	@echo "Go is not installed: the tests against real Kubo, geth, Clef and toxiproxy will be skipped, all others run"

.PHONY: test-solidity
test-solidity: $(TOOLS)/compile.stamp ## Run the forge tests (FUZZ_PROFILE=ci: 10,000 runs of each fuzz test)
	FOUNDRY_PROFILE=$(FUZZ_PROFILE) forge test $(ARGS)

.PHONY: test-contracts
test-contracts: $(TOOLS)/compile.stamp ## Run the ape tests
	ape test -n $(WORKERS) --dist loadfile -m "$(SELECT)" tests/contracts --network ethereum:local:foundry $(ARGS)

.PHONY: test-node
test-node: $(TOOLS)/python.stamp $(TOOLS)/node.stamp ## Run the unit tests of the node
	OMP_NUM_THREADS=1 $(PY) -m pytest -n $(WORKERS) --dist loadgroup --no-loadscope-reorder -m "$(SELECT)" tests/node $(ARGS)

# Both of the following in one run, so that the processes are busy until the end.
.PHONY: test-network
test-network: $(TOOLS)/python.stamp $(TOOLS)/node.stamp
	OMP_NUM_THREADS=1 $(PY) -m pytest -n $(NETWORK_WORKERS) --dist loadgroup --no-loadscope-reorder -m "$(SELECT)" tests/chaos tests/e2e $(ARGS)

.PHONY: test-e2e
test-e2e: $(TOOLS)/python.stamp $(TOOLS)/node.stamp ## Run the end-to-end tests
	OMP_NUM_THREADS=1 $(PY) -m pytest -n $(NETWORK_WORKERS) --dist loadgroup --no-loadscope-reorder -m "$(SELECT)" tests/e2e $(ARGS)

.PHONY: test-web
test-web: $(TOOLS)/python.stamp $(TOOLS)/node.stamp $(TOOLS)/web.stamp ## Run the tests of the web page: its arithmetic, and every flow in Chromium
	cd web && npx vitest run
	$(PY) -m pytest tests/web $(ARGS)

.PHONY: test-chaos
test-chaos: $(TOOLS)/python.stamp $(TOOLS)/node.stamp ## Run whole tasks with killed nodes, reorganisations, full disks and faulty connections
	OMP_NUM_THREADS=1 $(PY) -m pytest -n $(NETWORK_WORKERS) --dist loadgroup --no-loadscope-reorder -m "$(SELECT)" tests/chaos $(ARGS)

.PHONY: test-long
test-long: setup ## Run the long cases (hours): 10,000 per fuzz test, 1,000 kills, all reorganisations, geth in real time
	@$(MAKE) --no-print-directory -j2 build
	@$(MAKE) --no-print-directory test-solidity FUZZ_PROFILE=long
	@$(MAKE) --no-print-directory test-contracts test-node test-network SELECT=long

.PHONY: test-sample
test-sample: setup ## Run the part of the long cases that CI runs
	@$(MAKE) --no-print-directory -j2 build
	@$(MAKE) --no-print-directory test-solidity FUZZ_PROFILE=ci
	@$(MAKE) --no-print-directory test-contracts SELECT=ci
	@$(MAKE) --no-print-directory -j2 --output-sync=target test-node test-network SELECT=ci

##@ Check

.PHONY: lint
lint: $(TOOLS)/python.stamp $(TOOLS)/node.stamp $(TOOLS)/web.stamp $(SOLC) ## Check style (ruff, solhint, forge fmt), the direction of imports, and that generated docs are current
	ruff check .
	ruff format --check .
	lint-imports --no-cache
	$(PY) scripts/reference.py --check
	$(PY) scripts/monitoring_reference.py --check
	$(PY) scripts/web_abi.py --check
	$(PY) scripts/web_vectors.py --check
	cd web && npx eslint . && npx tsc --noEmit
	solhint --noPoster --max-warnings 0 'contracts/**/*.sol' 'tests/solidity/**/*.sol' 'bench/solidity/*.sol'
	forge fmt --check contracts tests/solidity bench/solidity

.PHONY: format
format: $(TOOLS)/python.stamp $(TOOLS)/node.stamp ## Format Python and Solidity
	ruff check --fix .
	ruff format .
	forge fmt contracts tests/solidity bench/solidity

.PHONY: reference
reference: $(TOOLS)/python.stamp ## Write docs/reference: settings and commands from the models, metrics, alerts and log events from the node
	$(PY) scripts/reference.py
	$(PY) scripts/monitoring_reference.py

.PHONY: types
types: $(TOOLS)/python.stamp ## Check types: mypy, strict, on the package, scripts, benchmarks, examples and tests/support, plain on the other tests
	mypy node/covey
	mypy scripts bench examples
	mypy --explicit-package-bases tests/support tests/chaos tests/e2e tests/node tests/contracts tests/web

.PHONY: artifacts-check
artifacts-check: $(TOOLS)/compile.stamp ## Check that the shipped artifacts are what the sources compile to
	$(PY) scripts/artifacts.py check

.PHONY: snapshot
snapshot: $(TOOLS)/compile.stamp ## Measure gas again: writes tests/solidity/snapshots
	forge test --match-contract Gas $(ARGS)

.PHONY: snapshot-check
snapshot-check: $(TOOLS)/compile.stamp ## Check that gas is as in tests/solidity/snapshots
	FORGE_SNAPSHOT_CHECK=true forge test --match-contract Gas $(ARGS)

.PHONY: slither
slither: $(TOOLS)/python.stamp $(TOOLS)/node.stamp $(SOLC) ## Analyse the contracts with slither; CI does, `test` does not
	FOUNDRY_OUT=$(TOOLS)/slither/out FOUNDRY_CACHE_PATH=$(TOOLS)/slither/cache slither . $(ARGS)

.PHONY: mutate
mutate: $(TOOLS)/python.stamp $(TOOLS)/node.stamp $(SOLC) ## Try small mistakes in a contract on the tests: make mutate ARGS="contracts/Staking.sol" (hours)
	$(PY) scripts/mutate.py $(ARGS)

##@ Measure

bench-%: $(TOOLS)/python.stamp $(TOOLS)/node.stamp ## Run bench/%.py; the last line is one JSON object
	@test -f bench/$*.py || { echo "error: no bench/$*.py; there are:" bench/*.py >&2; exit 2; }
	@$(PY) bench/$*.py $(ARGS)

##@ Build

.PHONY: contracts
contracts: $(TOOLS)/compile.stamp ## Compile the contracts and update the artifacts that the package ships
	$(PY) scripts/artifacts.py ship

.PHONY: web
web: $(TOOLS)/python.stamp $(TOOLS)/web.stamp ## Build the web page into node/covey/web/site and print its CID
	$(PY) scripts/web_abi.py
	$(PY) scripts/web_vectors.py
	$(PY) scripts/build_web.py

.PHONY: web-check
web-check: $(TOOLS)/python.stamp $(TOOLS)/web.stamp ## Check that the shipped page is what its sources build to
	$(PY) scripts/build_web.py --check

.PHONY: dist
dist: $(TOOLS)/python.stamp ## Build the wheel and try it in an empty environment (ARGS=--demo runs the demo there too)
	rm -rf dist
	$(BIN)/uv build --quiet --wheel --python $(PY) --no-build-isolation --out-dir dist .
	$(PY) scripts/check_wheel.py dist/*.whl $(ARGS)

.PHONY: kubo
kubo: $(TOOLS)/kubo.stamp ## Build the Kubo that the storage tests run against (needs Go)

$(TOOLS)/kubo.stamp: scripts/build_go.sh tests/support/kubo/go.mod tests/support/kubo/go.sum
	bash scripts/build_go.sh kubo github.com/ipfs/kubo ipfs
	@mkdir -p $(TOOLS) && touch $@

.PHONY: geth
geth: $(TOOLS)/geth.stamp ## Build the geth that the chain tests run against (needs Go)

$(TOOLS)/geth.stamp: scripts/build_go.sh tests/support/geth/go.mod tests/support/geth/go.sum
	bash scripts/build_go.sh geth github.com/ethereum/go-ethereum geth
	@mkdir -p $(TOOLS) && touch $@

.PHONY: clef
clef: $(TOOLS)/clef.stamp ## Build the Clef that the remote signer is tested against (needs Go)

$(TOOLS)/clef.stamp: scripts/build_go.sh tests/support/clef/go.mod tests/support/clef/go.sum
	bash scripts/build_go.sh clef github.com/ethereum/go-ethereum clef
	@mkdir -p $(TOOLS) && touch $@

.PHONY: toxiproxy
toxiproxy: $(TOOLS)/toxiproxy.stamp ## Build the toxiproxy that makes faults on the wire for the chaos tests (needs Go)

$(TOOLS)/toxiproxy.stamp: scripts/build_go.sh tests/support/toxiproxy/go.mod tests/support/toxiproxy/go.sum
	bash scripts/build_go.sh toxiproxy github.com/Shopify/toxiproxy/v2 toxiproxy-server server
	@mkdir -p $(TOOLS) && touch $@

.PHONY: prometheus
prometheus: ## Get Debian's prometheus and promtool for the tests of alerts (no root needed)
	@bash scripts/get_prometheus.sh >/dev/null || echo "no prometheus: the tests of alert rules and of a scrape will be skipped, all others run"

.PHONY: libfaketime
libfaketime: ## Get Debian's libfaketime for the tests with a wrong clock (no root needed)
	@bash scripts/get_libfaketime.sh >/dev/null || echo "no libfaketime: the tests with a wrong clock will be skipped, all others run"

.PHONY: clean
clean: ## Remove what was built, not what was installed
	rm -rf dist build .build contracts/.cache $(TOOLS)/compile.stamp $(TOOLS)/artifacts $(TOOLS)/contract-types $(TOOLS)/inputs $(TOOLS)/forge $(TOOLS)/solc-cache .pytest_cache .mypy_cache .ruff_cache

.PHONY: distclean
distclean: clean ## Remove what was installed too
	rm -rf $(VENV) $(TOOLS) node_modules

##@ Steps of the set-up, each done once for each version of its lock file

$(TOOLS)/lock.stamp: requirements/uv.lock requirements/dev.lock
	@scripts/check_tools.sh python "$(PYTHON)"
	[ -x $(PY) ] || $(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.lock
	$(BIN)/uv pip sync --quiet --python $(PY) --compile-bytecode --require-hashes requirements/dev.lock
	@mkdir -p $(TOOLS) && touch $@

$(TOOLS)/python.stamp: $(TOOLS)/lock.stamp pyproject.toml
	$(BIN)/uv pip install --quiet --python $(PY) --no-deps --no-build-isolation --editable .
	@touch $@

$(TOOLS)/node.stamp: package-lock.json package.json
	@scripts/check_tools.sh node
	npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	@scripts/check_tools.sh foundry
	@mkdir -p $(TOOLS) && touch $@

$(SOLC): scripts/install_solc.sh scripts/solc.js $(TOOLS)/node.stamp
	bash scripts/install_solc.sh $(TOOLS)/solcx
	@touch $@

# Rewritten only when a source came or went, so that a deleted contract also means a compilation.
$(TOOLS)/sources.list: FORCE
	@mkdir -p $(TOOLS); echo $(sort $(SOLIDITY)) | cmp -s - $@ || echo $(sort $(SOLIDITY)) > $@

.PHONY: FORCE

$(TOOLS)/compile.stamp: $(SOLIDITY) $(TOOLS)/sources.list foundry.toml scripts/artifacts.py $(TOOLS)/python.stamp $(SOLC)
	$(PY) scripts/artifacts.py compile
	@touch $@

$(TOOLS)/web.stamp: web/package-lock.json
	@scripts/check_tools.sh node
	cd web && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	@mkdir -p $(TOOLS) && touch $@

# Lock again after a change of pyproject.toml or requirements/dev.in: make lock [ARGS="--upgrade-package web3"]
.PHONY: lock
lock:
	echo 'uv==0.13.9' | $(BIN)/uv pip compile --quiet --generate-hashes --no-header --no-annotate - -o requirements/uv.lock
	$(BIN)/uv pip compile --quiet --all-extras --generate-hashes --no-header --python-version 3.11 requirements/dev.in pyproject.toml -o requirements/dev.lock $(ARGS)
