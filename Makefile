# Everything that can be done here. `make` alone lists it.
# Needs only Python 3.11 to 3.13: the first target that you run installs the rest into .venv.

VENV := .venv/bin
WORKERS ?=
IMAGE ?=
export IMAGE

.DEFAULT_GOAL := help
.PHONY: help install demo up down test lint unit chaos fmt bench bench-api bench-scale docs lock check clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' Makefile

install: .venv/installed ## install everything into .venv (the other targets do it by themselves)

.venv/installed: requirements.lock pyproject.toml deploy/install.sh
	@deploy/install.sh

demo: .venv/installed ## dream on a photograph and show where the picture is (IMAGE=photo.jpg for your own)
	@$(VENV)/python -m deploy.local.demo

up: .venv/installed ## start Redis, S3, the API and the workers, print their addresses and stay (WORKERS=2)
	@$(VENV)/python -m deploy.local.cli up $(if $(WORKERS),--workers $(WORKERS))

down: .venv/installed ## stop what `make up` started, from any terminal
	@$(VENV)/python -m deploy.local.cli down

test: lint unit ## what CI runs: formatting, lint, types, import rules and every test

lint: .venv/installed ## formatting, lint, types and import rules
	$(VENV)/ruff format --check
	$(VENV)/ruff check
	$(VENV)/mypy
	$(VENV)/lint-imports

unit: .venv/installed ## every test, on a real Redis and a real S3 (TESTS="-k tiling" for some)
	$(VENV)/pytest $(TESTS)

chaos: .venv/installed ## break the real stack again and again, and count what is lost (JOBS=200 SECONDS=600 SEED=7)
	$(VENV)/python -m tests.chaos $(if $(JOBS),--jobs $(JOBS)) $(if $(SECONDS),--seconds $(SECONDS)) $(if $(SEED),--seed $(SEED))

fmt: .venv/installed ## format the code and mend what can be mended
	$(VENV)/ruff format
	$(VENV)/ruff check --fix

bench: .venv/installed ## the engine against the bare gradient and a plain reference (12 minutes; SHORT=1: one)
	$(VENV)/python -m tests.benchmarks.engine $(if $(SHORT),--short)

bench-api: .venv/installed ## what the api bears on one core: polls, lists, submissions, streams (needs wrk, two minutes)
	$(VENV)/python -m tests.benchmarks.api.load

bench-scale: .venv/installed ## what a second worker brings, and what the queue adds to a job (some minutes)
	$(VENV)/python -m tests.benchmarks.scale

COMPILE := $(VENV)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-emit-find-links \
	--no-header --python-version 3.11

lock: .venv/installed ## write the lock files from pyproject.toml: ours and, in the same versions, the images'
	$(COMPILE) --extra api --extra worker --extra local --extra dev pyproject.toml -o requirements.lock
	$(COMPILE) -c requirements.lock deploy/docker/tools.in -o deploy/docker/tools.lock
	for extra in api worker worker-gpu; do \
		$(COMPILE) -c requirements.lock --extra $$extra pyproject.toml -o deploy/docker/$$extra.lock || exit 1; \
	done

docs: .venv/installed ## write what is generated from the code: docs/CONFIGURATION.md, the README's parameters
	@$(VENV)/python -m tools.configuration_docs
	@$(VENV)/python -m tools.openapi
	@$(VENV)/python -m tools.dashboard
	@$(VENV)/python -m tools.parameter_docs
	@$(VENV)/python -m tools.log_events

check: ## the whole of CI on this machine, system packages included
	.ci/run

clean: ## remove what was built or cached; the stack's data in .dream and .venv stay
	rm -rf build .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
