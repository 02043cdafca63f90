# Set-up and checks of snstat; `make help` lists the targets.

# Any Python >= 3.11. To use another one: make PYTHON=python3.12 demo
PYTHON ?= python3
# The environment at the lower bounds of the dependencies is built with the oldest Python.
PYTHON_MINIMUM ?= python3.11

VENV := .venv
MINIMUM := .venv-minimum
# That of other frameworks is apart, because they bring versions of packages of their own.
FRAMEWORKS := .venv-frameworks
# That of the site is apart, because no test needs it.
SITE := .venv-site
PIP_INSTALL := -m pip --disable-pip-version-check --quiet install
# --group (PEP 735) needs this version of pip; a fresh environment may contain an older one.
NEW_PIP := --upgrade "pip>=25.1"
# Tests with a target of their own are not part of the suite.
SUITE := not (peers or frameworks or packaging or examples or docs or bench)
PYTEST := -m pytest --ignore=tests/peers
# Written from the docstrings of the rules.
RULES := docs/rules.md
# One worker for each core; a worker without tests takes some of another's.
WORKERS := --numprocesses=auto --dist=worksteal
# tests/executed.py: one file for each process.
COVERAGE := build/coverage
EXECUTED := -p tests.executed --coverage=$(COVERAGE)
MERGED := slipcover --branch --skip-covered --fail-under 95 --out build/coverage.json --merge

# Types are checked, and kernels compiled, while tests run without the compiler; the site is built
# beside the others.
SUITES := types coverage docs

# The many processes of the tests start faster with bytecode.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo install develop test lint format types test-jit test-nojit coverage test-examples \
	kernels outputs pictures docs dist test-docs test-wheel test-minimum test-peers test-frameworks test-laws \
	test-kills test-random fuzz bench mutants power clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/\1|\2/p' Makefile \
		| while IFS='|' read -r target text; do printf '%-14s %s\n' "$$target" "$$text"; done

demo: install ## install snstat into .venv and show a first result
	$(VENV)/bin/snstat propagate --depth 64

install: $(VENV)/.stamp-run ## make .venv with snstat and what it needs to run

develop: $(VENV)/.stamp-dev ## make .venv with the development tools too

test: lint ## every check except test-minimum, test-peers, test-frameworks, test-laws, test-kills, test-random
	+@$(MAKE) --no-print-directory --jobs=2 --output-sync=target $(SUITES)

lint: develop ## ruff: rules and format
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .

format: develop ## apply ruff's fixes and format
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

types: develop ## mypy, strict, on the package
	$(VENV)/bin/mypy

kernels: develop ## compile the kernels, which all processes share
	$(VENV)/bin/python -m tests.kernels

test-nojit: develop ## the tests of the engine, kernels as plain Python
	rm -rf $(COVERAGE)
	NUMBA_DISABLE_JIT=1 $(VENV)/bin/python $(PYTEST) $(WORKERS) $(EXECUTED) -m "$(SUITE)" tests/engine

# Every test runs once. Only those of the engine run without the compiler too: there an index beyond
# an array is an error, and what is executed can be seen. Kernels are compiled meanwhile.
# The wheel, docs and examples are here, because they would keep one core waiting at the end.
test-jit: test-nojit kernels ## the suite, the wheel, docs and examples
	$(VENV)/bin/python $(PYTEST) $(WORKERS) $(EXECUTED) -m "not (peers or frameworks or bench)"

