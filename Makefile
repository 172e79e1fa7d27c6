# rnnbench. `make demo` and `make test` set everything up on a fresh machine with Python 3.11-3.13, git and make.
SHELL := /bin/bash
PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3.13 || command -v python3)
# A CPU-only user saves gigabytes with: make .venv TORCH_INDEX=https://download.pytorch.org/whl/cpu
TORCH_INDEX ?=
# Which build of torch, and with it which of NVIDIA's packages, is the machine's affair: the lock leaves both out.
TORCH := 2.13.0
UV := 0.13.9
WORKERS ?= 2
# Of `make gate`: NOTE=--check writes nothing and fails where today's source is not noted. Of `make baseline`: MOVED=--moved.
NOTE ?=
MOVED ?=
# Of `make bench`: BENCH="--write docs/speed.md" puts its tables there.
BENCH ?=
BIN := .venv/bin
LOCK = build/lock/bin/uv pip compile -q --no-header --no-annotate --universal --python-version 3.11 pyproject.toml \
  --extra dev -c build/lock/torch.txt -c build/lock/pinned.txt
export OMP_NUM_THREADS ?= 1
export PIP_DISABLE_PIP_VERSION_CHECK ?= 1

.DEFAULT_GOAL := help
.PHONY: help demo test check test-slow coverage bench gate baseline gate-runs lint types fast lock clean FORCE

help:  ## this list
	@grep -E '^[a-z.-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

# The environment is remade when the lock or the project's metadata changes, or when its Python is gone.
.venv: .venv/.ready
.venv/.ready: requirements.lock pyproject.toml
	@echo "setting up .venv (a few minutes the first time) ..."
	@"$(PYTHON)" -c 'import sys; sys.exit(not (3,11) <= sys.version_info[:2] < (3,14))' || { echo "rnnbench needs Python 3.11 to 3.13; set PYTHON=/path/to/python3.11"; exit 2; }
	rm -rf .venv
	"$(PYTHON)" -m venv .venv
	$(BIN)/pip install -q --require-hashes --no-deps -r requirements.lock
	$(BIN)/pip install -q $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) torch==$(TORCH)
	$(BIN)/pip install -q --no-deps --no-build-isolation -e .
	@touch .venv/.ready

demo: .venv  ## train a small leaderboard and a forecast on embedded data, print them, write a report page (3 minutes on 2 cores)
	@$(BIN)/rnnbench sweep experiment=quickstart
	@$(BIN)/rnnbench sweep experiment=quickstart_forecast
	@$(BIN)/rnnbench leaderboard
	@$(BIN)/rnnbench predictions quickstart_forecast
	@$(BIN)/rnnbench report
	@echo
	@echo "Open results/tables/report.html in a browser: the leaderboard with every run, its curves and its failures."
	@echo "Next: $(BIN)/rnnbench list axes"
	@echo "      $(BIN)/rnnbench run cell=lstm peephole=on depth=2 direction=bidirectional dataset=digits seed=0"
	@echo "      $(BIN)/rnnbench sweep cell=gru,mgu dataset=adding \"seed=range(3)\"   (then: leaderboard, show RUN)"
	@echo "      $(BIN)/rnnbench sweep experiment=own_series dataset.path=YOURS.csv"

test: .venv  ## every test but the slow and the GPU ones (under 15 minutes)
	$(BIN)/python -m pytest -n $(WORKERS) -m "not slow and not gpu"

check: .venv lint types fast  ## lint, types, fast tests (2 minutes)

lint:
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types:
	$(BIN)/mypy

fast:
	$(BIN)/python -m pytest -n $(WORKERS) -m "not slow and not gpu and not integration"

test-slow: .venv  ## the slow tests
	$(BIN)/python -m pytest -m slow

coverage: export COVERAGE_FILE = $(CURDIR)/.coverage
coverage: .venv  ## the tests with the coverage of src; fails below 90 %
	$(BIN)/python -m coverage erase
	$(BIN)/python -m pytest -n $(WORKERS) -m "not slow and not gpu" --cov=rnnbench --cov-report=
	$(BIN)/python -m coverage report --include="src/rnnbench/*" --fail-under=90

bench: .venv  ## speeds and memory on this machine, as ratios measured interleaved, and what a run costs (15 minutes)
	$(BIN)/python -m rnnbench.bench $(BENCH)

gate: .venv gate-runs  ## every cell and embedded dataset, tiny, set against results/published/baseline (1 minute)
	$(BIN)/rnnbench compare baseline build/gate --gate --exact
	$(BIN)/python -m rnnbench.bench.gate note build/gate $(NOTE)

baseline: .venv gate-runs  ## the same runs published as the baseline: after a new cell, dataset or version
	$(BIN)/python -m rnnbench.bench.gate publish build/gate $(MOVED)

gate-runs: .venv
	rm -rf build/gate
	$(BIN)/python -m rnnbench.bench.gate files build/gate
	$(BIN)/rnnbench sweep experiment=baseline --results build/gate

lock:  ## write requirements.lock, with the sha256 of every file, from pyproject.toml; what it pins already stays: rm it to move all
	rm -rf build/lock && "$(PYTHON)" -m venv build/lock && build/lock/bin/pip install -q uv==$(UV)
	touch requirements.lock  # where there is none
	echo "torch==$(TORCH)" > build/lock/torch.txt
	sed -nE 's/^([A-Za-z0-9._-]+==[^ ;]+).*/\1/p' requirements.lock > build/lock/pinned.txt
	$(LOCK) > build/lock/all.txt
	$(LOCK) --generate-hashes -o requirements.lock \
	  $$(sed -nE 's/^(torch|triton|nvidia[a-z0-9-]*|cuda[a-z0-9-]*)==.*/--no-emit-package \1/p' build/lock/all.txt)

clean:  ## remove the environment and caches, never results
	rm -rf .venv .mypy_cache .ruff_cache .hypothesis build dist
