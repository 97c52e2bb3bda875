# One set-up for every job: a virtual environment in .venv with the package and its tools.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
DEMO := runs/demo

.PHONY: setup demo test test-slow lint bench clean

setup: $(READY)

$(READY): pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade "pip>=24"
	$(BIN)/python -m pip install --quiet --editable ".[dev]"
	touch $@

demo: $(READY)
	$(BIN)/python -m pruning.run --rates 0.1,0.3,0.5,0.7,0.8,0.9 --data simulated --size 32 --round-to 16 \
		--out $(DEMO)/bundle
	$(BIN)/python -m profiling.run --models $(DEMO)/bundle --out $(DEMO)/gateway.json

test: $(READY)
	$(BIN)/python -m pytest

test-slow: $(READY)
	$(BIN)/python -m pytest -m slow --timeout 3600

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(READY)
	$(BIN)/python -m benchmarks.training_step
	$(BIN)/python -m benchmarks.cwru
	$(BIN)/python -m benchmarks.latency
	$(BIN)/python -m benchmarks.optimum

clean:
	rm -rf .venv runs build *.egg-info .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
