# Each target makes the virtual environment it needs; nothing but Python 3.11 or newer is asked of the machine.
#   make demo    light install (no torch) with Geant4, then `caloforge demo --overwrite`
#   make test    full development install with pinned versions, then every test
#   make lint    ruff and mypy
#   make clean   remove the virtual environment and caches
#   make test PYTHON=python3.12 PYTEST_ARGS="-k hdf5"

PYTHON ?= python3
PYTEST_ARGS ?=
VENV := .venv
BIN := $(VENV)/bin
STAMPS := $(VENV)/.stamps

# Threads beyond one a process only compete with each other in tests.
export OMP_NUM_THREADS ?= 1

.PHONY: demo test lint clean
.DELETE_ON_ERROR:

demo: $(STAMPS)/core
	$(BIN)/caloforge demo --overwrite

test: $(STAMPS)/dev
	$(BIN)/python -m pytest $(PYTEST_ARGS)

lint: $(STAMPS)/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

$(STAMPS)/venv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "caloforge needs Python 3.11 or newer; $(PYTHON) is older. Try: make PYTHON=python3.11 ..." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	mkdir -p $(STAMPS)
	touch $@

# Editable, so a change of the sources needs no new install.
$(STAMPS)/core: $(STAMPS)/venv pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[fullsim]'
	touch $@

$(STAMPS)/dev: $(STAMPS)/venv pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[train,openvino,fullsim,cluster,root,parquet,test]'
	touch $(STAMPS)/core $@

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