coverage: test-jit ## what both have executed; at least 95 %
	$(VENV)/bin/$(MERGED) $(COVERAGE)/*.json

test-examples: develop ## the scripts and network files of examples/
	$(VENV)/bin/python $(PYTEST) -m examples

test-docs: develop ## the commands of the README and the help texts
	$(VENV)/bin/python $(PYTEST) -m docs

outputs: develop ## run README.md, docs/, pages of rules and notebooks and rewrite their outputs
	$(VENV)/bin/python -m tests.docs_blocks README.md $(filter-out $(RULES),$(wildcard docs/*.md)) \
		snstat/checks/*.py
	$(VENV)/bin/python -m tests.rule_pages $(RULES)
	$(VENV)/bin/python -m tests.notebooks

NETWORKS := $(notdir $(basename $(wildcard examples/networks/*.toml)))
pictures: develop ## draw the networks of the examples again, in docs/networks
	mkdir -p docs/networks
	for name in $(NETWORKS); do $(VENV)/bin/snstat plot examples/networks/$$name.toml --backward \
		-o docs/networks/$$name.svg || exit; done

# Where MkDocs finds an error in a page or a link, it stops. The variable silences an advertisement.
docs: kernels $(SITE)/.stamp ## build the site of docs/ in build/site/html: strict, all links checked
	$(VENV)/bin/python -m tests.site.assemble build/site
	NO_MKDOCS_2_WARNING=1 $(SITE)/bin/mkdocs build --strict --config-file build/site/mkdocs.yml

dist: develop ## build the sdist and the wheel in dist/, and check them
	rm -rf dist
	$(VENV)/bin/python -m build
	$(VENV)/bin/twine check --strict dist/*
	$(VENV)/bin/check-wheel-contents dist/*.whl

test-wheel: develop ## build the wheel, install it elsewhere, run it there
	$(VENV)/bin/python $(PYTEST) -m packaging

test-minimum: $(MINIMUM)/.stamp ## the suite at the lower bounds of the dependencies
# Old releases run with newer packages here, and we cannot fix their warnings.
	$(MINIMUM)/bin/python $(PYTEST) -m "$(SUITE)" -W default

test-peers: $(VENV)/.stamp-peers ## comparisons with PyTorch (a large download)
	rm -rf $(COVERAGE)-peers
	MEASURED=peers $(VENV)/bin/python -m pytest $(WORKERS) $(EXECUTED)-peers -m peers tests/peers \
		tests/layers/test_every_kind.py
	$(VENV)/bin/$(MERGED) $(COVERAGE)-peers/*.json

test-frameworks: $(FRAMEWORKS)/.stamp ## traces of ONNX, Keras, Flax and transformers (a larger download)
	rm -rf $(COVERAGE)-frameworks
	MEASURED=frameworks $(FRAMEWORKS)/bin/python -m pytest $(EXECUTED)-frameworks \
		-m frameworks tests/peers/frameworks
	$(FRAMEWORKS)/bin/$(MERGED) $(COVERAGE)-frameworks/*.json

# Trials of the tests that compare distributions; the suite takes 2,000.
LAWS := test_weight_free_law test_gradients test_matrix_free test_widths test_widths_gradient
test-laws: develop ## samplers with and without weights, over 20,000 networks each; minutes
	SNSTAT_TRIALS=20000 $(VENV)/bin/python $(PYTEST) $(WORKERS) -k "law or distribution" \
		$(LAWS:%=tests/engine/%.py)

# How often sweeps are ended at a random moment, for each format and on Dask.
KILLS ?= 50
test-kills: $(VENV)/.stamp-peers ## sweeps that are killed, or fill the disk, 50 times; a quarter of an hour
	SNSTAT_KILLS=$(KILLS) $(VENV)/bin/python -m pytest $(WORKERS) -m "" \
		tests/robustness/test_random_kills.py tests/peers/sweeps/test_random_kills_on_dask.py

test-random: develop ## dieharder on the random generator (Debian package; hours)
	$(VENV)/bin/python -m tests.dieharder.report

# The number of damaged files for each reader, and the number of the first one.
FUZZ ?= 10000
FUZZ_FIRST ?= 0
fuzz: develop ## 10,000 damaged files for each reader; an hour
	SNSTAT_FUZZ=$(FUZZ) SNSTAT_FUZZ_FIRST=$(FUZZ_FIRST) SNSTAT_FUZZ_FOLDER=build/fuzz \
		$(VENV)/bin/python -m pytest -s tests/robustness/test_fuzz.py

bench: $(VENV)/.stamp-bench ## measure speed beside numpy and PyTorch, write docs/benchmarks.md and its grid
	@$(VENV)/bin/python -m tests.benchmarks.blas_check
	@$(VENV)/bin/python -c 'import torch' 2>/dev/null || echo \
		"PyTorch is not installed, so its lines are left out; make test-peers installs it" >&2
	mkdir -p build
	$(VENV)/bin/python -m pytest -m bench tests/benchmarks/test_rows.py \
		--benchmark-json=build/benchmarks.json
	$(VENV)/bin/python -m tests.benchmarks.table build/benchmarks.json docs/benchmarks.md
	$(VENV)/bin/python -m tests.benchmarks.networks docs/benchmarks-networks.md
	$(VENV)/bin/python -m tests.benchmarks.examples docs/benchmarks-examples.md
	$(VENV)/bin/python -m tests.benchmarks.sweeps docs/benchmarks-sweeps.md
	@if $(VENV)/bin/python -c 'import torch' 2>/dev/null; then \
		$(VENV)/bin/python -m tests.benchmarks.own docs/benchmarks-own.md && \
		$(VENV)/bin/python -m tests.benchmarks.grid docs/benchmarks-grid.md docs/benchmarks-grid.svg; fi

# Mutants are drawn at random, with this seed.
MUTANTS ?= 1000
MUTANTS_SEED ?= 0
mutants: $(VENV)/.stamp-mutants ## how many small changes the tests notice, written to docs/mutants.md; hours
	$(VENV)/bin/python -m tests.mutants.run --count $(MUTANTS) --seed $(MUTANTS_SEED) docs/mutants.md

power: develop ## measure false alarms and power of snstat check, write docs/check-power.md
	$(VENV)/bin/python -m tests.power.measure

clean: ## remove the environments and everything built
	rm -rf $(VENV) $(MINIMUM) $(FRAMEWORKS) $(SITE) build dist .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find snstat tests examples -name __pycache__ -type d -prune -exec rm -rf {} +

# Stamps prevent repeated installation until pyproject.toml changes.
$(VENV)/.stamp-venv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "snstat needs Python 3.11 or newer, but $(PYTHON) is" \
		"$$($(PYTHON) --version 2>&1 | tail -n 1); try: make PYTHON=python3.11" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python $(PIP_INSTALL) $(NEW_PIP)
	@touch $@

$(VENV)/.stamp-run: $(VENV)/.stamp-venv pyproject.toml
	$(VENV)/bin/python $(PIP_INSTALL) --editable .
	@touch $@

$(VENV)/.stamp-dev: $(VENV)/.stamp-venv pyproject.toml
	$(VENV)/bin/python $(PIP_INSTALL) --group dev --editable .
	@touch $(VENV)/.stamp-run $@

$(VENV)/.stamp-peers: $(VENV)/.stamp-dev
	$(VENV)/bin/python $(PIP_INSTALL) --group peers
	@touch $@

$(VENV)/.stamp-bench: $(VENV)/.stamp-dev
	$(VENV)/bin/python $(PIP_INSTALL) --group bench
	@touch $@

$(VENV)/.stamp-mutants: $(VENV)/.stamp-dev
	$(VENV)/bin/python $(PIP_INSTALL) --group mutants
	@touch $@

$(MINIMUM)/.stamp: pyproject.toml tests/packaging/lower_bounds.py
	$(PYTHON_MINIMUM) -m venv --clear $(MINIMUM)
	$(MINIMUM)/bin/python $(PIP_INSTALL) $(NEW_PIP)
	$(MINIMUM)/bin/python tests/packaging/lower_bounds.py > $(MINIMUM)/lower-bounds.txt
	$(MINIMUM)/bin/python $(PIP_INSTALL) --constraint $(MINIMUM)/lower-bounds.txt \
		--group test --editable .
	@touch $@

$(FRAMEWORKS)/.stamp: pyproject.toml
	$(PYTHON) -m venv $(FRAMEWORKS)
	$(FRAMEWORKS)/bin/python $(PIP_INSTALL) $(NEW_PIP)
	$(FRAMEWORKS)/bin/python $(PIP_INSTALL) --group test --group frameworks --editable .
	@touch $@

$(SITE)/.stamp: pyproject.toml
	$(PYTHON) -m venv $(SITE)
	$(SITE)/bin/python $(PIP_INSTALL) $(NEW_PIP)
	$(SITE)/bin/python $(PIP_INSTALL) --group site
	@touch $@
