# Needs Python 3.11 or newer, make and a C library; everything else is fetched into .venv and var.
PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
INSTALL := $(PY) -m pip install --quiet --disable-pip-version-check -c requirements.lock
DATA := $(or $(LIKENESS_DATA_DIR),var)
PACK := $(or $(LIKENESS_PACKS_DIR),$(DATA)/packs)/open/pack.toml

TRAINING := $(DATA)/training
RUN ?= main
IMAGES ?= 16000

.PHONY: setup demo up check test image-test bar bench train train-stop train-status clean

setup: $(VENV)/cpu.stamp $(PACK)

demo: setup
	@$(PY) -m service.stack.demo

up: setup
	@$(PY) -m service up

check: $(VENV)/test.stamp
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	PYTHONPATH=. $(VENV)/bin/lint-imports

test: $(VENV)/test.stamp $(PACK)
	$(PY) -m pytest -q

image-test: $(VENV)/test.stamp
	$(PY) -m pytest -q -m image tests/image

bar: $(VENV)/test.stamp $(PACK)
	@$(PY) -m benchmarks $(BAR)

bench: $(VENV)/test.stamp $(PACK)
	@$(PY) -m benchmarks bench

train: $(VENV)/train.stamp $(PACK) $(TRAINING)/faces/labels.npz
	@if kill -0 $$(cat $(TRAINING)/train.pid 2>/dev/null) 2>/dev/null; then echo "already training"; else \
		nohup nice -n 19 $(PY) -m models.training.train --run $(RUN) --images $(IMAGES) --folder $(TRAINING) \
			--graphs $(DATA)/packs/open >> $(TRAINING)/train.log 2>&1 & \
		echo $$! > $(TRAINING)/train.pid; echo "training $(RUN): make train-status"; fi

train-stop:
	@if kill $$(cat $(TRAINING)/train.pid 2>/dev/null) 2>/dev/null; then echo "state is being written"; \
		else echo "no training is running"; fi

train-status:
	@if kill -0 $$(cat $(TRAINING)/train.pid 2>/dev/null) 2>/dev/null; then echo "training"; else echo "stopped"; fi
	@tail -n 3 $(TRAINING)/train.log
	@tail -n 3 $(TRAINING)/evaluations.csv

$(TRAINING)/faces/labels.npz: | $(VENV)/train.stamp $(PACK)
	@echo "preparing the training faces (two minutes)"
	@$(PY) -m models.training.dataset --graphs $(DATA)/packs/open --out $(TRAINING)/faces

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

$(VENV)/train.stamp: pyproject.toml requirements.lock | $(PY)
	@echo "installing what training needs"
	@$(INSTALL) '.[cpu,train]'
	@touch $@

$(PACK): models/packs/open.toml | $(VENV)/cpu.stamp
	@$(PY) -m models pull open
	@touch $@
