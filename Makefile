# What a developer types. Every target sets up what it needs.
.DEFAULT_GOAL := help
.PHONY: help demo test test-all check format lock evidence peers clean
BIN := .venv/bin

help: ## list the targets
	@grep -hE '^[a-z%-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

.venv/.ready: requirements.lock pyproject.toml scripts/bootstrap.sh
	@./scripts/bootstrap.sh

demo: .venv/.ready ## repair a real bug offline, and refuse three changes that must not get through
	@$(BIN)/councilor demo

# Hundreds of tests start processes of their own; those in the sandbox cannot keep what they compile.
test: .venv/.ready ## all tests but the slow ones, in two processes
	@$(BIN)/python -m compileall -q src
	$(BIN)/pytest -m "not slow" -n 2 --dist worksteal

test-all: .venv/.ready ## all tests
	$(BIN)/pytest

check: .venv/.ready ## format, lint, types, architecture, docs
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest -q tests/unit/test_architecture.py tests/unit/test_docs.py

format: .venv/.ready ## format, and fix what can be fixed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench-%: .venv/.ready ## one benchmark, such as bench-overhead; QUICK=1 for a short one
	@$(BIN)/python benchmarks/$*.py

evidence: .venv/.ready ## the roadmap's criteria and gates with the commands and figures that show them
	@$(BIN)/python benchmarks/evidence.py

peers: ## a separate environment for the programs that benchmarks compare with
	@test -x .peers/bin/python || python3 -m venv .peers
	.peers/bin/python -m pip install --quiet --disable-pip-version-check -r benchmarks/peers.txt

lock: ## write requirements.lock anew from pyproject.toml
	$(BIN)/uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-emit-find-links --no-header --no-annotate --quiet -o requirements.lock

clean: ## remove what was built here
	rm -rf .venv .peers .mypy_cache .ruff_cache .pytest_cache .import_linter_cache dist build
