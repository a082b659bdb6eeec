.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed

.PHONY: help install book pages slides assignments grade test sync check colab-check lint format serve clean

help: ## list these targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' \
	  | while IFS="$$(printf '\t')" read -r name text; do printf '  make %-11s %s\n' "$$name" "$$text"; done

$(STAMP): requirements.txt pyproject.toml
	test -x $(BIN)/pip || $(PYTHON) -m venv --clear .venv
	$(BIN)/python -m pip install --quiet -r requirements.txt
	$(BIN)/python -m pip install --quiet --no-deps -e .
	touch $(STAMP)

install: $(STAMP) ## create .venv and install everything into it (the others do it when needed)

book: $(STAMP) ## build the book into _build/html
	$(BIN)/jupyter-book build book -W --keep-going
	@echo "Open _build/html/index.html in a browser, or run: make serve"

pages: $(STAMP) ## build the pages without running the chapters: a quick look at text and links
	PHA_BOOK_RUN=no $(BIN)/jupyter-book build book -W --keep-going

slides: $(STAMP) ## cut a deck out of each chapter into build/slides (make book first: it has the figures)
	$(BIN)/python tools/slides.py

assignments: $(STAMP) ## write solutions, all tests and Gradescope's archives into build/assignments
	$(BIN)/python tools/assignments.py build

grade: $(STAMP) ## grade SUBMISSION=, a notebook or a folder of them, into tables in grades/
	@test -n "$(SUBMISSION)" || { echo 'make grade SUBMISSION=a notebook or a folder [ASSIGNMENT=a1] [OUT=grades]' >&2; exit 2; }
	$(BIN)/python tools/grade.py "$(SUBMISSION)" $(if $(ASSIGNMENT),--assignment "$(ASSIGNMENT)") $(if $(OUT),--out "$(OUT)")

test: $(STAMP) ## run the tests
	$(BIN)/python -m pytest

sync: $(STAMP) ## write notebooks, Colab copies, pictures, cards and tables from their sources
	$(BIN)/python tools/stamp.py
	$(BIN)/python tools/pictures.py
	$(BIN)/python tools/cards.py
	$(BIN)/python tools/notebooks.py sync
	$(BIN)/python tools/assignments.py sync
	$(BIN)/python tools/reference.py

check: $(STAMP) ## fail where a notebook, picture, card or table differs from its source
	$(BIN)/python tools/stamp.py --check
	$(BIN)/python tools/pictures.py --check
	$(BIN)/python tools/cards.py --check
	$(BIN)/python tools/notebooks.py check
	$(BIN)/python tools/assignments.py check
	$(BIN)/python tools/reference.py --check

colab-check: $(STAMP) ## run every Colab notebook in a stand-in for Colab's environment (long)
	$(BIN)/python tools/colab_check.py

lint: $(STAMP) ## ruff, on code and notebooks
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(STAMP) ## let ruff format the code, then write the notebooks again
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/python tools/notebooks.py sync
	$(BIN)/python tools/assignments.py sync

serve: $(STAMP) ## show the built book at http://localhost:8000
	$(BIN)/python -m http.server --directory _build/html 8000

clean: ## remove what was built (.venv stays)
	rm -rf _build build dist *.egg-info .pytest_cache .ruff_cache .hypothesis
