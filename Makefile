.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
# Threads of linear algebra that wait for each other are slow beside other processes.
TEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -r s

.PHONY: help install demo paper figures report test test-cluster test-all lint format \
	convergence coordinate-check memory-demand long-training bench-training bench-metrics gpu cluster-up \
	cluster-down clean

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

# SCALE=full (the paper's size) or reduced (two cores, hours). EXPERIMENT=paper, appendix or a single one of theirs.
# LAUNCHER=slurm_gpu trains and LAUNCHER_OF_ANALYSIS analyses on a cluster. CONFIG_DIR holds your configurations.
SCALE ?= full
EXPERIMENT ?= paper
LAUNCHER ?=
LAUNCHER_OF_ANALYSIS ?= slurm_cpu
CONFIG_DIR ?=
OWN := $(if $(CONFIG_DIR),--config-dir $(CONFIG_DIR))
TRAINED := $(OWN) experiment=$(EXPERIMENT) scale=$(SCALE)
# The appendix in a folder of its own: its networks need other settings of DSA (docs/paper.md).
APPENDIX := $(if $(filter appendix standard_% dense_%,$(EXPERIMENT)),appendix)
PLACE := results/$(SCALE)$(if $(APPENDIX),-appendix)
PAPER := $(OWN) results=$(PLACE) 'overrides=["scale=$(SCALE)"]'
DRAWN := $(PAPER) 'experiments=[$(or $(APPENDIX),paper)]'
MEMORY_DEMAND := $(PLACE)/memory_demand_of_tasks

paper: $(INSTALLED) ## list, train, measure and draw all of the paper: make paper SCALE=reduced (LAUNCHER=slurm_gpu on a cluster)
	$(BIN)/python -m launch.status $(TRAINED)
ifeq ($(LAUNCHER),)
	$(BIN)/python -m launch.train $(TRAINED)
	$(BIN)/python -m analysis experiment=$(EXPERIMENT) $(PAPER)
else
	$(BIN)/python -m launch.submit $(TRAINED) hydra/launcher=$(LAUNCHER)
	$(BIN)/python -m launch.status $(TRAINED) --watch
	$(BIN)/python -m analysis.submit experiment=$(EXPERIMENT) $(PAPER) hydra/launcher=$(LAUNCHER_OF_ANALYSIS) --wait
endif
ifeq ($(EXPERIMENT),paper)
	test -f $(MEMORY_DEMAND)/memory_demand.csv || $(BIN)/python -m analysis.diagnostics.memory_demand results=$(MEMORY_DEMAND)
endif
	$(BIN)/python -m analysis.paper $(DRAWN)

figures: $(INSTALLED) ## draw the paper's figures from the tables (9 is computed first); make figure-7 draws one
ifeq ($(APPENDIX),)
	test -f $(MEMORY_DEMAND)/memory_demand.csv || $(BIN)/python -m analysis.diagnostics.memory_demand results=$(MEMORY_DEMAND)
endif
	$(BIN)/python -m analysis.paper report=false $(DRAWN)

figure-9: memory-demand ;

figure-%: $(INSTALLED)
	$(BIN)/python -m analysis.paper report=false 'figures=[$*]' $(DRAWN)

report: $(INSTALLED) ## Table 1, all figures and the report (report.html in results/<scale>/) from the tables
	$(BIN)/python -m analysis.paper $(DRAWN)

# More workers than four have little to do: some files take minutes.
test: $(INSTALLED) ## run the tests but those on a real SLURM (minutes); installs nothing outside .venv
	$(TEST) --doctest-modules degen
	$(TEST) --numprocesses=auto --maxprocesses=4 --dist=loadfile -m "not slurm"

test-cluster: $(INSTALLED) ## run the tests on a real SLURM; installs its Debian packages as root where there is apt-get
	$(BIN)/python -m tests.cluster install
	$(TEST) -m slurm

test-all: $(INSTALLED) ## run all tests: make test, then make test-cluster
	$(MAKE) --jobs=1 --keep-going test test-cluster

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
	$(BIN)/python -m analysis.diagnostics.convergence experiment=convergence

coordinate-check: $(INSTALLED) ## print and draw how far networks move in their first steps, by width (a minute)
	$(BIN)/python -m analysis.diagnostics.coordinate_check

memory-demand: $(INSTALLED) ## how far back each task makes one look: table and Figure 9 (minutes)
	$(BIN)/python -m analysis.diagnostics.memory_demand results=$(MEMORY_DEMAND)

# Resumable: the same command continues. RUNS is where run folders are.
RUNS ?= runs
long-training: $(INSTALLED) ## train the paper's 33 standard conditions at full size: 16 networks each, then 32, then 50 (a day on two cores)
	for seeds in 16 32 50; do \
	    nice $(BIN)/python -m launch.train experiment=long_training seeds=$$seeds runs=$(RUNS) || exit $$?; \
	done

DEVICE ?= cpu
bench-training: $(INSTALLED) ## time a training step beside nn.RNN and JAX, then by seeds, width, batch and time steps on DEVICE
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[bench]'
	$(BIN)/python -m tests.benchmarks.training
	$(BIN)/python -m tests.benchmarks.training --small
	$(BIN)/python -m tests.benchmarks.scaling --device $(DEVICE)

bench-metrics: $(INSTALLED) ## compare the metrics' solvers with public ones, on trained networks (minutes)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[bench]'
	$(BIN)/python -m tests.benchmarks.metrics

# Uses PYTHON as it is: nothing is installed. SKIP_CHECKS=1 leaves out tests and benchmarks.
EXPERIMENTS ?= demo
MINUTES ?= 25
EXPORT ?= export
RESULTS ?= results
gpu: ## on a CUDA machine for MINUTES: tests, benchmarks, then EXPERIMENTS; results and logs go to EXPORT
	$(PYTHON) -m launch.gpu --experiments "$(EXPERIMENTS)" --overrides "$(OVERRIDES)" --minutes $(MINUTES) \
	    --export $(EXPORT) --runs $(RUNS) --results $(RESULTS) $(if $(SKIP_CHECKS),--skip-checks)

cluster-up: $(INSTALLED) ## start a private SLURM on this machine, to try the commands on (root in a Debian container)
	$(BIN)/python -m tests.cluster install
	$(BIN)/python -m tests.cluster up

cluster-down: $(INSTALLED) ## stop it, and the jobs on it
	$(BIN)/python -m tests.cluster down

clean: ## delete .venv and caches; runs/ and results/ stay
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache *.egg-info
