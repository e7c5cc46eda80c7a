# Every target makes .venv if it is missing; nothing is installed anywhere else, and nothing is fetched once it is there.
PYTHON ?= python3
EXTRAS ?= test
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: verify test full boundscheck lint figures notebooks bench clean

verify: $(STAMP)
	$(BIN)/mdplab prove
	$(BIN)/mdplab verify --report report_html

# Files are dealt to one process a core; each has its own linear algebra, which must not use them all.
test: $(STAMP)
	OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist loadfile --durations 15

# What a sceptic would ask for: the slow tests and every claim's full profile.
full: $(STAMP)
	$(BIN)/python -m pytest -m full
	$(BIN)/mdplab verify --profile full --report report_html

# Kernels read out of bounds silently; compiled with checks, in a cache of their own, they do not.
boundscheck: $(STAMP)
	NUMBA_BOUNDSCHECK=1 NUMBA_CACHE_DIR=$(CURDIR)/$(VENV)/numba-boundscheck $(BIN)/python -m pytest -n auto tests/kernels

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
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[$(EXTRAS)]'
	touch $(STAMP)
