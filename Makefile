# Needs Python 3.11 or newer, make and a C library; everything else is fetched into .venv and var.
PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
INSTALL := $(PY) -m pip install --quiet --disable-pip-version-check -c requirements.lock
DATA := $(or $(LIKENESS_DATA_DIR),var)
PACK := $(or $(LIKENESS_PACKS_DIR),$(DATA)/packs)/open/pack.toml

.PHONY: setup demo up check test bar bench clean

setup: $(VENV)/cpu.stamp $(PACK)

demo: setup
	@$(PY) -m service.demo

up: setup
	@$(PY) -m service up

check: $(VENV)/test.stamp
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	PYTHONPATH=. $(VENV)/bin/lint-imports

test: $(VENV)/test.stamp $(PACK)
	$(PY) -m pytest -q

bar: $(VENV)/test.stamp $(PACK)
	@$(PY) -m tests.benchmarks $(BAR)

bench: $(VENV)/test.stamp $(PACK)
	@$(PY) -m tests.benchmarks bench

clean:
	rm -rf $(VENV) build likeness.egg-info

$(PY):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=...")'
	@echo "making the environment in $(VENV)"
	@$(PYTHON) -m venv $(VENV)

$(VENV)/cpu.stamp: pyproject.toml requirements.lock | $(PY)
	@echo "installing the service's packages"
	@$(INSTALL) '.[cpu]'
	@touch $@

$(VENV)/test.stamp: pyproject.toml requirements.lock | $(PY)
	@echo "installing the service's packages and what tests it"
	@$(INSTALL) '.[cpu,test]'
	@touch $@ $(VENV)/cpu.stamp

$(PACK): models/packs/open.toml | $(VENV)/cpu.stamp
	@$(PY) -m models pull open
	@touch $@
