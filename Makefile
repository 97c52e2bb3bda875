# One set-up for every job: a virtual environment in .venv with the package and its tools.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
DEMO := runs/demo

.PHONY: setup demo test test-slow test-oldest lint docs bench clean

setup: $(READY)

$(READY): pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade "pip>=24"
	$(BIN)/python -m pip install --quiet --editable ".[dev]"
	touch $@

demo: $(READY)
	$(BIN)/python -m optimizer.pipeline --out $(DEMO)

test: $(READY)
	$(BIN)/python -m pytest -n auto --maxprocesses 4 --max-worker-restart 0  # a new worker would leave the others waiting

test-slow: $(READY)
	$(BIN)/python -m pytest -m slow --timeout 3600

test-oldest: $(READY)
	$(BIN)/python -m benchmarks.oldest  # the oldest versions that pyproject.toml admits, in a temporary environment

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(READY)
	$(BIN)/python docs/build_reference.py build/docs

bench: $(READY)
	$(BIN)/python -m benchmarks.training_step
	$(BIN)/python -m benchmarks.cwru
	$(BIN)/python -m benchmarks.latency
	$(BIN)/python -m benchmarks.optimum
	$(BIN)/python -m benchmarks.learning

clean:
	rm -rf .venv runs build *.egg-info .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
