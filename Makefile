# Commands for developers. Needs only Python 3.11+ and make; the rest is installed into .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PORT ?=
MINUTES ?= 2
RESTARTS ?= 100
# No install scripts are run, and no lock file is written: it would record a registry's address.
NPM_FLAGS := --ignore-scripts --no-package-lock --no-audit --no-fund

# Without cached bytecode, each worker would compile all tests, which takes a twentieth of the run.
unexport PYTHONDONTWRITEBYTECODE

# Two workers per core, since a third of the time is spent waiting for other processes; a worker
# that has finished takes over tests of the others.
WORKERS = $(shell $(PYTHON) -c 'import os; print(min(8, 2 * (os.cpu_count() or 1)))')
PYTEST = -m pytest -n $(WORKERS) --dist worksteal

.DEFAULT_GOAL := help
.PHONY: help run test lowest matrix fields faults ledger bench soak attack agents agent-programs browser man check format lint types contracts wheel clients audit sbom clean

help:  ## list the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 12

# The stamps record the last installation; a change to pyproject.toml triggers a new one.
$(VENV)/run.stamp: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Python 3.11 or newer is required. Choose one with: make PYTHON=python3.12 ..."; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing into $(VENV) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/dev.stamp: $(VENV)/run.stamp
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --group dev
	@touch $@

run: $(VENV)/run.stamp  ## start the server with the simulator; no account needed; PORT=8001 for another port
	@exec $(BIN)/copilot-proxy serve --simulate $(if $(PORT),--port $(PORT))

test: $(VENV)/dev.stamp  ## run the tests; COVERAGE=yes also measures coverage
ifdef COVERAGE
	$(BIN)/coverage erase
	$(BIN)/coverage run $(PYTEST)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report
else
	$(BIN)/python $(PYTEST)
endif

lowest: $(VENV)/dev.stamp  ## run tests with the lowest dependency versions that pyproject.toml allows
	@$(BIN)/python -m tests.lowest

matrix: $(VENV)/dev.stamp  ## try every model on every API and print a table
	@$(BIN)/python -m tests.matrix

fields: $(VENV)/dev.stamp  ## list the request fields and betas of the vendors' SDKs, and what happens to each
	@$(BIN)/python -m tests.sdk_fields

bench: $(VENV)/dev.stamp  ## measure speed and memory; BENCH=--quick takes three minutes, BENCH=--help lists options
	@$(BIN)/python -m benchmarks $(BENCH)

faults: $(VENV)/dev.stamp  ## try every fault between the server and Copilot and print what clients see
	@$(BIN)/python -m tests.faults

ledger: $(VENV)/dev.stamp  ## compare the ledger with 10,000 known charges, and try the budget: two minutes
	@$(BIN)/python -m tests.billing

soak: $(VENV)/dev.stamp  ## run the server under mixed traffic with faults; MINUTES=60 for longer
	@$(BIN)/python -m benchmarks.soak --minutes $(MINUTES)

attack: $(VENV)/dev.stamp  ## kill and stop processes, fill disks, shift clocks, crowd ports; RESTARTS=20 is quicker
	@RESTARTS=$(RESTARTS) $(BIN)/python -m tests.attack $(ATTACKS)

clients: npm-node npm-clients npm-pi_ai npm-official  ## install the clients that some tests need, with npm: see CONTRIBUTING.md

npm-%:
	cd tests/$* && npm install $(NPM_FLAGS)

agents: $(VENV)/dev.stamp agent-programs  ## run coding agents against the server: a question, a tool, refusals; ALL=yes for more
	AGENTS=$(if $(ALL),all,yes) $(BIN)/python $(PYTEST) tests/agents

agent-programs: npm-agents
	@test -x .venv-agents/bin/llm || { $(PYTHON) -m venv .venv-agents \
	  && .venv-agents/bin/python -m pip install --quiet -r tests/agents/requirements.txt; }
ifdef ALL
	@test -x .venv-aider/bin/aider || { $(PYTHON) -m venv .venv-aider \
	  && .venv-aider/bin/python -m pip install --quiet aider-chat==0.86.2; }
	@test -x .venv-gptme/bin/gptme || { $(PYTHON) -m venv .venv-gptme \
	  && .venv-gptme/bin/python -m pip install --quiet gptme==0.35.1; }
endif

browser: $(VENV)/dev.stamp npm-browser  ## try the dashboard in Chromium, which must be installed
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --group browser
	BROWSER_TESTS=yes $(BIN)/python -m pytest -n 2 tests/browser

check: lint types contracts wheel  ## run all checks that a change must pass
	@$(MAKE) --no-print-directory test COVERAGE=yes
	@$(MAKE) --no-print-directory lowest
	@$(MAKE) --no-print-directory soak

audit:  ## check all dependencies against the advisory database of Python packages
	@test -x .venv-audit/bin/pip-audit || { $(PYTHON) -m venv .venv-audit \
	  && .venv-audit/bin/python -m pip install --quiet 'pip-audit>=2.10,<3'; }
	.venv-audit/bin/pip-audit --strict --progress-spinner off .

format: $(VENV)/dev.stamp  ## format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lint: $(VENV)/dev.stamp  ## check formatting and lint
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(VENV)/dev.stamp  ## check types
	$(BIN)/mypy
	$(BIN)/mypy --explicit-package-bases benchmarks tests

contracts: $(VENV)/dev.stamp  ## check the imports between modules
	$(BIN)/lint-imports

wheel: $(VENV)/dev.stamp  ## build the wheel, install it in a new environment and try it
	$(BIN)/python tests/check_wheel.py

man: $(VENV)/dev.stamp  ## write the man page from the help texts
	@$(BIN)/python -m tests.man_page

sbom:  ## write dist/sbom.json: every package that is installed, as CycloneDX
	@test -x .venv-sbom/bin/cyclonedx-py || { $(PYTHON) -m venv .venv-sbom \
	  && .venv-sbom/bin/python -m pip install --quiet 'cyclonedx-bom>=7,<8'; }
	@rm -rf .venv-installed && $(PYTHON) -m venv .venv-installed
	@.venv-installed/bin/python -m pip install --quiet .
	@.venv-installed/bin/python -m pip uninstall --quiet --yes pip setuptools
	@mkdir -p dist
	@# cyclonedx-py cannot read a version that is defined in the code.
	@sed "s/^dynamic = .*/version = \"$$(.venv-installed/bin/copilot-proxy --version | cut -d' ' -f2)\"/" \
	  pyproject.toml > .venv-installed/pyproject.toml
	@.venv-sbom/bin/cyclonedx-py environment --pyproject .venv-installed/pyproject.toml --validate \
	  --output-reproducible --output-file dist/sbom.json .venv-installed/bin/python
	@rm -rf .venv-installed
	@echo "Written to dist/sbom.json."

clean:  ## remove the files created by the other targets
	rm -rf $(VENV) .venv-wheel .venv-audit .venv-agents .venv-aider .venv-gptme .venv-sbom .venv-lowest build dist .coverage .mypy_cache .ruff_cache .pytest_cache
