# Every target sets up what it needs; `make help` lists them.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/pip --disable-pip-version-check -qq

.DEFAULT_GOAL := help
.PHONY: help setup setup-dev peers demo test lint check test-all failures failures-record format bench chaos down lock clean

help: ## What there is to make
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: setup ## A real environment from nothing: one API, two web servers, on a feature branch
	@$(BIN)/python examples/demo.py

peers: setup-dev ## Real chat peers for the tests: Synapse, Errbot, Hubot (the last needs node)
	@$(BIN)/python -m tests.peers.install
	@if command -v npm >/dev/null; then $(BIN)/python -m tests.peers.hubot; fi

test: setup-dev ## The tests that this machine can run, but for the long ones
	@$(BIN)/pytest --numprocesses 4 -m 'not stack and not long'
	@$(BIN)/pytest -m 'stack and not long'

test-all: setup-dev ## Every test that this machine can run
	@$(BIN)/pytest --numprocesses 4 -m 'not stack or patient'
	@$(BIN)/pytest -m 'stack and not patient'

lint: setup-dev ## Format, lint, types and layers
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo

check: lint ## The same, and the fast tests
	@$(BIN)/pytest -q --numprocesses 4 -m 'not long' tests/unit

failures: setup-dev ## How well the recorded failures of Salt are told
	@$(BIN)/python -m tests.failures.table

failures-record: setup-dev ## Produce them anew on the embedded stack
	@$(BIN)/python -m tests.failures.record

format: setup-dev ## Format the code and mend what a linter can mend
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

bench: setup-dev ## Speed against plain Salt, as ratios from one run
	@$(BIN)/python -m bench

chaos: setup-dev ## Kill everything at random moments, 520 rounds of it, and compare all worlds after each
	@$(BIN)/python -m tests.chaos

down: ## Stop everything that `make demo` or `brine up` started
	@if [ -x $(BIN)/brine ]; then $(BIN)/brine down; fi

lock: setup-dev ## Resolve the dependencies anew into the hash-checked lock files
	@$(BIN)/pip-compile --quiet --strip-extras --generate-hashes --no-header --no-annotate --no-emit-index-url \
		--no-emit-find-links --no-emit-trusted-host --allow-unsafe -o requirements.lock pyproject.toml
	@$(BIN)/pip-compile --quiet --strip-extras --generate-hashes --no-header --no-annotate --no-emit-index-url \
		--no-emit-find-links --no-emit-trusted-host --allow-unsafe --extra dev -c requirements.lock \
		-o requirements-dev.lock pyproject.toml
	@for peer in tests/peers/*/requirements.in; do \
		$(BIN)/pip-compile --quiet --strip-extras --generate-hashes --no-header --no-annotate --no-emit-index-url \
			--no-emit-find-links --no-emit-trusted-host --allow-unsafe -o $${peer%.in}.lock $$peer; done

clean: down ## Remove the virtual environment and the state folder
	@rm -rf $(VENV) var

setup: $(VENV)/.ready
setup-dev: $(VENV)/.ready-dev

$(VENV)/.ready: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || { \
		echo "Brinepool needs Python 3.11; name it with make PYTHON=/path/to/python3.11"; exit 1; }
	@echo "Setting up the virtual environment (a minute or two, once)"
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) install --require-hashes -r requirements.lock
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.ready-dev: $(VENV)/.ready requirements-dev.lock
	@$(PIP) install --require-hashes -r requirements-dev.lock
	@touch $@
