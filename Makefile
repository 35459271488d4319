# make demo: set up, train a small suite, probe it, write the report.   make test: set up, run all tests.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
TOOLS  := $(VENV)/.tools
AXE    := $(VENV)/node_modules/axe-core/axe.min.js

.PHONY: setup demo test slow check docs stubs bench clean

setup: $(TOOLS) $(AXE)

# torch first and alone: its version is pinned in constraints.txt, everything else is taken with that pin in force.
$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[engines,heuristics,link]'
	touch $@

# What tests, checks and the manual need beside: half of the whole, so the demonstration does not wait for it.
$(TOOLS): $(READY)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --group dev --group docs
	touch $@

# With what tests look for what keeps people out of the pages; without npm those tests are skipped.
$(AXE): $(READY)
	if command -v npm >/dev/null; then \
		npm install --prefix $(VENV) --no-save --no-package-lock --no-fund --no-audit --silent axe-core@4.14.1; \
	else \
		echo "No npm: tests of accessibility will be skipped."; \
	fi

demo: $(READY)
	$(BIN)/phasescope demo

# As many at a time as there are cores, each with one thread: threads that wait for cores of others make all several times
# slower. Files whole, for what is made once for all tests of one.
test: setup
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder

slow: setup
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m slow -n auto --dist loadfile --no-loadscope-reorder

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(MAKE) --no-print-directory docs

# The manual, into build/docs/index.html. Not --quiet: that would hide warnings from --strict too. The variable keeps MkDocs
# Material from advertising its successor.
docs: setup
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

# The methods of runs that questions offer, for type checkers and editors.
stubs: $(READY)
	mkdir -p build
	$(BIN)/python -c "from phasescope.run.asked import stub; print(stub(), end='')" > build/asked.pyi
	mv build/asked.pyi phasescope/run/asked.pyi

bench: setup
	$(BIN)/python -m benchmarks

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
