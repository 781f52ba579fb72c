# Needs Python 3.11 or later. Everything is installed into .venv.
PYTHON ?= python3
BIN = .venv/bin

.PHONY: demo test lowest latest check format clean

demo: .venv/installed
	$(BIN)/clearprop demo demo

test: .venv/tested
	$(BIN)/python -m pytest -n auto --dist worksteal

# The same with the oldest versions that pyproject.toml allows; scikit-learn 1.9.0 uses what pytest 9 warns of.
lowest: .venv-lowest/installed
	.venv-lowest/bin/python -m pytest -n auto --dist worksteal -W default::pytest.PytestRemovedIn10Warning

# The same with the newest versions of everything, also beyond the upper bounds of pyproject.toml.
latest: .venv-latest/installed
	.venv-latest/bin/python -m pytest -n auto --dist worksteal

check: .venv/linted
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/basedpyright
	$(BIN)/lint-imports

format: .venv/linted
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf .venv .venv-lowest .venv-latest demo

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

.venv-lowest/installed: pyproject.toml
	$(PYTHON) -m venv .venv-lowest
	$(PYTHON) -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["dependencies"], sep="\n")' \
	  | sed 's/>=/==/; s/,.*//' > .venv-lowest/oldest.txt
	.venv-lowest/bin/python -m pip install --quiet --upgrade pip
	.venv-lowest/bin/python -m pip install --quiet --requirement .venv-lowest/oldest.txt --editable . --group test
	@touch $@

.venv-latest/installed: pyproject.toml
	$(PYTHON) -m venv --clear .venv-latest
	.venv-latest/bin/python -m pip install --quiet --upgrade pip
	$(PYTHON) -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["dependencies"], sep="\n")' \
	  | sed 's/[><=!,].*//' > .venv-latest/newest.txt
	.venv-latest/bin/python -m pip install --quiet --upgrade --pre --requirement .venv-latest/newest.txt --group test
	.venv-latest/bin/python -m pip install --quiet --no-deps --editable .
	@touch $@
