# What a new machine needs: Python 3.11 or newer, and make. Everything else installs itself.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
SETS := tests/unit tests/simulation tests/integration tests/faults tests/e2e
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input
# what pip says, one short line for each package
STEPS := sed -u -n -E 's/^(Collecting|Installing collected packages|Successfully installed) ?([^ ]*).*/  \1 \2/p'

COMPILE := $(BIN)/pip-compile --quiet --generate-hashes --allow-unsafe --strip-extras --no-header \
	--no-emit-index-url --no-emit-trusted-host --no-emit-find-links --no-annotate

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c

.DEFAULT_GOAL := help
# compiled once, not by each of the hundreds of processes that tests and benchmarks start
export PYTHONDONTWRITEBYTECODE :=
export IMAGE PYTHON_IMAGE PYTHON_DIGEST BUILDER
SEEDS ?= 10000

.PHONY: help setup planes demo test e2e unit verify generate bench faults simulate planes-up planes-down lock image sbom clean

help: ## Show this list.
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

$(STAMP): requirements.lock pyproject.toml
	@echo "installing into $(VENV) …"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(PIP) install --require-hashes -r requirements.lock | $(STEPS)
	@$(PIP) install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

setup: $(STAMP) ## Make the virtual environment.

planes: setup ## Build the control plane's programs, if they aren't in the cache.
	@$(BIN)/python -m tests.planes build

demo: planes ## Bring up a hub and two leased clusters and show Sublet at work. KEEP=1 leaves it running.
	@$(BIN)/python -m tests.demo $(if $(KEEP),--keep)

test: planes ## Run the tests, on real control planes. SLOW=1 runs those too that take long; SETS=… some alone.
	$(BIN)/python -m pytest -q -n 3 --dist loadfile --no-loadscope-reorder $(if $(SLOW),,-m "not slow") $(SETS)

e2e: planes ## Play the end-to-end story: CLUSTERS=planes (as it is), or CLUSTERS=kind: real kubelets, chart and image. KEEP=1 leaves kind's clusters.
	@case "$(or $(CLUSTERS),planes)" in \
	  planes) $(BIN)/python -m pytest -q tests/e2e ;; \
	  kind) $(BIN)/python -m tests.kind $(if $(KEEP),--keep) ;; \
	  *) echo "make e2e: CLUSTERS is planes or kind, not $(CLUSTERS)" >&2; exit 1 ;; \
	esac

unit: setup ## Run the unit tests alone.
	$(BIN)/python -m pytest -q tests/unit

faults: planes ## Put a fault at every write of every workload; writes build/faults.json. WORKERS=2 PLAN='{…}' replays one.
	@$(BIN)/python -m tests.faults --workers $(or $(WORKERS),2) $(if $(PLAN),'$(PLAN)')

simulate: setup ## Play simulated histories, SEEDS of them (10000); writes build/simulate.json.
	@PYTHONHASHSEED=0 $(BIN)/python -m tests.simulation --count $(SEEDS) --out build/simulate.json

.PHONY: docs release-check
release-check: planes ## Is what is committed fit to be released? Versions, changelog, wheel, sdist, chart, image inputs, site.
	@$(BIN)/python -m tools.release

docs: setup ## Build the documentation site into build/site.
	@$(BIN)/python -m tools.site

generate: setup ## Write everything that is generated: CRDs, the chart's copies, reference pages.
	@$(BIN)/python -m tools.docsgen
	@$(BIN)/python -m sublet.crdgen
	@$(BIN)/python -m sublet.manifests
	@$(BIN)/python -m tools.dashboards

verify: generate ## Regenerate, check everything without running it, and fail on a dirty tree.
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python tools/check_tree.py

bench: planes ## Measure the budgets beside their raw limits; writes build/bench.json. PARTS="planes restart": these alone.
	@$(BIN)/python -m tests.bench $(PARTS)

planes-up: planes ## Start control planes for development.
	@$(BIN)/python -m tests.planes up hub west east

planes-down: setup ## Stop them.
	@$(BIN)/python -m tests.planes down

lock: setup ## Pin all dependencies again, with hashes and without download addresses.
	@$(PIP) install --quiet pip-tools
	@$(COMPILE) --upgrade --extra dev --output-file requirements.lock pyproject.toml
	@$(COMPILE) --constraint requirements.lock --output-file tools/image/runtime.lock pyproject.toml
	@$(COMPILE) --constraint requirements.lock --output-file tools/image/build.lock tools/image/build.in

image: ## Build the operator's image. IMAGE=name PYTHON_IMAGE=base PYTHON_DIGEST=sha256:… BUILDER=podman choose.
	@tools/image/build

sbom: setup ## Write what Python packages the image has (CycloneDX) to build/sbom.json.
	@mkdir -p build
	@PYTHONWARNINGS=ignore "$$($(BIN)/python -c 'from tests.harness.apart import find; print(find("sbom", "cyclonedx-py"))')" requirements \
		--pyproject pyproject.toml --output-reproducible --output-file build/sbom.json tools/image/runtime.lock
	@echo "build/sbom.json: written"

clean: ## Remove what was built here; the cache of control planes stays.
	rm -rf $(VENV) build .pytest_cache .mypy_cache .ruff_cache .hypothesis
