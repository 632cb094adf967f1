# Everything runs in .venv, which is built once from requirements.lock.
SHELL := /bin/bash
.SHELLFLAGS := -o pipefail -c
PYTHON ?= python3
LOCK := $(shell sha256sum requirements.lock | cut -c1-16)
BUILT := .venv/.built-$(LOCK)
BIN := .venv/bin
export OMP_NUM_THREADS ?= 1

.PHONY: help environment demo real-images test test-slow test-gpu lint format benchmark schemas lock clean

help:          ## what can be made
	@grep -hE '^[a-z-]+: .*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 16

environment: $(BUILT)   ## build .venv from the lock file

$(BUILT):
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))' || \
	  { echo "Python 3.11 or 3.12 is needed, and $(PYTHON) is another: make PYTHON=python3.11"; exit 1; }
	rm -rf .venv
	$(PYTHON) -m venv .venv
	@echo "Installing about 7 GB of packages into .venv; each is named as it comes."
	$(BIN)/pip install --disable-pip-version-check --progress-bar off --require-hashes \
	  -r requirements.lock | awk '/^Collecting|^Installing/ {print substr($$0, 1, 150); fflush()}'
	$(BIN)/pip install --quiet --no-deps --no-build-isolation -e .
	touch $@
	@echo "Done. In each new shell: . .venv/bin/activate"

demo: $(BUILT)          ## the four studies in miniature, on synthetic twins
	$(BIN)/snakemake --configfile config/demo.yaml

real-images: $(BUILT)   ## two studies on real images: make real-images ARCHIVES=/where/they/are
	$(BIN)/snakemake --configfile config/real_images.yaml --config archives=$(ARCHIVES)

test: $(BUILT)          ## all tests but the long simulations
	$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder -m "not slow" tests/workflow tests/slurm tests/unit

test-slow: $(BUILT)     ## the long simulations: type-I errors, coverage
	$(BIN)/pytest --timeout 3600 -m slow

test-gpu: $(BUILT)      ## what only a GPU takes; on a machine that has one
	$(BIN)/pytest -m gpu -s tests/gpu

lint: $(BUILT)          ## ruff, snakefmt, pyright, snakemake --lint
	$(BIN)/ruff check --no-cache .
	$(BIN)/ruff format --no-cache --check .
	$(BIN)/snakefmt --check Snakefile rules
	$(BIN)/pyright
	$(BIN)/snakemake --lint

format: $(BUILT)        ## let the formatters rewrite the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/snakefmt Snakefile rules

benchmark: $(BUILT)     ## each figure as a ratio against a floor or a peer in the same run
	for script in benchmarks/*.py; do $(BIN)/python $$script || exit 1; done

schemas: $(BUILT)       ## write workflow/schemas from the configuration models
	$(BIN)/mammoshift schemas workflow/schemas

lock:          ## resolve the dependencies anew: requirements.lock and envs/ (needs uv)
	uv pip compile pyproject.toml --group dev --generate-hashes --no-emit-index-url \
	  --no-emit-find-links --python-version 3.11 --python-platform x86_64-manylinux_2_28 \
	  --custom-compile-command "make lock" --upgrade --quiet -o requirements.lock
	$(PYTHON) envs/write_environment.py

clean:         ## remove the environment, results and caches
	rm -rf .venv .snakemake results logs .pytest_cache .ruff_cache .hypothesis src/*.egg-info
