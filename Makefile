# Each target only calls `python -m ...`; CI and people run the same lines.
.DEFAULT_GOAL := help
SHELL := /bin/sh
PYTHON ?= python3
PY := .venv/bin/python
READY := .venv/ready
PEERS := .venv-bench/ready
SERVING_PEERS := .venv-serving-peers/ready
TORCH := torch==2.13.0
# Imported by every build of the demo. Compiled once, here: a build may be told not to write bytecode itself.
COMPILED := boto3 botocore gitlab moto numpy pandas pyarrow pydantic requests s3transfer sagemaker urllib3 werkzeug yaml

.PHONY: help setup demo test test-heavy test-mutants lint format bench bake readme lock clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY) ## install the locked tools into .venv (about 30 seconds)

# torch is a second step and not in the lock: its index has CUDA wheels under the same version,
# and which build is right depends on the machine (docs/decisions/0002-dependencies.md).
$(READY): requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; this is " + sys.version.split()[0] + " (make PYTHON=python3.12 ...)")'
	@if [ -L .venv ]; then echo "error: .venv is a symbolic link, and setup empties what it points to; remove the link" >&2; exit 1; fi
	@echo "setup: creating .venv"
	@$(PYTHON) -m venv --clear .venv
	@$(PY) -m pip install --quiet --disable-pip-version-check uv==0.13.8
	@echo "setup: installing requirements.lock"
	@$(PY) -m uv pip install --quiet --python $(PY) --require-hashes -r requirements.lock
	@echo "setup: installing $(TORCH)"
	@if $(PY) -m pip config list | grep -q find-links; then $(PY) -m pip install --quiet --disable-pip-version-check $(TORCH); \
	else $(PY) -m uv pip install --quiet --python $(PY) --torch-backend=auto $(TORCH); fi
	@echo "setup: compiling what every command imports"
	@cd "$$($(PY) -c 'import sysconfig; print(sysconfig.get_path("purelib"))')" && "$(CURDIR)/$(PY)" -m compileall -q -j 0 $(COMPILED)
	@touch $(READY)

demo: $(READY) ## the whole loop on this machine: push, train, promote, revert (KEEP=1, DATA=synthetic)
	@$(PY) -m demo $(if $(KEEP),--keep) $(if $(DATA),--data $(DATA))

test: $(READY) ## the tests (about eight minutes on two cores)
	@$(PY) -m pytest -n 2

test-heavy: $(READY) ## the tests that need an engine of their own lock
	@$(PY) -m pytest -m heavy

test-mutants: $(READY) ## take every protection away and see its test fail (about twenty minutes)
	@$(PY) -m tests.mutation

lint: $(READY) ## ruff and mypy
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(PY) -m mypy pipelines gitops localcloud demo infra hooks benchmarks
	@for folder in processing_code training_code serving_code api_code; do $(PY) -m mypy $$folder || exit 1; done

format: $(READY) ## let ruff put the code in order
	@$(PY) -m ruff check --fix .
	@$(PY) -m ruff format .

bench: $(READY) $(PEERS) $(SERVING_PEERS) ## side by side with peers: about an hour (QUICK=1: under five; ML1M_DIR=... adds MovieLens)
	@for name in preparation training quality scaling serving; do \
	$(PY) -m benchmarks.$$name --json .bench/$$name.json $(if $(QUICK),--quick) || exit 1; done

# The peers need an older numpy, so they have an environment and a lock of their own (docs/benchmarks.md). --no-deps: the
# lock is complete, and RecBole names packages that nothing here needs.
$(PEERS): requirements.bench.lock | $(READY)
	@$(PY) -c 'import sys; sys.exit(sys.version_info >= (3, 13) and "the peers need Python 3.11 or 3.12 (RecBole needs numpy 1); python -m benchmarks.training works without them")'
	@echo "bench: creating .venv-bench"
	@$(PY) -m venv --clear .venv-bench
	@echo "bench: installing $(TORCH)"
	@if $(PY) -m pip config list | grep -q find-links; then .venv-bench/bin/python -m pip install --quiet --disable-pip-version-check $(TORCH); \
	else $(PY) -m uv pip install --quiet --python .venv-bench/bin/python --torch-backend=cpu $(TORCH); fi
	@echo "bench: installing requirements.bench.lock"
	@$(PY) -m uv pip install --quiet --python .venv-bench/bin/python --no-deps --require-hashes -r requirements.bench.lock
	@touch $(PEERS)

$(SERVING_PEERS): requirements.serving-peers.lock | $(READY)
	@echo "bench: installing requirements.serving-peers.lock into .venv-serving-peers"
	@$(PY) -m venv --clear .venv-serving-peers
	@$(PY) -m uv pip install --quiet --python .venv-serving-peers/bin/python --no-deps --require-hashes -r requirements.serving-peers.lock
	@touch $(SERVING_PEERS)

bake: $(READY) ## a new team's project from this template, next to this one
	@$(PY) -m cookiecutter --output-dir .. .

readme: $(READY) ## render README.md from the template's, which is the one to edit
	@slug=$$(awk '/^project:/ {print $$2}' project.yml) && new=$$(mktemp -d) && \
	$(PY) -m cookiecutter --no-input --output-dir $$new . project_slug=$$slug && cp $$new/$$slug/README.md . && rm -r $$new

lock: $(READY) ## resolve pyproject.toml again into the hashed locks
	@$(PY) -m uv pip compile pyproject.toml --generate-hashes --universal --no-annotate --no-header --quiet -o requirements.lock
	@$(PY) -m uv pip compile pyproject.toml --extra toolkit --generate-hashes --universal --no-annotate --no-header --quiet -o requirements.toolkit.lock
	@for group in spark airflow; do $(PY) -m uv pip compile --group pyproject.toml:$$group --generate-hashes --universal --no-annotate --no-header --quiet -o requirements.$$group.lock || exit 1; done
	@$(PY) -m uv pip compile pyproject.toml --extra search --generate-hashes --universal --no-annotate --no-header --quiet -o requirements.search.lock
	@$(PY) -m uv pip compile benchmarks/peers.txt --override benchmarks/peers.overrides.txt --generate-hashes --python-platform linux --python-version 3.11 --no-annotate --no-header --quiet -o requirements.bench.lock
	@$(PY) -m uv pip compile benchmarks/serving-peers.txt --generate-hashes --universal --python-version 3.11 --no-annotate --no-header --quiet -o requirements.serving-peers.lock

clean: ## remove what make made
	@if [ -x $(PY) ]; then $(PY) -m localcloud down --directory .demo/cloud >/dev/null 2>&1 || true; fi
	rm -rf .venv .venv-* .bench .demo .localcloud .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
