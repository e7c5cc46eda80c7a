# Every target makes .venv if it is missing; nothing is installed anywhere else.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# Solvers set their own thread counts; BLAS threads on top of worker processes only slow both down.
export OMP_NUM_THREADS ?= 2
export OPENBLAS_NUM_THREADS ?= 1

.PHONY: verify test lint figures notebooks bench clean

verify: $(STAMP)
	$(BIN)/mdplab verify --report report_html

test: $(STAMP)
	$(BIN)/python -m pytest

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

figures: $(STAMP)
	$(BIN)/mdplab figures

notebooks: $(STAMP)
	$(BIN)/python -m mdplab.report.notebooks

bench: $(STAMP)
	$(BIN)/mdplab bench

clean:
	rm -rf $(VENV) .mdplab report_html

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[test]'
	touch $(STAMP)
