# Everything sets itself up: a virtual environment in the repository, exact versions and hashes from pins.txt.
PYTHON ?= python3
SERVE ?= 1
MODEL ?= models/demo
PORT ?= 8866
STUDIO = .venv/bin
APP = .venv-app/bin
PIP_QUIET = --quiet --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help demo test lab app lint screenshots bench lock audit clean-env

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

lock: .venv/.ready  ## write pins.txt and pins-app.txt, with hashes, from what is installed in .venv
	@$(call tools)
	@$(STUDIO)/pip freeze --exclude-editable | grep -v -i '^shoebox' > .venv/installed.txt
	@printf 'hatchling\neditables\n' > .venv/build.in
	@for file in pins.txt pins-app.txt; do \
	  extras=$$(test $$file = pins.txt && echo '--extra studio --extra test'); \
	  (echo "# Exact versions with the hashes of their files, for pip install --require-hashes. Written by make lock."; \
	    .venv-tools/bin/uv pip compile -q --no-header --no-annotate --generate-hashes --universal \
	      --python-version 3.11.5 -c .venv/installed.txt pyproject.toml .venv/build.in $$extras) > $$file.new \
	  && mv $$file.new $$file || exit 1; done

audit: .venv/.ready  ## known holes in what is pinned (asks a public service), and the list of parts (CycloneDX) of the app half
	@$(call tools)
	@mkdir -p work && .venv-tools/bin/cyclonedx-py requirements pins-app.txt --output-reproducible -o work/sbom.json
	@for file in pins-app.txt pins.txt; do \
	  .venv-tools/bin/pip-audit -r $$file --require-hashes --disable-pip --strict || exit 1; done

clean-env:  ## remove the virtual environments (pictures, models and work stay)
	rm -rf .venv .venv-app .venv-tools

.venv/.ready: pyproject.toml pins.txt
	@$(call check_python)
	@echo "Setting up .venv (once; torch alone is several GB) ..."
	@test -x .venv/bin/python || $(PYTHON) -m venv .venv
	@.venv/bin/pip install $(PIP_QUIET) --require-hashes -r pins.txt
	@.venv/bin/pip install $(PIP_QUIET) --no-deps --no-build-isolation -e .
	@touch $@

.venv-app/.ready: pyproject.toml pins-app.txt
	@$(call check_python)
	@echo "Setting up .venv-app (once) ..."
	@test -x .venv-app/bin/python || $(PYTHON) -m venv .venv-app
	@.venv-app/bin/pip install $(PIP_QUIET) --require-hashes -r pins-app.txt
	@.venv-app/bin/pip install $(PIP_QUIET) --no-deps --no-build-isolation -e .
	@touch $@

define tools
test -x .venv-tools/bin/uv || { $(PYTHON) -m venv .venv-tools && \
  .venv-tools/bin/pip install $(PIP_QUIET) uv pip-audit cyclonedx-bom; }
endef

define check_python
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else \
	  "Shoebox needs Python 3.11 or later; " + sys.executable + " is " + sys.version.split()[0] + ". Try: make PYTHON=python3.12 ...")'
endef
