.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.PHONY: help install demo test lint format convergence coordinate-check bench-training bench-metrics gpu clean

help: ## show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-17s %s\n", $$1, $$2}'

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@

install: $(INSTALLED) ## make .venv and install degen into it

demo: $(INSTALLED) ## train flip-flop networks of 1, 2 and 3 bits, measure their degeneracy, draw it
	$(BIN)/python -m launch.train experiment=demo
	$(BIN)/python -m analysis experiment=demo

test: $(INSTALLED) ## run the tests
	$(BIN)/python -m pytest

lint: $(INSTALLED) ## style, types and import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(INSTALLED) ## rewrite the code in the house style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

convergence: $(INSTALLED) ## train every task in both parameterizations at n = 128 and print the table (hours)
	$(BIN)/python -m launch.train experiment=convergence
	$(BIN)/python -m analysis.convergence experiment=convergence

coordinate-check: $(INSTALLED) ## print and draw how far networks move in their first steps, by width (a minute)
	$(BIN)/python -m analysis.coordinate_check

DEVICE ?= cpu
bench-training: $(INSTALLED) ## time a training step beside nn.RNN and JAX, then by seeds, width, batch and time steps on DEVICE
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[bench]'
	$(BIN)/python -m tests.benchmarks.training
	$(BIN)/python -m tests.benchmarks.scaling --device $(DEVICE)

bench-metrics: $(INSTALLED) ## compare the metrics' solvers with public ones, on trained networks (minutes)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[bench]'
	$(BIN)/python -m tests.benchmarks.metrics

# The Python that is there, with the torch that is there: no environment is made, nothing is fetched.
EXPERIMENTS ?= demo
MINUTES ?= 25
EXPORT ?= export
RUNS ?= runs
RESULTS ?= results
gpu: ## with a CUDA machine for MINUTES: tests, benchmarks, then EXPERIMENTS; what is to be kept goes to EXPORT
	$(PYTHON) -m launch.gpu --experiments "$(EXPERIMENTS)" --overrides "$(OVERRIDES)" --minutes $(MINUTES) \
	    --export $(EXPORT) --runs $(RUNS) --results $(RESULTS) $(if $(WHEELS),--wheels $(WHEELS))

clean: ## delete .venv and caches; runs/ and results/ stay
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache *.egg-info
