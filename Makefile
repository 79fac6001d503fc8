# Every target sets itself up: a virtual environment in .venv with the versions of
# requirements.lock. Nothing but Python 3.11 or newer (with venv) and make is needed.

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
SPARK := $(VENV)/.spark
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input
UV := $(BIN)/uv --system-certs pip install --quiet --python $(BIN)/python --compile-bytecode
OLIST ?= ../shared/data/olist

# PYTHON=... chooses the interpreter; otherwise the first of these that is new enough.
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3; do \
	command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	2>/dev/null && { echo $$p; break; }; done)

# Byte code is kept: else each of the hundreds of processes of a run compiles all that it imports.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help demo olist test test-commands coverage test-training test-engines test-spark test-slow test-faults \
	test-mutations lint bench clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

# Two makes at once in a fresh checkout: one makes the environment, the other waits and finds it made.
# The lock is the system's own, on this file, and ends with whoever holds it.
LOCK := import fcntl, subprocess, sys; lock = open(sys.argv[1]); fcntl.flock(lock, fcntl.LOCK_EX); \
	sys.exit(subprocess.call(sys.argv[2:], pass_fds=[lock.fileno()]))

ifndef ENVIRONMENT_IS_LOCKED
$(STAMP): requirements.lock pyproject.toml setup.py
	@test -n "$(PYTHON)" || { echo "error: no Python 3.11 or newer was found: install the system" \
		"package python3 (Debian: python3.11), or give PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "error:" \
		"$(PYTHON) does not run or is older than Python 3.11: give another one by PYTHON=" \
		>&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "error: $(PYTHON) cannot make" \
		"virtual environments: install the system package" \
		"$$($(PYTHON) -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')" \
		"(or python3-venv)" >&2; exit 1; }
	@$(PYTHON) -c '$(LOCK)' $(firstword $(MAKEFILE_LIST)) \
		$(MAKE) --no-print-directory ENVIRONMENT_IS_LOCKED=1 $@
else
$(STAMP): requirements.lock pyproject.toml setup.py
	@rm -rf $(VENV)
	$(PYTHON) -m venv $(VENV)
# uv installs in a third of the time; where it cannot (a mirror that only pip knows), pip does.
	$(PIP) install --quiet "$$(grep '^uv==' requirements.lock)" \
		&& $(UV) -r requirements.lock || $(PIP) install --quiet -r requirements.lock
	$(PIP) install --quiet --no-deps --no-build-isolation --editable .
	@touch $@
endif

demo: $(STAMP)  ## generate events, build, score; writes data/*.csv and prints the top of the list
	$(BIN)/whyrank demo

olist: $(STAMP)  ## the same on the Olist data set: make olist OLIST=DIR
	$(BIN)/whyrank demo --spec olist --input $(OLIST) --folder data/olist

ANY := not slow and not training and not engines and not spark
COMMANDS := commands and not slow and not engines
# Percent of lines and branches; CONTRIBUTING.md has the figure that was measured.
FLOOR := 74

test: $(STAMP)  ## what must pass on any machine
	$(BIN)/python -m pytest -n 2 --dist loadgroup -m "$(ANY) and not commands"

test-commands: $(STAMP)  ## commands and dbt as processes, bad input, the guides, the package, doctests
	$(BIN)/python -m pytest -n 2 --dist loadgroup -m "$(COMMANDS)"

coverage: $(STAMP)  ## both of these, measuring how much of src they run; fails below the floor
	$(BIN)/python -m pytest -n 2 --dist loadgroup -m "$(ANY)" \
		--cov --cov-report=term --cov-fail-under=$(FLOOR)

test-training: $(STAMP)  ## scorers that are trained, compared, promoted and served, and Olist
	$(BIN)/python -m pytest -n 2 --dist loadgroup -m "training and not slow"

test-engines: $(STAMP)  ## warehouses that are killed, cut off or served
	$(BIN)/python -m pytest -n 2 --dist loadgroup -m "engines and not slow"

$(SPARK): $(STAMP) requirements-spark.lock
	$(PIP) install --quiet --no-deps -r requirements-spark.lock
	@touch $@

# py4j leaves its sockets to the collector, and Spark's own Python warns of what it will drop.
ON_SPARK := -W ignore::ResourceWarning -W ignore::DeprecationWarning \
	-W ignore::pytest.PytestUnraisableExceptionWarning

test-spark: $(SPARK)  ## a Spark cluster on this machine; needs Java 17 or 21
	$(BIN)/python -m pytest -n 2 --dist loadgroup -m "spark and not slow" --durations=12 $(ON_SPARK)

test-slow: $(SPARK)  ## the longer simulations and kills, on Spark too, before a release
	@echo "the longer simulations and kills: longer than make test takes"
	$(BIN)/python -m pytest -n 2 --dist loadgroup -m "slow and not spark"
	$(BIN)/python -m pytest -n 2 --dist loadgroup -m "slow and spark" $(ON_SPARK)
	WHYRANK_TEST_EXAMPLES=5 $(BIN)/python -m pytest -n 2 --dist loadgroup \
		-m "hypothesis and not slow and not training and not spark"

test-faults: $(SPARK)  ## plants faults one by one, and demands that the tests catch them
	@echo "each fault takes from a second to minutes; --only KIND plants some (python -m tests.planted_faults)"
	$(BIN)/python -m tests.planted_faults

test-mutations: $(STAMP)  ## small changes of the decision code, a sample of them: 95% have to be caught
	@echo "a sample of 80 mutants, about a minute each, two at a time; --sample N --seed N --jobs N (python -m tests.mutations)"
	$(BIN)/python -m tests.mutations

lint: $(STAMP)  ## ruff, mypy, import layers, the SQL's style, spelling and words, no package host named
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy -p whyrank
	$(BIN)/lint-imports
	$(BIN)/python -m tests.sql_lint
	git ls-files -z | xargs -0 $(BIN)/codespell
	$(BIN)/python -m tests.docs.words
	@git grep -nIiE 'py[p]i\.org|pythonh[o]sted|npm[j]s\.|[d]eb\.debian\.' -- . >&2; case $$? in \
		0) echo "error: a package host is named in a tracked file" >&2; exit 1;; \
		1) ;; *) echo "error: git could not search the tracked files" >&2; exit 1;; esac

bench: $(STAMP)  ## measure against the references in benchmarks/
	$(BIN)/python -m benchmarks.run
	$(BIN)/python -m benchmarks.learned
	$(BIN)/python -m benchmarks.media

clean:  ## remove the environment, caches and everything that runs wrote
	rm -rf $(VENV) build dist src/*.egg-info *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find data mlflow -mindepth 1 ! -name README.md -delete
