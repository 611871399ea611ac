# Everything sets itself up: a virtual environment in the repository, exact versions from pins.txt.
PYTHON ?= python3
SERVE ?= 1
MODEL ?= models/demo
PORT ?= 8866
STUDIO = .venv/bin
APP = .venv-app/bin
PIP_QUIET = --quiet --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help demo test lab app lint screenshots bench lock clean-env

help:  ## what can be done here
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | awk -F'\t' '{printf "  make %-12s %s\n", $$1, $$2}'

demo: .venv/.ready  ## the whole way on embedded data, then the app at a local address (SERVE=0 stops before serving)
	@$(STUDIO)/shoebox demo $(if $(filter 0,$(SERVE)),--no-serve)

test: .venv/.ready  ## the whole test suite: pytest, the notebooks through nbval, the browser tests
	@$(STUDIO)/python -m pytest

lab: .venv/.ready  ## JupyterLab on the notebooks
	@cd notebooks && ../$(STUDIO)/jupyter lab

app: .venv-app/.ready  ## serve a bundle: make app MODEL=models/mine (installs the app half only, no torch)
	@$(APP)/shoebox serve notebooks/app.ipynb --model "$(MODEL)" --port $(PORT)

lint: .venv/.ready  ## ruff, mypy and the floors of the house
	@$(STUDIO)/ruff check src tests bench notebooks
	@$(STUDIO)/mypy
	@$(STUDIO)/lint-imports

screenshots: .venv/.ready  ## draw the README's pictures anew
	@$(STUDIO)/python tests/browser/screenshots.py

bench: .venv/.ready  ## our way and the peer's way on the same input; writes bench/RESULTS.md (hours)
	@for name in app_start scan scan_growth hostile crash collect ranking ranking_scale stopping novelty classifier cleaner app; \
	  do $(STUDIO)/python bench/$$name.py || exit 1; done

lock: .venv/.ready  ## write pins.txt from what is installed in .venv
	@(echo "# Exact versions known to work together (Linux x86-64, Python 3.11); pip takes them with -c. Written by make lock."; \
	  $(STUDIO)/pip freeze --exclude-editable | grep -v -i '^shoebox' ) > pins.new && mv pins.new pins.txt

clean-env:  ## remove the virtual environments (pictures, models and work stay)
	rm -rf .venv .venv-app

.venv/.ready: pyproject.toml pins.txt
	@$(call check_python)
	@echo "Setting up .venv (once; torch alone is several GB) ..."
	@test -x .venv/bin/python || $(PYTHON) -m venv .venv
	@.venv/bin/pip install $(PIP_QUIET) -c pins.txt -e '.[studio,test]'
	@touch $@

.venv-app/.ready: pyproject.toml pins.txt
	@$(call check_python)
	@echo "Setting up .venv-app (once) ..."
	@test -x .venv-app/bin/python || $(PYTHON) -m venv .venv-app
	@.venv-app/bin/pip install $(PIP_QUIET) -c pins.txt -e .
	@touch $@

define check_python
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else \
	  "Shoebox needs Python 3.11 or later; " + sys.executable + " is " + sys.version.split()[0] + ". Try: make PYTHON=python3.12 ...")'
endef
