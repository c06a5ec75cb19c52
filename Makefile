.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
# Several threads of linear algebra per process would compete for the cores.
TEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -r s

.PHONY: help install demo paper figures report test test-cluster test-all lint format docs check-statistics \
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

# SCALE=full (the paper's size) or reduced (two cores, hours). EXPERIMENT=paper, appendix, or one of their experiments.
# LAUNCHER=slurm_gpu trains on a cluster, where LAUNCHER_OF_ANALYSIS runs the analyses. CONFIG_DIR is the folder of your configurations.
SCALE ?= full
EXPERIMENT ?= paper
LAUNCHER ?=
LAUNCHER_OF_ANALYSIS ?= slurm_cpu
CONFIG_DIR ?=
CONFIG_OPTION := $(if $(CONFIG_DIR),--config-dir $(CONFIG_DIR))
TRAIN_ARGUMENTS := $(CONFIG_OPTION) experiment=$(EXPERIMENT) scale=$(SCALE)
# The appendix has its own results folder, because its networks need other hyperparameters of DSA (docs/paper.md).
APPENDIX := $(if $(filter appendix standard_% dense_%,$(EXPERIMENT)),appendix)
PAPER_RESULTS := results/$(SCALE)$(if $(APPENDIX),-appendix)
FIGURE_SETTINGS := $(CONFIG_OPTION) results=$(PAPER_RESULTS) 'overrides=["scale=$(SCALE)"]'
# The report compares all settings of DSA (docs/reproduction/plan.md).
METRICS := 'metric=[dsa_settings,pif,pif_unaligned,pif_initial,pif_signed,pif_signed_initial,svcca]'
# Single experiments of the paper share the hyperparameters of DSA too.
ANALYSIS_ARGUMENTS := $(FIGURE_SETTINGS) $(METRICS) share_hyperparameters=true
FIGURE_ARGUMENTS := $(FIGURE_SETTINGS) 'experiments=[$(or $(APPENDIX),paper)]'
MEMORY_DEMAND := $(PAPER_RESULTS)/memory_demand_of_tasks

paper: $(INSTALLED) ## train, analyze and draw the whole paper: make paper SCALE=reduced (LAUNCHER=slurm_gpu on a cluster)
	$(BIN)/python -m launch.status $(TRAIN_ARGUMENTS)
ifeq ($(LAUNCHER),)
	$(BIN)/python -m launch.train $(TRAIN_ARGUMENTS)
	$(BIN)/python -m analysis experiment=$(EXPERIMENT) $(ANALYSIS_ARGUMENTS)
else
	$(BIN)/python -m launch.submit $(TRAIN_ARGUMENTS) hydra/launcher=$(LAUNCHER)
	$(BIN)/python -m launch.status $(TRAIN_ARGUMENTS) --watch
	$(BIN)/python -m analysis.submit experiment=$(EXPERIMENT) $(ANALYSIS_ARGUMENTS) hydra/launcher=$(LAUNCHER_OF_ANALYSIS) --wait
endif
ifeq ($(EXPERIMENT),paper)
	test -f $(MEMORY_DEMAND)/memory_demand.csv || $(BIN)/python -m analysis.diagnostics.memory_demand results=$(MEMORY_DEMAND)
endif
	$(BIN)/python -m analysis.paper $(FIGURE_ARGUMENTS)

figures: $(INSTALLED) ## draw the paper's figures from the tables; make figure-7 draws one of them
ifeq ($(APPENDIX),)
	test -f $(MEMORY_DEMAND)/memory_demand.csv || $(BIN)/python -m analysis.diagnostics.memory_demand results=$(MEMORY_DEMAND)
endif
	$(BIN)/python -m analysis.paper report=false $(FIGURE_ARGUMENTS)

figure-9: memory-demand ;

figure-%: $(INSTALLED)
	$(BIN)/python -m analysis.paper report=false 'figures=[$*]' $(FIGURE_ARGUMENTS)

report: $(INSTALLED) ## Table 1, all figures and the report (report.html in results/<scale>/) from the tables
	$(BIN)/python -m analysis.paper $(FIGURE_ARGUMENTS)

test: $(INSTALLED) ## run all tests except those on a real SLURM (minutes); installs nothing outside .venv
	$(TEST) --numprocesses=auto --dist=loadfile --no-loadscope-reorder -m "not slurm" \
	    --doctest-modules tests degen launch analysis

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

format: $(INSTALLED) ## format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(INSTALLED) ## build the documentation site in build/docs; a broken link or failing example is an error
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[docs]'
	$(BIN)/python -m sphinx -b html -W --keep-going -q docs build/docs

check-statistics: $(INSTALLED) ## simulate the coverage of intervals, and false positives and power of tests (minutes)
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.statistics.check
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.statistics.check_clusters

convergence: $(INSTALLED) ## train every task in both parameterizations at n = 128 and print the table (hours)
	$(BIN)/python -m launch.train experiment=convergence
	$(BIN)/python -m analysis.diagnostics.convergence experiment=convergence

coordinate-check: $(INSTALLED) ## print and draw how far networks move in their first steps, by width (a minute)
	$(BIN)/python -m analysis.diagnostics.coordinate_check

memory-demand: $(INSTALLED) ## compute the memory demand of each task: table and Figure 9 (minutes)
	$(BIN)/python -m analysis.diagnostics.memory_demand results=$(MEMORY_DEMAND)

# Rerun the same command to resume. RUNS is the folder of run folders.
RUNS ?= runs
long-training: $(INSTALLED) ## train the paper's 33 standard conditions at full size: 16 networks each, then 32, then 50 (a day on two cores)
	for seeds in 16 32 50; do \
	    nice $(BIN)/python -m launch.train experiment=long_training seeds=$$seeds runs=$(RUNS) || exit $$?; \
	done

DEVICE ?= cpu
bench-training: $(INSTALLED) ## compare the speed of training with nn.RNN and JAX, then measure its scaling on DEVICE
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[bench]'
	$(BIN)/python -m tests.benchmarks.training
	$(BIN)/python -m tests.benchmarks.training --small
	$(BIN)/python -m tests.benchmarks.scaling --device $(DEVICE)

bench-metrics: $(INSTALLED) ## compare the metrics' solvers with public ones, on trained networks (minutes)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[bench]'
	$(BIN)/python -m tests.benchmarks.metrics

# Runs in the environment of PYTHON and installs nothing. SKIP_CHECKS=1 leaves out tests and benchmarks.
EXPERIMENTS ?= demo
MINUTES ?= 25
EXPORT ?= export
RESULTS ?= results
gpu: ## on a CUDA machine for MINUTES: tests, benchmarks, then EXPERIMENTS; results and logs go to EXPORT
	$(PYTHON) -m launch.gpu --experiments "$(EXPERIMENTS)" --overrides "$(OVERRIDES)" --minutes $(MINUTES) \
	    --export $(EXPORT) --runs $(RUNS) --results $(RESULTS) $(if $(SKIP_CHECKS),--skip-checks)

cluster-up: $(INSTALLED) ## start a private SLURM on this machine to try the commands (as root in a Debian container)
	$(BIN)/python -m tests.cluster install
	$(BIN)/python -m tests.cluster up

cluster-down: $(INSTALLED) ## stop the private SLURM and its jobs
	$(BIN)/python -m tests.cluster down

clean: ## delete .venv and caches; runs/ and results/ stay
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache *.egg-info
