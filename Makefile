# Each target makes the environment it needs. Python 3.11+ and make are all that must be there.
PYTHON ?= python3
BIN := .venv/bin
INSTALL := $(BIN)/pip install --quiet --disable-pip-version-check -c requirements/constraints.txt
export DVC_NO_ANALYTICS := 1

.PHONY: repro test test-slow test-services test-torch lint report sweep ui services services-down lock audit golden clean

repro: .venv/.ready  ## run the pipeline; quick when nothing changed
	@$(BIN)/lgc repro

test: lint  ## everything but what takes minutes; CI runs test-services as well
	@$(BIN)/pytest -q -n auto --dist loadfile --no-loadscope-reorder -m "not slow and not gpu"

test-slow: .venv/.services  ## the checks that take minutes
	@$(BIN)/pytest -q -m "slow"

# The library's own dependencies alone, beside the torch (and with PYTHON=... the Python) that is asked for.
# CUDA builds of torch take gigabytes.
VERSION ?= 2.11.0
TORCH_ENV = .venv-torch-$(VERSION)-$(notdir $(PYTHON))
test-torch:  ## files decode alike in another torch: make test-torch VERSION=2.11.0
	@test -x $(TORCH_ENV)/bin/python || $(PYTHON) -m venv $(TORCH_ENV)
	@$(TORCH_ENV)/bin/pip install --quiet --disable-pip-version-check "torch==$(VERSION)" -e . pytest
	@$(TORCH_ENV)/bin/pytest -q -m "not slow and not gpu" -rs tests/golden tests/fuzz tests/entropy/test_coder.py \
		tests/entropy/test_exact.py tests/entropy/test_tables.py tests/bitstream/test_container.py tests/bitstream/test_codec.py

test-services: .venv/.services  ## the whole pipeline once against PostgreSQL, an S3 store and MLflow
	@$(BIN)/pytest -q -m "slow" tests/pipeline/test_services.py

lint: .venv/.ready
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

report: .venv/.ready  ## write report/index.html from the last evaluation
	@$(BIN)/lgc report

SWEEP ?= sweep=rdp
sweep: .venv/.ready  ## search weights from params.yaml with short trainings; SWEEP="sweep=NAME key=value ..."
	@$(BIN)/lgc sweep $(SWEEP)

ui: .venv/.ready  ## browse the runs
	@$(BIN)/mlflow ui --backend-store-uri sqlite:///mlflow.db --host 127.0.0.1 --port 5000

services: .venv/.services  ## PostgreSQL, an S3 store and an MLflow server on this machine
	@$(BIN)/lgc services up

services-down: .venv/.ready
	@$(BIN)/lgc services down

lock: .venv/.lock  ## write requirements/*.lock again, after a change of constraints.txt or pyproject.toml
	@UV=$(BIN)/uv requirements/lock.sh

audit: .venv/.lock  ## look the locked versions up among known vulnerabilities; fails where one cannot be looked up
	@$(BIN)/pip-audit --strict --require-hashes --disable-pip --requirement requirements/train.lock \
	  --requirement requirements/torch-cuda.lock --requirement requirements/build.lock
	@$(BIN)/pip-audit --strict --require-hashes --disable-pip --requirement requirements/mlflow.lock

# What runs there would run on without its files, and nothing could end it any more. From DVC's cache `make repro` would
# bring results back whose recorded runs are gone; without it, those of earlier commits cannot be checked out any more.
clean:  ## delete results with DVC's cache, checkpoints, sweeps, recorded runs, data of `lgc services`; keep .venv
	@for file in runs/services/*.pid; do \
	  pid=$$(sed -n 's/.*"pid": *\([0-9][0-9]*\).*/\1/p' "$$file" 2>/dev/null); \
	  if [ -n "$$pid" ] && kill -0 "$$pid" 2>/dev/null; then \
	    echo "error: services run in runs/services; end them first: make services-down" >&2; exit 1; \
	  fi; \
	done
	@if LGC_CLUSTER=runs/cluster infra/local/cluster.sh status 2>/dev/null | grep -q ': runs$$'; then \
	  echo "error: a Ray cluster runs in runs/cluster; end it first: infra/local/cluster.sh down" >&2; exit 1; \
	fi
	rm -rf outputs report runs sweeps mlflow.db* mlruns mlartifacts .dvc/cache .dvc/tmp

.venv/.ready: pyproject.toml requirements/constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "lgc needs Python 3.11 or newer")'
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "installing into .venv (a few minutes)"
	@$(INSTALL) --no-compile -e '.[dev]'
	@$(BIN)/python -m compileall -q -j 0 .venv/lib >/dev/null || true  # pip would on one core; some templates are no Python
	@touch $@

.venv/.services: .venv/.ready
	@$(INSTALL) -e '.[services]'
	@touch $@

.venv/.lock: .venv/.ready
	@$(INSTALL) -e '.[lock]'
	@touch $@

golden: .venv/.ready  ## train golden models that are missing, e.g. for a new format version
	@$(BIN)/python -m tests.golden.make
