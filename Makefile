# Every target prepares what it needs; repeats are fast.
PYTHON ?= python3
VENV := .venv
# Processes that run tests at once, three for two cores: many tests wait for hosts and for disks. Each takes
# neighbouring tests, which share fixtures, and at the end a half of what another has left.
JOBS ?= $(shell echo $$(( ($$(nproc 2>/dev/null || echo 2) * 3 + 1) / 2 )))
XDIST := -n $(JOBS) --dist worksteal
BIN := $(VENV)/bin

.PHONY: demo demo-decentralise test test-all test-processes test-servers test-network test-kills quick coverage coverage-erase coverage-part coverage-report coverage-cores kafka-jars prove-certificates prove-mutations prove-network prove-network-kills prove-archives prove-ledger prove-ledger-hosts prove-scale prove-scale-hosts prove-scale-kafka prove-scale-walls prove-scale-storage prove-link prove-sandbox prove-deaths prove-kills prove-properties prove-moves prove-upgrade prove-walls prove-rest check docs console-pictures bench setup lock clean format wheel

demo: setup
	$(BIN)/python -m sample_cordapps.demo

# Identities, the notary and the MGM leave one host for hosts of their own, under load; draws docs/pictures/decentralise.svg.
demo-decentralise: setup
	$(BIN)/python -m sample_cordapps.demo.decentralise --identities $(or $(COUNT),10) \
		--picture docs/pictures/decentralise.svg $(ARGS)

# Tests that need no server, no other host and no toolchain; ARGS with paths runs all that are there.
test: setup-dev
	$(BIN)/python -m pytest $(XDIST) -q $(if $(findstring /,$(ARGS)),,--stage core,plain) $(ARGS)

# Each other stage (tests/support/stages.py), and all of them.
test-processes test-servers test-network test-kills: setup-dev
	$(BIN)/python -m pytest $(XDIST) -q --stage $(@:test-%=%) $(ARGS)

test-all: setup-dev
	$(BIN)/python -m pytest $(XDIST) -q $(ARGS)

# One or two files of each folder of tests, without what is slow: less than a minute on two quiet cores.
quick: setup-dev
	$(BIN)/python -m pytest $(XDIST) -q -m "not slow and not crash and not network and not property" @tests/quick $(ARGS)

# Which lines tests run, also in processes that they start; fails below the minima of tests/coverage.py.
# `coverage-cores` looks at what is to be covered whole, by the tests that are about it.
# In parts: `coverage-part ARGS=tests/rest` adds to what `coverage-erase` has emptied, `coverage-report`
# compares what all parts have run.
coverage:
	$(MAKE) --no-print-directory coverage-erase
	$(MAKE) --no-print-directory coverage-part
	$(MAKE) --no-print-directory coverage-report

coverage-erase: setup-dev
	$(BIN)/python -m coverage erase

coverage-part: setup-dev
	$(BIN)/python -m coverage run -m pytest $(XDIST) -q $(ARGS); ended=$$?; \
		$(BIN)/python -m coverage combine --append --quiet && exit $$ended

coverage-report:
	$(BIN)/python -m tests.coverage $(FLOORS)

coverage-cores:
	$(MAKE) --no-print-directory coverage FLOORS=cores \
		ARGS="$$($(BIN)/python -m tests.support.cores) -m core $(ARGS)"

# Long forms of what tests do with fewer examples.
prove-certificates: setup-dev
	CORDBOX_CERTIFICATES=$(or $(COUNT),300) CORDBOX_SEED=$(or $(SEED),$(shell date +%s)) \
		$(BIN)/python -m pytest -q -s --timeout=3600 tests/certificates

prove-mutations: setup-dev
	CORDBOX_MUTATIONS=$(or $(COUNT),20000) $(BIN)/python -m pytest -q --timeout=3600 tests/cpi/test_cpi_group_policy.py -k mutations

# Tries many courses of a bad network between two clusters, and searches all beginnings of the model
# of links for attacks; needs Maude.
prove-link: setup-dev
	CORDBOX_SCHEDULES=$(or $(COUNT),2000) CORDBOX_SEED=$(or $(SEED),$(shell date +%s)) \
		$(BIN)/python -m pytest -q --timeout=3600 tests/network \
		-k 'bad_network or goes_unnoticed or taken_once'
	CORDBOX_MODELS=whole $(BIN)/python -m pytest -q --timeout=3600 tests/models

