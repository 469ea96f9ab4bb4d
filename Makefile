# Everything a developer types. Needs only Python 3.11+ and make; the rest goes into .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PORT ?= 8000
MINUTES ?= 2
# No script of a package is run, and no lock file would record the address of a package index.
NPM_FLAGS := --ignore-scripts --no-package-lock --no-audit --no-fund

# A worker a core; whoever is done takes over from the others.
PYTEST := -m pytest -n auto --maxprocesses 8 --dist worksteal

.DEFAULT_GOAL := help
.PHONY: help run test matrix faults bench soak check format lint types contracts wheel clients audit clean

help:  ## list the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 12

# The stamps hold the moment of the last install: a changed pyproject.toml installs again.
$(VENV)/run.stamp: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Python 3.11 or newer is needed; name one with: make PYTHON=python3.12 ..."; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing into $(VENV) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/dev.stamp: $(VENV)/run.stamp
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --group dev
	@touch $@

run: $(VENV)/run.stamp  ## start the server on the simulator: no account needed
	@exec $(BIN)/copilot-proxy serve --simulate --port $(PORT)

test: $(VENV)/dev.stamp  ## run the tests; COVERAGE=yes measures what they reach
ifdef COVERAGE
	$(BIN)/coverage erase
	$(BIN)/coverage run $(PYTEST)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report
else
	$(BIN)/python $(PYTEST)
endif

matrix: $(VENV)/dev.stamp  ## every model on every API, as a table: what answers, and how
	@$(BIN)/python -m tests.matrix

bench: $(VENV)/dev.stamp  ## measure speed and memory; BENCH=--quick takes about three minutes, BENCH=--help tells more
	@$(BIN)/python -m benchmarks $(BENCH)

faults: $(VENV)/dev.stamp  ## what clients see of every fault between the server and Copilot, as a table
	@$(BIN)/python -m tests.faults

soak: $(VENV)/dev.stamp  ## the whole server under mixed traffic while things go wrong; MINUTES=60 for longer
	@$(BIN)/python -m benchmarks.soak --minutes $(MINUTES)

clients:  ## install with npm what some tests run: OpenAI for Node, Codex, Claude Code, pi-ai
	cd tests/node && npm install $(NPM_FLAGS)
	cd tests/clients && npm install $(NPM_FLAGS)
	cd tests/pi_ai && npm install $(NPM_FLAGS)

check: lint types contracts wheel  ## everything that has to hold before a change lands
	@$(MAKE) --no-print-directory test COVERAGE=yes
	@$(MAKE) --no-print-directory soak

audit:  ## ask the advisory database of Python packages about all that an installation brings
	@test -x .venv-audit/bin/pip-audit || { $(PYTHON) -m venv .venv-audit \
	  && .venv-audit/bin/python -m pip install --quiet 'pip-audit>=2.10,<3'; }
	.venv-audit/bin/pip-audit --strict --progress-spinner off .

format: $(VENV)/dev.stamp  ## format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lint: $(VENV)/dev.stamp  ## formatting and lint
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(VENV)/dev.stamp  ## static types
	$(BIN)/mypy

contracts: $(VENV)/dev.stamp  ## which module may import which
	$(BIN)/lint-imports

wheel: $(VENV)/dev.stamp  ## build the wheel, install it in a fresh environment and use it there
	$(BIN)/python tests/check_wheel.py

clean:  ## remove what the targets made
	rm -rf $(VENV) .venv-wheel .venv-audit build dist .coverage .mypy_cache .ruff_cache .pytest_cache
