# All commands of this repository; `make` alone lists them.
# Needs only Python 3.11 to 3.13: the first target that you run installs the rest into .venv.

VENV := .venv/bin
WORKERS ?=
IMAGE ?=
NETWORK ?=
WEIGHTS ?=
SHA256 ?=
export IMAGE NETWORK WEIGHTS SHA256

.DEFAULT_GOAL := help
# Two processes, each with its own Redis, S3 and stack. File by file, in order: the longest tests come first.
# One process, as a debugger needs: TESTS="-n 0 -k tiling".
IN_PARALLEL := -n 2 --dist loadfile --no-loadscope-reorder

.PHONY: help install demo up down test test-fast lint pytest chaos compat simulate fuzz fmt bench bench-api bench-gigapixel bench-gpu bench-hostile bench-scale docs lock check clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' Makefile

install: .venv/installed ## install everything into .venv (the other targets do so when needed)

.venv/installed: requirements.lock pyproject.toml deploy/install.sh
	@deploy/install.sh

demo: .venv/installed ## dream on one photograph and print where the result is (IMAGE=photo.jpg NETWORK=googlenet)
	@$(VENV)/python -m deploy.local.demo

up: .venv/installed ## run Redis, S3, the API and the workers until Ctrl-C (WORKERS=2)
	@$(VENV)/python -m deploy.local.cli up $(if $(WORKERS),--workers $(WORKERS))

down: .venv/installed ## stop what `make up` started, from any terminal
	@$(VENV)/python -m deploy.local.cli down

test: lint pytest ## everything that CI runs: lint and every test

test-fast: .venv/installed ## the quick tests, which need neither Redis, S3 nor a browser
	$(VENV)/pytest $(IN_PARALLEL) -m "not service and not browser and not slow" $(TESTS)

lint: .venv/installed ## check formatting, lint, types and import rules
	$(VENV)/ruff format --check
	$(VENV)/ruff check
	$(VENV)/mypy
	$(VENV)/lint-imports

pytest: .venv/installed ## run every test, on a real Redis and S3 (TESTS="-k tiling" for some)
	$(VENV)/pytest $(IN_PARALLEL) $(TESTS)

chaos: .venv/installed ## crash parts of a real stack at random, count lost jobs (JOBS=200 SECONDS=600 SEED=7)
	$(VENV)/python -m tests.chaos $(if $(JOBS),--jobs $(JOBS)) $(if $(SECONDS),--seconds $(SECONDS)) $(if $(SEED),--seed $(SEED))

compat: .venv/installed ## run the tests with other servers, clients and tools (docs/COMPATIBILITY.md)
	$(VENV)/python -m tests.compat

simulate: .venv/installed ## run the protocol under simulated faults (SEEDS=10000; SEED=7 replays one run)
	$(VENV)/python -m tests.simulation $(if $(SEEDS),--seeds $(SEEDS)) $(if $(SEED),--seed $(SEED))

fuzz: .venv/installed ## send odd and damaged requests and files (COUNT=100000 SECONDS=600 SEED=7)
	$(VENV)/python -m tests.fuzz $(if $(COUNT),--count $(COUNT)) $(if $(SECONDS),--seconds $(SECONDS)) $(if $(SEED),--seed $(SEED))

fmt: .venv/installed ## format the code and apply automatic fixes
	$(VENV)/ruff format
	$(VENV)/ruff check --fix

bench: .venv/installed ## compare the engine with a plain reference (16 minutes; SHORT=1: one)
	$(VENV)/python -m tests.benchmarks.engine $(if $(SHORT),--short)

bench-api: .venv/installed ## measure the API on one core (needs wrk; two minutes)
	$(VENV)/python -m tests.benchmarks.api.load

bench-gigapixel: .venv/installed ## dream 40000x25000 within 4 GiB (half an hour, 40 GB of disk; SIZE="8000 12500" for less)
	$(VENV)/python -m tests.benchmarks.engine.gigapixel $(if $(SIZE),--size $(SIZE))

bench-gpu: .venv/installed ## measure the GPU's path, to send us (some minutes; SHORT=1, MIXED=1 for TensorFloat-32)
	$(VENV)/python -m tests.benchmarks.engine.gpu $(if $(SHORT),--short) $(if $(MIXED),--mixed-precision)

bench-hostile: .venv/installed ## measure what honest clients see among 1,000 hostile connections (a minute; SEED=7)
	$(VENV)/python -m tests.benchmarks.api.hostile $(if $(SECONDS),--seconds $(SECONDS)) $(if $(SEED),--seed $(SEED))

bench-scale: .venv/installed ## measure a second worker's gain, the queue's overhead and a rebuild (quarter of an hour)
	$(VENV)/python -m tests.benchmarks.scale
	$(VENV)/python -m tests.benchmarks.scale.shared_dream
	$(VENV)/python -m tests.benchmarks.scale.rebuild

COMPILE := $(VENV)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-emit-find-links \
	--no-header --python-version 3.11

lock: .venv/installed ## write the lock files from pyproject.toml, with equal versions for the images
	$(COMPILE) --extra api --extra worker --extra heif --extra local --extra dev pyproject.toml -o requirements.lock
	$(COMPILE) -c requirements.lock deploy/docker/tools.in -o deploy/docker/tools.lock
	for extra in api worker worker-gpu; do \
		$(COMPILE) -c requirements.lock --extra $$extra pyproject.toml -o deploy/docker/$$extra.lock || exit 1; \
	done
	echo pillow-heif | $(COMPILE) -c requirements.lock --no-deps - -o deploy/docker/heif.lock

docs: .venv/installed ## write the generated docs, api/openapi.json, dashboard and alerts
	@$(VENV)/python -m tools.configuration_docs
	@$(VENV)/python -m tools.openapi
	@$(VENV)/python -m tools.dashboard
	@$(VENV)/python -m tools.parameter_docs
	@$(VENV)/python -m tools.log_events

check: ## run CI on this machine, including system packages
	.ci/run

clean: ## remove build output and caches; keeps .venv and the data in .dream
	rm -rf build .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