# Generated modules, varied builds, refused calls in a row and deaths of a host, of which `test` tries some.
prove-sandbox: setup-dev
	CORDBOX_SMITH_MODULES=$(or $(COUNT),1000) CORDBOX_SMITH_RUNS=40 CORDBOX_IMAGE_BUILDS=20 CORDBOX_RAISING_CALLS=100000 \
		CORDBOX_SURROUNDINGS=7 $(BIN)/python -m pytest -q --timeout=3600 tests/sandbox/test_sandbox_smith.py \
		tests/sandbox/test_images_making.py tests/sandbox/images_of_other_compilers.py \
		tests/sandbox/runtime_state.py tests/sandbox/test_sandbox_host_calls.py \
		tests/toolkit/test_toolkit_reproducible.py

prove-deaths: setup-dev
	CORDBOX_DEATHS=all $(BIN)/python -m pytest $(XDIST) -q --timeout=3600 tests/flow

# Every attack of the gauntlet as often as the command tries it, where `test` tries each once, and every
# spelling of every operation of REST.
prove-walls: setup-dev
	CORDBOX_SPELLINGS=all $(BIN)/python -m pytest -q -n 0 tests/rest/test_rest_permissions.py
	CORDBOX_GAUNTLET=whole $(BIN)/python -m pytest -q -n 0 tests/audit/test_audit_gauntlet.py $(ARGS)

# 20,000 requests that schemathesis makes from the OpenAPI document, to a running host; the seed is printed.
prove-rest: setup-dev
	CORDBOX_REQUESTS=$(or $(COUNT),20000) CORDBOX_SEED=$(or $(SEED),$(shell date +%s)) \
		$(BIN)/python -m pytest -q -s -n 0 --timeout=7200 tests/rest/test_rest_generated_requests.py

# All examples of property tests, of which `test` tries two of five.
prove-properties: setup-dev
	CORDBOX_EXAMPLES=all $(BIN)/python -m pytest $(XDIST) -q --timeout=3600 -m 'property or hypothesis' $(ARGS)

# Deaths of hosts, workers and guests at any time, and two troubles of the machine at once; seeds are printed.
prove-kills: setup-dev
	CORDBOX_KILLS=$(or $(COUNT),200) CORDBOX_CHAOS=$(or $(COUNT),40) $(BIN)/python -m pytest -q -s -n 0 \
		--timeout=7200 tests/e2e $(ARGS)

# Upgrades of a node with many open flows, each killed at a random time; the seed is printed.
prove-upgrade: setup-dev
	UPGRADED_FLOWS=$(or $(COUNT),200) CORDBOX_KILLS=$(or $(KILLS),20) $(BIN)/python -m pytest -q -s -n 0 \
		--timeout=7200 tests/e2e/upgrades_under_kills.py $(ARGS)

# Races for states, kills of processes that share a notary's file, a window's end: each prints its seed and counts.
# ARGS='-k threads' runs one; SEED repeats a run.
prove-ledger: setup-dev
	CORDBOX_RACES=full CORDBOX_SEED=$(or $(SEED),$(shell date +%s)) \
		$(BIN)/python -m pytest -q -s -n 0 --timeout=3600 tests/ledger/test_ledger_races.py \
			tests/ledger/backchain_in_full.py $(ARGS)

# Members of two hosts race for 1,000 states at one notary, while workers of both hosts are killed 300 times.
prove-ledger-hosts: setup-dev
	CORDBOX_RACED_STATES=$(or $(COUNT),1000) CORDBOX_RACE_KILLS=$(or $(KILLS),300) \
		CORDBOX_SEED=$(or $(SEED),$(shell date +%s)) \
		$(BIN)/python -m pytest -q -s -n 0 --timeout=14400 tests/network/test_two_hosts_race.py $(ARGS)

