# make demo   the sample place, end to end, and its map in the browser; needs python3 (3.11 or newer), python3-venv and make
# make test   everything: linters, types, import floors, the whole suite (installs Chromium, a CJK font, pango and PostGIS with apt)
# make soak   kill -9 at 50 random moments of load, publish, migrate and backup, on both databases; of the server; full disks
# make docs   the pages of docs/ as a site in site/
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO_DIR ?= demo
PORT ?= 8000

.PHONY: help install demo system test lint bench soak docs clean

help:
	@sed -n 's/^# //p' Makefile

# The runtime and the optional compiled loops: all that the demo needs.
$(VENV)/.demo: setup.cfg pyproject.toml
	@echo "gridgis: making $(VENV) and installing what the program needs (a minute or two) ..."
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[fast]'
	@touch $@

$(VENV)/.develop: $(VENV)/.demo
	@echo "gridgis: installing the test tools ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[fast,postgis,print,scale,test]'
	@touch $@

install: $(VENV)/.develop

demo: $(VENV)/.demo
	@echo "gridgis: making the sample, running every step, opening the map (Ctrl-C stops it) ..."
	@$(BIN)/gridgis demo $(DEMO_DIR) --port $(PORT)

# Chromium and a CJK font for the browser tests, PostgreSQL with PostGIS for those of the store, pango for printed boards.
system:
	@sh tests/install_system_packages.sh

lint: install
	@echo "gridgis: ruff, mypy, import floors ..."
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

test: system install lint
	@echo "gridgis: the test suite ..."
	@$(BIN)/python -m pytest -n auto --dist worksteal

# The peers that are measured beside ours.
$(VENV)/.bench: $(VENV)/.develop
	@echo "gridgis: installing the peers of the benchmarks ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[fast,postgis,print,scale,test,bench]'
	@touch $@

bench: $(VENV)/.bench
	@for b in benchmarks/[a-z]*.py; do echo "== $$b"; $(BIN)/python $$b || exit 1; done

soak: system install
	@$(BIN)/python tests/crash.py --moments 50

docs: install
	@$(BIN)/mkdocs build --strict

clean:
	rm -rf $(VENV) build dist site *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
