# Every target prepares what it needs; repeats are fast.
PYTHON ?= python3
VENV := .venv
# Processes that run tests at once: many tests wait for hosts and for disks.
JOBS ?= 2
BIN := $(VENV)/bin

.PHONY: demo test quick coverage coverage-cores prove-certificates prove-mutations prove-archives check docs bench setup lock clean format wheel

demo: setup
	$(BIN)/python -m sample_cordapps.demo

test: setup-dev
	$(BIN)/python -m pytest -n $(JOBS) -q $(ARGS)

# One or two files of each folder of tests, without what is slow: less than a minute on two quiet cores.
quick: setup-dev
	$(BIN)/python -m pytest -n $(JOBS) -q -m "not slow and not crash and not network and not property" @tests/quick $(ARGS)

# Which lines tests run, also in processes that they start; fails below the minima of tests/coverage.py.
# `coverage-cores` looks at what is to be covered whole, by the tests that are about it.
CORES := tests/cpi tests/certificates tests/domain tests/flow tests/ledger tests/docs/test_docs_error_codes.py \
	tests/rest/test_rest_pages.py tests/services/test_entity_order.py tests/services/test_ledger_rules.py \
	tests/services/test_merkle.py tests/services/test_ledger_ops.py tests/services/test_notary_databases.py \
	tests/notary/test_notary_batches.py tests/notary/test_notary_server.py
coverage: setup-dev
	$(BIN)/python -m coverage erase
	$(BIN)/python -m coverage run -m pytest -n $(JOBS) -q $(ARGS)
	$(BIN)/python -m coverage combine --quiet
	$(BIN)/python -m tests.coverage $(FLOORS)

coverage-cores:
	$(MAKE) --no-print-directory coverage FLOORS=cores \
		ARGS='$(CORES) -m core $(ARGS)'

# Long forms of what `test` does with fewer examples.
prove-certificates: setup-dev
	CORDBOX_CERTIFICATES=$(or $(COUNT),300) CORDBOX_SEED=$(or $(SEED),$(shell date +%s)) \
		$(BIN)/python -m pytest -q -s --timeout=3600 tests/certificates

prove-mutations: setup-dev
	CORDBOX_MUTATIONS=$(or $(COUNT),20000) $(BIN)/python -m pytest -q --timeout=3600 tests/cpi/test_cpi_group_policy.py -k mutations

check: setup-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

prove-archives: setup-dev
	CORDBOX_ARCHIVES=all $(BIN)/python -m pytest -q tests/archives

format: setup-dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: setup-dev
	$(BIN)/python docs/make_reference.py

bench: setup-dev
	$(BIN)/python -m benchmarks $(ARGS)

# The package to install elsewhere: docs/how-to/install.md. It holds the samples, not their tests.
DIST := dist
wheel: setup
	rm -f $(DIST)/cordbox-*.whl
	$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation --wheel-dir $(DIST) .
	@ls $(DIST)/cordbox-*.whl

# Byte code of the sources, which an editable installation lacks: without it, each command compiles anew.
setup: $(VENV)/.runtime
	@$(BIN)/python -m compileall -q cpi host plugins sample_cordapps sandbox
setup-dev: setup $(VENV)/.dev
.PHONY: setup-dev

$(VENV)/.runtime: requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("cordbox needs Python 3.11 or newer") if sys.version_info < (3, 11) else None'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

$(VENV)/.dev: requirements-dev.lock $(VENV)/.runtime
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	touch $@

# Refresh the locks from pyproject.toml (needs uv on PATH).
lock:
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-annotate --no-header --group build -o requirements.lock pyproject.toml
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-annotate --no-header --group build --group dev -c requirements.lock -o requirements-dev.lock pyproject.toml

clean:
	rm -rf build $(VENV)
