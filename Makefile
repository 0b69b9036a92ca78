# `make demo` and `make test` make what they need: a virtual environment in .venv with the versions of constraints.txt.
PYTHON ?= $(shell for name in python3.11 python3.12 python3.13 python3 python; do \
	$$name -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null && echo $$name && break; done)
CPU_INDEX ?= https://download.pytorch.org/whl/cpu
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input
JOBS ?= 2

.PHONY: demo test check docs format bench clean

demo: .venv/core.stamp
	$(BIN)/noisewise demo

test: .venv/dev.stamp
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal $(PYTEST)

check: .venv/dev.stamp
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/codespell
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal $(PYTEST)

docs: .venv/docs.stamp
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

format: .venv/dev.stamp
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: .venv/dev.stamp
	$(BIN)/python benchmarks/transcription.py
	$(BIN)/python benchmarks/help.py

clean:
	rm -rf .venv site

# torch alone first, from the index of builds without GPU packages; --retries 1: go on quickly where it is out of reach.
.venv/core.stamp: pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "make: Python 3.11, 3.12 or 3.13 must be on the PATH, but is not; install one" >&2; exit 2; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(PIP) install -q --no-deps --retries 1 -c constraints.txt --extra-index-url $(CPU_INDEX) torch
	$(PIP) install -q -c constraints.txt -e .
	@touch $@

.venv/dev.stamp: .venv/core.stamp
	$(PIP) install -q -c constraints.txt -e '.[dev]'
	@touch $@

.venv/docs.stamp: .venv/core.stamp
	$(PIP) install -q -c constraints.txt -e '.[docs]'
	@touch $@
