# Needs Python 3.11 or later. Everything is installed into .venv.
PYTHON ?= python3
BIN = .venv/bin

.PHONY: demo test check format clean

demo: .venv/installed
	$(BIN)/clearprop demo demo

test: .venv/tested
	$(BIN)/python -m pytest -n auto --dist worksteal

check: .venv/linted
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/basedpyright
	$(BIN)/lint-imports

format: .venv/linted
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf .venv demo

.venv/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "clearprop needs Python 3.11 or later; call make with PYTHON=python3.12")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip

.venv/installed: .venv/bin/python pyproject.toml
	$(BIN)/python -m pip install --quiet --editable .
	@touch $@

.venv/tested: .venv/installed
	$(BIN)/python -m pip install --quiet --group test
	@touch $@

.venv/linted: .venv/installed
	$(BIN)/python -m pip install --quiet --group lint
	@touch $@
