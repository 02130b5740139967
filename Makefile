# Everything a person does with a checkout. `make help` explains each target.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help venv demo test test-long test-matrix coverage campaign mutants lint bench clean

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
CACHES := .hypothesis .import_linter_cache .mypy_cache .pytest_cache .pytest_tmp .ruff_cache build dist

# The interpreters to try, in this order; `make venv PYTHON=/path/to/python` tries another one first.
# A distribution builds its Python with profiling, which makes it faster than one built by hand.
PYTHON ?=
PYTHONS := $(PYTHON) /usr/bin/python3 python3 python3.13 python3.12 python3.11
FIT := import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))

# Thousands of tests make databases: in memory where there is room for them, since they would wait for a
# disk's fsync. What is killed in them dies by SIGKILL, which the system's memory outlives as a disk does.
# Of three workers, two have work while one waits for a process, a server or the clock.
MEMORY := $(shell df -k --output=avail /dev/shm 2>/dev/null | awk 'NR == 2 && $$1 > 6000000 { print "/dev/shm" }')
PLACE := $(or $(MEMORY:%=%/aegis-tests-$(shell pwd | cksum | cut -d' ' -f1)),.pytest_tmp)
TESTS := -m pytest --basetemp=$(PLACE) -n 3 --dist worksteal
PYTEST := $(MEMORY:%=TMPDIR=%) $(BIN)/python $(TESTS)
# What each process took, until it is added up; processes of other users write there too.
TRACES := $(PLACE)-traces

# The oldest Celery that is promised, with the kombu and redis-py of its day; over .venv by PYTHONPATH.
OLDEST := .celery-5.6
OLDEST_PACKAGES := celery==5.6.3 kombu==5.6.2 redis==6.4.0
MATRIX := $(addprefix tests/faults/test_,beats.py broker_death.py database_away.py deadly_messages.py \
	federated_kills.py forged_messages.py forked_connections.py full_broker.py hostile_entries.py kills.py \
	outbox_kills.py redaction.py sigterm.py) \
	$(addprefix tests/integration/test_,client_worker.py dead_letters.py federated_worker.py health.py logs.py \
	start_checks.py tasks.py traces.py worker_metrics.py worker_process.py)

help: ## Show this list
	@sed -nE 's/^([a-z-]+):[^#]*## (.*)/\1\t\2/p' $(MAKEFILE_LIST) | while IFS=$$'\t' read -r name text; do \
		printf '  make %-11s %s\n' "$$name" "$$text"; done

venv: $(STAMP) ## Build .venv: every dependency by hash, two embedded servers, this checkout

demo: $(STAMP) ## See all of it work on rows made here, in under two minutes
	@$(BIN)/aegis demo

test: $(STAMP) ## Run every test, the long ones with few repeats
	@trap 'rm -rf $(PLACE)' EXIT; $(PYTEST)

test-long: $(STAMP) ## Run every test with the full numbers
	@trap 'rm -rf $(PLACE)' EXIT; LONG_TESTS=1 $(PYTEST)

test-matrix: $(STAMP) ## Run the tests of the processes on each Celery and each broker that is promised
	@trap 'rm -rf $(PLACE)' EXIT; \
	$(BIN)/python -m pip install --quiet --no-deps --upgrade --target $(OLDEST) $(OLDEST_PACKAGES); \
	for packages in '' '$(OLDEST)'; do for broker in redis valkey; do \
		export TEST_BROKER=$$broker PYTHONPATH=$$packages; \
		$(BIN)/python -c 'import celery, kombu, redis; print(*("%s %s" % (m.__name__, m.__version__) \
			for m in (celery, kombu, redis)), "on", end=" ")'; echo $$broker; \
		$(PYTEST) $(MATRIX); \
	done; done

coverage: $(STAMP) ## Run every test and list the lines and branches of aegis/ that none of them takes
	@trap 'rm -rf $(PLACE) $(TRACES)' EXIT; rm -rf $(TRACES); mkdir -p -m 1777 $(TRACES); \
	failed=0; $(MEMORY:%=TMPDIR=%) COVERAGE_FILE=$(abspath $(TRACES))/.coverage $(BIN)/python -m coverage run $(TESTS) || failed=$$?; \
	$(BIN)/python -m coverage combine --quiet $(TRACES); \
	$(BIN)/python -m coverage report || failed=$$?; \
	$(BIN)/python -m coverage json -q -o - | $(BIN)/python -m tests.branches || failed=$$?; \
	exit $$failed

SECONDS := 600
SEED ?=

campaign: $(STAMP) ## Break everything at random beside a load for SECONDS=, with the seed SEED=
	@$(MEMORY:%=TMPDIR=%) nice $(BIN)/python -m tests.faults.campaign --seconds $(SECONDS) $(SEED:%=--seed %)

mutants: $(STAMP) ## Change the modules that compute, line by line, and tell the changes that no test sees
	@PATH=$(abspath $(BIN)):$$PATH nice mutmut run --max-children 2
	@$(BIN)/python -m tests.survivors

lint: $(STAMP) ## Check style, format, types and the floors
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

bench: $(STAMP) ## Measure everything beside its alternatives and write benchmarks/RESULTS.md, in some 25 minutes
	@$(BIN)/python -m benchmarks

clean: ## Remove .venv, real applications, the caches and what was run here
	@rm -rf $(VENV) $(OLDEST) .schemas mutants $(CACHES) $(PLACE) $(TRACES) .coverage .aegis .aegis-demo
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(STAMP): requirements/dev.txt pyproject.toml
	@python=""; \
	for candidate in $(PYTHONS); do \
		if "$$candidate" -c '$(FIT)' 2>/dev/null; then python=$$candidate; break; fi; \
	done; \
	if [ -z "$$python" ]; then \
		echo "No Python >= 3.11 with venv and ensurepip was found (tried: $(PYTHONS))." >&2; \
		echo "Install one (Debian, Ubuntu: apt-get install python3 python3-venv), or name it:" >&2; \
		echo "make venv PYTHON=/path/to/python3" >&2; \
		exit 1; \
	fi; \
	echo "Building $(VENV) with $$("$$python" --version)"; \
	"$$python" -m venv --clear $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@
