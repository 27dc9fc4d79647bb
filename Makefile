# Needs python3 (3.11 or newer), pip and make; everything else goes into $(VENV).
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
export UV_HTTP_TIMEOUT ?= 180
export UV_PYTHON_DOWNLOADS := never

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo local test test-fast lint format docs bench constraints clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/.installed-demo ## Run a batch inference job from an Airflow Dag, on the local Snowflake
	@$(BIN)/python scripts/demo.py

local: $(VENV)/.installed-demo ## Start the local Snowflake on 127.0.0.1 and print the connection to it
	@$(BIN)/python -m airflow_provider_snowflake_batch.local

test: test-fast ## Run every test: the unit tests, then the end-to-end tests
	$(BIN)/python -m pytest -m slow

test-fast: $(VENV)/.installed-dev ## Run the unit tests
	$(BIN)/python -m pytest -m "not slow"

lint: $(VENV)/.installed-dev ## Check style (ruff) and types (mypy --strict)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/.installed-dev ## Rewrite the code in the project's style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(VENV)/.installed-docs ## Build the documentation into docs/_build/html; a warning is an error
	$(BIN)/python -m sphinx -W --keep-going -q -b html docs docs/_build/html
	@echo "Open docs/_build/html/index.html"

bench: $(VENV)/.installed-bench ## Measure what parsing, inference, waiting and the local Snowflake cost
	$(BIN)/python -m benchmarks

constraints: $(VENV)/.uv ## Resolve constraints.txt anew, with the newest releases that fit
	$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --all-extras --no-annotate \
		--no-emit-index-url --no-emit-find-links --custom-compile-command "make constraints" \
		--output-file constraints.txt pyproject.toml

clean: ## Remove everything that the other targets made
	rm -rf $(VENV) docs/_build dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis

# ensurepip is missing on some systems that have pip, hence --without-pip and pip --python.
$(VENV)/.uv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "This project needs Python 3.11 or newer, but $(PYTHON) is $$($(PYTHON) -V 2>&1); run make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@echo "Creating $(VENV)"
	@$(PYTHON) -m venv --without-pip $(VENV)
	@$(PYTHON) -m pip --python $(BIN)/python install --quiet uv
	@touch $@

# Bytecode is compiled at once because PYTHONDONTWRITEBYTECODE would have every Airflow process compile it again.
$(VENV)/.installed-%: pyproject.toml constraints.txt | $(VENV)/.uv
	@echo "Installing the packages for '$*' into $(VENV)"
	@$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python -c constraints.txt -e '.[$*]'
	@touch $@
