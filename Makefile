# Two commands for everyone: make demo, make test. Each makes .venv on a fresh machine.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
HOME_FOLDER ?= data

.PHONY: help setup demo test slow check bench ui dictionary screenshots constraints clean

help: ## list the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 16

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; ok = (3, 11) <= sys.version_info < (3, 14); sys.exit(None if ok else f"Python 3.11 to 3.13 is needed, not {sys.version.split()[0]}; try: make PYTHON=python3.12 $(MAKECMDGOALS)")'
	$(PYTHON) -m venv $(VENV)
	@# --no-compile: most modules are never imported, and Python compiles those that are
	$(BIN)/python -m pip install --quiet --no-compile --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@

setup: $(STAMP) ## make .venv with everything that development needs

demo: $(STAMP) ## make a phantom collection, materialise it, show what can be asked
	$(BIN)/graindex demo --home $(HOME_FOLDER)

test: $(STAMP) check ## check the code and run the tests, the slow ones left out
	@# a worker for each core; threads within them would only wait for each other
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m "not slow" --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

slow: $(STAMP) ## run the tests that take minutes
	$(BIN)/python -m pytest -m slow

check: $(STAMP) ## format, lint, types, import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(STAMP) ## run the benchmarks; tables on screen, JSON in results/
	$(BIN)/python -m pip install --quiet --no-compile --disable-pip-version-check --constraint constraints.txt --editable '.[dev,peers]'
	$(BIN)/python benchmarks/real_collections.py
	$(BIN)/python benchmarks/vectors.py
	$(BIN)/python benchmarks/vectors.py --precision bfloat16 --copies 1
	$(BIN)/python benchmarks/search.py
	$(BIN)/python benchmarks/checks.py
	$(BIN)/python benchmarks/features.py
	$(BIN)/python benchmarks/lineage.py
	$(BIN)/python benchmarks/measure.py
	$(BIN)/python benchmarks/agreement.py
	$(BIN)/python benchmarks/grain_statistics.py
	$(BIN)/python benchmarks/paper_volume.py
	$(BIN)/python benchmarks/real_particles.py
	$(BIN)/python benchmarks/quality_images.py
	$(BIN)/python benchmarks/quality_duplicates.py
	$(BIN)/python benchmarks/linear_heads.py
	$(BIN)/python benchmarks/emps.py
	$(BIN)/python benchmarks/segment_images.py
	$(BIN)/python benchmarks/view_fusion.py

ui: $(STAMP) ## open the Dagster UI of the home
	$(BIN)/graindex ui --home $(HOME_FOLDER)

dictionary: $(STAMP) ## write docs/data-dictionary.md from schemas/
	$(BIN)/python -m schemas.dictionary

screenshots: $(STAMP) ## take the README's pictures of the Dagster UI anew
	$(BIN)/python -m docs.screenshots

constraints: $(STAMP) ## hold every installed version in constraints.txt
	@{ head -n 1 constraints.txt; $(BIN)/python -m pip freeze --exclude-editable \
	  | sed 's/^\(torch==[0-9.]*\)+.*/\1/' | grep -v '^setuptools==' | sort -f; } > constraints.new
	@mv constraints.new constraints.txt

clean: ## remove .venv and caches; the home stays
	rm -rf $(VENV) build *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