# Hosts on one PostgreSQL database, in full: a line for each of the 16 demands ends a run, with seed, counts and time.
# Its parts: hosts, hosts with `bus = kafka`, the walls, and the tests of storage that else run on SQLite.
# ARGS='-k kills' runs some of a part.
prove-scale:
	$(MAKE) --no-print-directory prove-scale-hosts
	$(MAKE) --no-print-directory prove-scale-kafka
	$(MAKE) --no-print-directory prove-scale-walls
	$(MAKE) --no-print-directory prove-scale-storage

SCALED = CORDBOX_HOST_KILLS=$(or $(COUNT),200) CORDBOX_DATABASE_RESTARTS=$(or $(RESTARTS),10) \
	CORDBOX_DOUBLE_SPENDS=$(or $(SPENDS),1000) CORDBOX_SEED=$(or $(SEED),$(shell date +%s)) \
	SCALED_FLOWS=$(or $(FLOWS),60) SCALED_ZOMBIES=$(or $(ZOMBIES),10) SCALED_MESSAGES=$(or $(MESSAGES),1000) \
	SCALED_NODES=$(or $(NODES),10000) SCALED_BACKLOG=$(or $(BACKLOG),200000)

prove-scale-hosts: setup-dev kafka-jars
	$(SCALED) $(BIN)/python -m pytest -q -s -n 0 --timeout=14400 -m acceptance tests/postgres tests/kafka $(ARGS)

prove-scale-kafka: setup-dev kafka-jars
	$(SCALED) $(BIN)/python -m pytest -q -s -n 0 --timeout=14400 tests/kafka/bus_fleet_in_full.py $(ARGS)

prove-scale-walls: setup-dev
	for mode in shared process; do MODE=$$mode $(BIN)/python -m pytest -q -s -n 0 \
		tests/postgres/gauntlet_on_postgres.py $(ARGS) || exit 1; done

prove-scale-storage: setup-dev
	STORAGE_UNDER_TEST=postgres $(BIN)/python -m pytest $(XDIST) -q --timeout=600 \
		tests/flow tests/ledger tests/notary tests/quotas tests/services \
		$(addprefix tests/network/,test_node_moves.py test_mgm_moves.py test_node_claims.py test_registrations.py \
		test_group_directory.py test_mgm_operations.py test_move_kills.py) $(ARGS)

check: setup-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# A network of 1,000 members over restarts: many minutes.
prove-network: setup-dev
	CORDBOX_NETWORK=$(or $(COUNT),1000) $(BIN)/python -m pytest -q -s -n 0 --timeout=14400 \
		tests/network/test_dynamic_network.py -k over_restarts

# Workers of two hosts are killed at any time while members join and flows talk; the seed is printed.
prove-network-kills: setup-dev
	CORDBOX_KILLS=$(or $(COUNT),200) CORDBOX_KILL_SEED=$(SEED) \
		$(BIN)/python -m pytest -q -s -n 0 --timeout=7200 tests/network/network_kills.py

# Notaries and MGMs move between hosts, rival copies race, hosts are killed while nodes move; the seed is printed.
prove-moves: setup-dev
	CORDBOX_KILLS=$(or $(COUNT),40) CORDBOX_KILL_SEED=$(SEED) \
		$(BIN)/python -m pytest -q -s -n 0 --timeout=7200 tests/network/moves_in_full.py $(ARGS)

prove-archives: setup-dev
	CORDBOX_ARCHIVES=all $(BIN)/python -m pytest -q tests/archives

format: setup-dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: setup-dev
	$(BIN)/python docs/make_reference.py

# A host that settles IOUs, in a minute: what tests compare the console with, and the pictures of the documentation.
# ARGS=--recorded takes them of what that host answered the last time, as after a change of the style. Needs node,
# Chromium, and npm's packages of .ci/run on the PATH.
console-pictures: setup-dev
	$(BIN)/python -m tests.console.pictures docs/pictures $(ARGS)

# A Kafka broker for tests/kafka, from Maven Central (43 MB): nothing of it is shipped.
kafka-jars: build/kafka/libs/.done
build/kafka/libs/.done: tests/kafka/pom.xml
	mvn -q -B -f tests/kafka/pom.xml dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory=$(CURDIR)/build/kafka/libs
	touch $@

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
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-annotate --no-header --extra postgres --extra kafka --extra oidc -c requirements-dev.lock -o deploy/requirements.lock pyproject.toml

clean:
	rm -rf build $(VENV)
