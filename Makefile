# Every task of the project. `make help` lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
CONSTRAINTS := requirements/constraints.txt
SOAK_MINUTES ?= 10

# of the linear algebra: two on two cores wait for each other, and a fill takes twice the time
export OPENBLAS_NUM_THREADS := 1

.DEFAULT_GOAL := help
.PHONY: help run test lint format bench soak page page-check docs docs-check e2e lock clean

help: ## List the tasks
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## (.*)/\1\t\2/' | expand -t 14

run: $(VENV)/.run ## Install what is needed and serve page and API on port 7860
	$(BIN)/magic-eraser serve

test: $(VENV)/.dev ## Install what the tests need and run them all
	scripts/test.sh $(BIN)/python

lint: $(VENV)/.dev ## Check style, types, the direction of imports and generated files
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python scripts/generate_docs.py --check
	$(BIN)/python scripts/check_lock.py

format: $(VENV)/.dev ## Rewrite the code in the house's style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

e2e: $(VENV)/.dev ## Only the tests in a real browser (needs chromium)
	$(BIN)/python -m pytest tests/e2e

bench: $(VENV)/.dev ## Measure, and write benchmarks/results/*.json
	$(BIN)/python benchmarks/run.py

soak: $(VENV)/.dev ## Ten minutes (SOAK_MINUTES) of mixed clients and injected faults; exit 1 where something is lost
	SOAK_MINUTES=$(SOAK_MINUTES) $(BIN)/python benchmarks/soak.py

docs: $(VENV)/.dev ## Write the generated parts of docs/
	$(BIN)/python scripts/generate_docs.py

page: ## Build the page from page/ into src/magic_eraser/ui/static (needs Node 20)
	cd page && npm ci --no-audit --no-fund && npm run build

page-check: ## Check the page's types and tests, and that its committed build is fresh
	cd page && npm ci --no-audit --no-fund && npm run check && npm test && npm run build
	@test -z "$$(git status --porcelain src/magic_eraser/ui/static)" \
	  || { git status --short src/magic_eraser/ui/static; echo "The committed page is stale: run make page"; exit 1; }

lock: $(VENV)/.dev ## Resolve requirements/constraints.txt anew
	$(BIN)/uv pip compile -q pyproject.toml --all-extras --universal --python-version 3.11 \
	  --upgrade -c requirements/pins.txt --no-header --no-emit-index-url --no-annotate -o $(CONSTRAINTS)

clean: ## Remove what was built and installed
	rm -rf $(VENV) build dist artifacts .mypy_cache .ruff_cache .pytest_cache .hypothesis page/node_modules

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Magic Eraser needs Python 3.11 or newer; name one with: make PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run: $(VENV)/bin/python pyproject.toml $(CONSTRAINTS)
	$(PIP) install -q -c $(CONSTRAINTS) -e '.[ui,heif]'
	@touch $@

$(VENV)/.dev: $(VENV)/bin/python pyproject.toml $(CONSTRAINTS)
	$(PIP) install -q -c $(CONSTRAINTS) -e '.[ui,heif,postgres,redis,billing,torch,onnx,mat,diffusers,dev]'
	@touch $@ $(VENV)/.run
