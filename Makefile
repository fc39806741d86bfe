# Needs Python 3.11 or newer, make and a C library; a C compiler makes swaps faster. Everything else is fetched
# into .venv and var.
# `make help` lists what there is.
PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
INSTALL := $(PY) -m pip install --quiet --disable-pip-version-check -c requirements.lock
DATA := $(or $(LIKENESS_DATA_DIR),var)
PACK := $(or $(LIKENESS_PACKS_DIR),$(DATA)/packs)/open/pack.toml

TRAINING := $(DATA)/training
RUN ?= main
IMAGES ?= 16000
MINUTES ?= 0

# Without torch the rooms that need it cannot be type-checked; these can.
WITHOUT_TORCH := likeness service worker models/inference models/packs benchmarks/api benchmarks/house benchmarks/jobs \
	benchmarks/scale tests/architecture tests/image tests/service tests/worker tests/models/inference

.PHONY: console docs help setup demo up check test coverage release image-test bar on-device bench train train-cover train-stop train-status clean

help: ## show this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' Makefile | expand -t 14

setup: $(VENV)/cpu.stamp $(PACK) ## make the environment and fetch the open pack

demo: setup ## swap a face into a portrait and a video over HTTP; results in var/demo
	@$(PY) -m likeness demo

up: setup ## run the service on this machine and stay
	@$(PY) -m likeness up

check: $(VENV)/check.stamp ## lint, types, import directions; needs no torch
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	@if $(PY) -c 'import torch' 2>/dev/null; then \
		echo $(VENV)/bin/mypy; $(VENV)/bin/mypy; \
	else \
		echo "torch is not installed: rooms that need it are not type-checked"; \
		$(VENV)/bin/mypy --follow-imports=silent $(WITHOUT_TORCH); \
	fi
	PYTHONPATH=.:clients/python $(VENV)/bin/lint-imports

test: $(VENV)/test.stamp $(PACK) ## all tests but those of the image, with coverage of branches
	$(PY) -m pytest -q --cov

coverage: $(VENV)/test.stamp ## show the coverage of the last `make test`
	@$(PY) -m coverage report --format=markdown

release: $(VENV)/cpu.stamp ## build and check a release in dist/: wheel, sdist, lock with hashes, SBOM
	@$(INSTALL) -e '.[release]'
	@PY=$(abspath $(PY)) .ci/release

image-test: $(VENV)/check.stamp ## build the container image and run it; needs buildah and podman
	$(PY) -m pytest -q -m image tests/image

console: ## build the console from console/ into the service; needs node
	cd console && npm ci --no-fund --no-audit && npm run build

docs: $(VENV)/check.stamp ## build the documents as a site into build/site
	@$(PY) -m pip install --quiet --disable-pip-version-check -c requirements.lock '.[docs]'
	PYTHONPATH=. $(VENV)/bin/mkdocs build --strict --quiet

bar: $(VENV)/test.stamp $(PACK) ## measure a bar of docs/bars.md: make bar BAR=P-1 [ON=bucket,sentinels]
	@$(PY) -m benchmarks $(BAR) --on "$(ON)"

on-device: $(PACK) ## build the page of examples/on_device, also as the console's Live; needs npm
	cd examples/on_device && npm ci --no-fund --no-audit && npm run build -- $(abspath $(dir $(PACK)))
	rm -rf service/pages/live && cp -r examples/on_device/dist service/pages/live

bench: $(VENV)/test.stamp $(PACK) ## the table of frame rates in the README
	@$(PY) -m benchmarks bench

train: $(VENV)/train.stamp $(PACK) $(TRAINING)/faces/labels.npz ## train weights of your own in the background
	@if kill -0 $$(cat $(TRAINING)/train.pid 2>/dev/null) 2>/dev/null; then echo "already training"; else \
		nohup nice -n 19 $(PY) -m models.training.train --run $(RUN) --images $(IMAGES) --minutes $(MINUTES) \
			--folder $(TRAINING) --graphs $(DATA)/packs/open >> $(TRAINING)/train.log 2>&1 & \
		echo $$! > $(TRAINING)/train.pid; echo "training $(RUN): make train-status"; fi

train-cover: $(VENV)/train.stamp $(PACK) $(TRAINING)/faces/labels.npz ## train the cover network in the foreground
	@nice -n 19 $(PY) -m models.training.cover.prepare --packs $(DATA)/packs --folder $(TRAINING)
	@nice -n 19 $(PY) -m models.training.cover.train --folder $(TRAINING)/cover

train-stop: ## end the training; it goes on where it was
	@if kill $$(cat $(TRAINING)/train.pid 2>/dev/null) 2>/dev/null; then echo "state is being written"; \
		else echo "no training is running"; fi

train-status: ## how far the training is
	@if kill -0 $$(cat $(TRAINING)/train.pid 2>/dev/null) 2>/dev/null; then echo "training"; else echo "stopped"; fi
	@tail -n 3 $(TRAINING)/train.log
	@tail -n 3 $(TRAINING)/evaluations.csv

$(TRAINING)/faces/labels.npz: | $(VENV)/train.stamp $(PACK)
	@echo "preparing the training faces (two minutes)"
	@$(PY) -m models.training.material.prepare --graphs $(DATA)/packs/open --out $(TRAINING)/faces

clean: ## remove the environment and what was built; var/ stays
	rm -rf $(VENV) build dist

$(PY):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=...")'
	@echo "making the environment in $(VENV)"
	@$(PYTHON) -m venv $(VENV)

$(VENV)/cpu.stamp: pyproject.toml requirements.lock | $(PY)
	@echo "installing the service's packages"
	@$(INSTALL) -e '.[cpu]'
	@$(PY) -m models kernels
	@touch $@

$(VENV)/check.stamp: pyproject.toml requirements.lock | $(PY)
	@echo "installing the service's packages and what checks it"
	@$(INSTALL) -e '.[cpu,check]'
	@touch $@ $(VENV)/cpu.stamp

$(VENV)/test.stamp: pyproject.toml requirements.lock | $(PY)
	@echo "installing the service's packages and what tests it"
	@$(INSTALL) -e '.[cpu,test]'
	@touch $@ $(VENV)/cpu.stamp $(VENV)/check.stamp

$(VENV)/train.stamp: pyproject.toml requirements.lock | $(PY)
	@echo "installing what training needs"
	@$(INSTALL) -e '.[cpu,train]'
	@touch $@

$(PACK): models/packs/open.toml | $(VENV)/cpu.stamp
	@$(PY) -m models pull open
	@touch $@
