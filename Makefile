# Everything runs in .venv: made on first use from constraints.txt, and brought up to date only when that, or
# pyproject.toml, has changed.  make PYTHON=python3.13 ... chooses the interpreter.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt

.PHONY: help demo test lint bench docs clean

help:
	@echo "make demo [PHOTO=mine.jpg]  upscale a photo x4 with the bundled model"
	@echo "make test                   the whole test suite"
	@echo "make lint                   style, types, layers"
	@echo "make bench                  measure the speed of this machine"
	@echo "make docs                   bring the generated tables in README.md up to date"
	@echo "make clean                  remove .venv, caches and what demo and build made"

demo: $(VENV)/.demo
	@$(BIN)/python examples/demo.py $${PHOTO:+"$$PHOTO"}

test: $(VENV)/.test
	$(BIN)/python -m pytest

lint: $(VENV)/.dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.demo
	GOMP_SPINCOUNT=1000 $(BIN)/python benchmarks/speed.py --write docs/benchmarks.md

docs: $(VENV)/.demo
	$(BIN)/python docs/tables.py

clean:
	rm -rf $(VENV) demo build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
	find src tests benchmarks examples docs -type d -name __pycache__ -exec rm -rf {} +

# A stamp is touched when its step is done, so that one that was broken off is done again.
$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed, this is " + sys.version.split()[0] + ": make PYTHON=python3.13 ...")'
	$(PYTHON) -m venv $(VENV)
	@touch $@

# Each set of extras is installed in place: changed source needs no new installation. The larger hold the smaller.
demo_holds := demo
test_holds := demo test
dev_holds := demo test dev
$(VENV)/.demo $(VENV)/.test $(VENV)/.dev: $(VENV)/.%: $(VENV)/.made pyproject.toml constraints.txt
	$(INSTALL) -e '.[$*]'
	@touch $(addprefix $(VENV)/.,$($*_holds))
