# Every target sets itself up: a virtual environment in .venv with the versions of
# requirements.lock. Nothing but Python 3.11 or newer (with venv) and make is needed.

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
OLIST ?= ../shared/data/olist

# PYTHON=... chooses the interpreter; otherwise the first of these that is new enough.
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3; do \
	command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	2>/dev/null && { echo $$p; break; }; done)

.DEFAULT_GOAL := help
.PHONY: help demo olist test test-slow lint bench clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(STAMP): requirements.lock pyproject.toml setup.py
	@test -n "$(PYTHON)" || { echo "error: no Python 3.11 or newer was found: install the system" \
		"package python3 (Debian: python3.11), or give PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "error: $(PYTHON) cannot make" \
		"virtual environments: install the system package python3-venv (Debian: python3.11-venv)" \
		>&2; exit 1; }
	@rm -rf $(VENV)
	$(PYTHON) -m venv $(VENV)
	PIP_DISABLE_PIP_VERSION_CHECK=1 $(BIN)/python -m pip install --quiet -r requirements.lock
	PIP_DISABLE_PIP_VERSION_CHECK=1 $(BIN)/python -m pip install --quiet --no-deps --editable .
	@touch $@

demo: $(STAMP)  ## generate events, build, score; writes data/*.csv and prints the top of the list
	$(BIN)/whyrank demo

olist: $(STAMP)  ## the same on the Olist data set: make olist OLIST=DIR
	$(BIN)/whyrank demo --spec olist --input $(OLIST) --folder data/olist

test: $(STAMP)  ## everything that must pass, doctests included
	$(BIN)/python -m pytest -n 2 -m "not slow"
	$(BIN)/python -m pytest --pyargs whyrank --doctest-modules -q -p no:cacheprovider

test-slow: $(STAMP)  ## the longer simulations
	$(BIN)/python -m pytest -n 2 -m slow

lint: $(STAMP)  ## ruff, mypy, import layers, no package host named
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy -p whyrank
	$(BIN)/lint-imports
	@! git grep -nIiE 'py[p]i\.org|pythonh[o]sted|npm[j]s\.|[d]eb\.debian\.' -- . \
		|| { echo "error: a package host is named in a tracked file" >&2; exit 1; }

bench: $(STAMP)  ## measure against the references in benchmarks/
	$(BIN)/python -m benchmarks.run

clean:  ## remove the environment, caches and everything that runs wrote
	rm -rf $(VENV) build dist src/*.egg-info *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find data mlflow -mindepth 1 ! -name README.md -delete
