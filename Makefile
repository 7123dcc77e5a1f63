# Weighbridge: everything a person or CI runs. `make help` lists the targets.
#
# Three environments, one lock. `.venv` reads uploads and holds no framework; `.venv-keras` and `.venv-torch` only
# build specs. Why: docs/decisions/0001-environments.md

# 3.11 is the oldest that the code runs on, 3.13 the newest that the pinned TensorFlow has a build for.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null && echo $$p && break; done)
HOST ?= 127.0.0.1
PORT ?= 8000
PYTEST_ARGS ?=
BENCH_ARGS ?=
TIME ?= 300
FUZZ_ARGS ?=
TORTURE_ARGS ?=
KEYWORDS := msg msgn:1,2 mark t

BIN := .venv/bin
# -qq: only errors are worth a line. No prompt ever: CI has no standard input.
PIP := -m pip install -qq --disable-pip-version-check --no-input
# The project itself: never resolved, never fetched, built with the environment's own pinned setuptools.
PROJECT := --no-deps --no-build-isolation --editable .
INSTALLED := .venv/.installed .venv-keras/.installed .venv-torch/.installed

.DELETE_ON_ERROR:
.PHONY: help install serve test check torture fuzz bench samples formats messages sbom audit lock clean
.DEFAULT_GOAL := help

help:  ## what can be made
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1	\2/p' Makefile

install: $(INSTALLED)  ## make the three environments (done by the targets that need them)

serve: install  ## start the service on HOST:PORT (127.0.0.1:8000)
	@HOST=$(HOST) PORT=$(PORT) exec $(BIN)/python -m gunicorn --config deploy/gunicorn.conf.py service.wsgi:app

test: install .venv-keras/.tests .venv-torch/.tests .venv-field/.tests .venv-audit/.tests check  ## all checks and all tests; PYTEST_ARGS="-k zip" narrows them
	@$(BIN)/python -m pytest -n 2 $(PYTEST_ARGS)

torture: install .venv-audit/.tests  ## break, flood and attack the service for long; TORTURE_ARGS="--seconds 600 load" says how long, and what
	@$(BIN)/python -m tests.torture $(TORTURE_ARGS)

check: .venv/.installed  ## lint, types, and the import contract of the rooms
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

fuzz: install .venv-keras/.tests .venv-torch/.tests .venv-field/.tests  ## change files of every format and have them read, for TIME seconds; what breaks is made small and kept
	@$(BIN)/python -m tests.fuzz --time $(TIME) $(FUZZ_ARGS)

bench: install .venv-torch/.tests  ## measure against what people do today; prints docs/performance.md's tables
	@$(BIN)/python -m tests.bench.bench $(BENCH_ARGS)

samples: install  ## write docs/samples and the rehearsal's files anew, with both frameworks
	@.venv-keras/bin/python docs/samples/make.py keras docs/samples
	@.venv-torch/bin/python docs/samples/make.py torch docs/samples
	@.venv-keras/bin/python docs/samples/make.py rehearse-keras service/worker/rehearsal_files
	@.venv-torch/bin/python docs/samples/make.py rehearse-torch service/worker/rehearsal_files

formats: .venv/.installed  ## write docs/formats.md from what the readers say
	@$(BIN)/python docs/make_formats.py

messages: .venv/.installed  ## bring the catalogues of both Chinese scripts up to date with the sentences in the code
	@mkdir -p .cache
	@$(BIN)/pybabel -q extract --mapping-file babel.cfg --no-default-keywords --keywords "$(KEYWORDS)" --add-location file \
		--sort-by-file --no-wrap --omit-header --project weighbridge --output-file .cache/weighbridge.pot .
	@for locale in zh_Hans zh_Hant; do \
		$(BIN)/pybabel -q update --domain weighbridge --input-file .cache/weighbridge.pot --output-dir service/locale \
			--locale $$locale --no-fuzzy-matching --ignore-obsolete --no-wrap --ignore-pot-creation-date || exit 1; \
		sed -i -E '/^"(Report-Msgid-Bugs-To|POT-Creation-Date|PO-Revision-Date|Last-Translator|Generated-By):/d' \
			service/locale/$$locale/LC_MESSAGES/weighbridge.po; done

sbom: install .venv-audit/.tests  ## write what each environment is made of to .cache/sbom (CycloneDX)
	@mkdir -p .cache/sbom
	@for environment in .venv .venv-keras .venv-torch; do \
		.venv-audit/bin/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible --output-format JSON \
			--output-file .cache/sbom/weighbridge$${environment#.venv}.cdx.json $$environment/bin/python || exit 1; done
	@ls .cache/sbom/*.cdx.json

audit: .venv-audit/.tests  ## ask the public list of advisories about every pinned package (needs the network)
	@.venv-audit/bin/pip-audit --progress-spinner off --disable-pip --no-deps --requirement constraints.txt

clean:  ## remove the environments and everything that was made or cached, but not var/ (the service's data)
	@rm -rf .venv .venv-keras .venv-torch .venv-field .venv-audit .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache \
		build weighbridge.egg-info
	@find service schemas tests -name __pycache__ -type d -prune -exec rm -rf {} +

# --- environments ------------------------------------------------------------------------------------------------

# The mark is set last, so that a venv whose making was interrupted is made again.
%/.made:
	@python="$(PYTHON)"; \
	test -n "$$python" || { echo "make: no Python 3.11 to 3.13 found; name one: make PYTHON=/path/to/python3.13 ..." >&2; exit 1; }; \
	$$python -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || \
		{ echo "make: $$python must be Python 3.11 to 3.13: the pinned TensorFlow has no build for others" >&2; exit 1; }; \
	$$python -c 'import ensurepip, venv' 2>/dev/null || \
		{ echo "make: $$python lacks its venv module (on Debian and Ubuntu: apt install python3-venv)" >&2; exit 1; }; \
	$$python -m venv --clear $(@D)
	@touch $@

.venv/.installed: pyproject.toml constraints.txt | .venv/.made
	@echo "Installing the service into .venv ..."
	@$(@D)/bin/python $(PIP) --constraint constraints.txt setuptools
	@$(@D)/bin/python $(PIP) --constraint constraints.txt --no-build-isolation --editable '.[dev]'
	@touch $@

.venv-keras/.framework: pyproject.toml constraints.txt | .venv-keras/.made
	@echo "Installing TensorFlow and Keras into .venv-keras (about 1.5 GB) ..."
	@$(@D)/bin/python $(PIP) --constraint constraints.txt tensorflow-cpu keras msgspec numpy setuptools
	@touch $@

.venv-torch/.framework: pyproject.toml constraints.txt | .venv-torch/.made
	@echo "Installing PyTorch and transformers into .venv-torch (about 1.2 GB) ..."
	@$(@D)/bin/python $(PIP) --constraint constraints.txt torch transformers msgspec numpy setuptools
	@touch $@

# One after the other, also under -j: setuptools writes the same weighbridge.egg-info each time.
.venv-keras/.installed: .venv-keras/.framework | .venv/.installed
	@$(@D)/bin/python $(PIP) $(PROJECT)
	@touch $@

.venv-torch/.installed: .venv-torch/.framework | .venv-keras/.installed
	@$(@D)/bin/python $(PIP) $(PROJECT)
	@touch $@

# Keras 2 writes files for the tests. Not in the lock, and without its dependencies: it would bring a second TensorFlow.
.venv-keras/.tests: .venv-keras/.framework
	@$(@D)/bin/python $(PIP) --no-deps tf_keras==2.21.0
	@touch $@

# What people count with today: the tests hold costs against it, the bench is measured beside it.
.venv-torch/.tests: .venv-torch/.framework
	@$(@D)/bin/python $(PIP) --constraint constraints.txt torchinfo
	@touch $@

# The other formats' own libraries write files for the tests, and say what is in those of others.
.venv-field/.tests: pyproject.toml constraints.txt | .venv-field/.made
	@echo "Installing the libraries of other formats into .venv-field for the tests (about 2 GB) ..."
	@$(@D)/bin/python $(PIP) --constraint constraints.txt coremltools flax jax ncnn openvino orbax-checkpoint paddlepaddle \
		msgpack safetensors setuptools
	@touch $@

# What asks questions of the service and of the packages, and is no part of either.
.venv-audit/.tests: pyproject.toml constraints.txt | .venv-audit/.made
	@echo "Installing schemathesis, cyclonedx-bom and pip-audit into .venv-audit for the tests ..."
	@$(@D)/bin/python $(PIP) --constraint constraints.txt schemathesis cyclonedx-bom pip-audit
	@touch $@

# --- the lock ----------------------------------------------------------------------------------------------------

lock: .cache/lock/.made  ## resolve all environments anew into constraints.txt
	@.cache/lock/bin/python $(PIP) pip-tools
	@.cache/lock/bin/pip-compile --quiet --upgrade --all-extras --strip-extras --allow-unsafe --no-annotate --no-header \
		--no-emit-index-url --no-emit-find-links --no-emit-trusted-host --output-file .cache/lock/resolved.txt pyproject.toml
	@{ echo '# Every package of every environment, resolved together by `make lock`. Versions only: no index, no address, no hash,'; \
	   echo '# so that it holds wherever pip looks: docs/decisions/0001-environments.md'; \
	   sed -e '/^weighbridge/d' -e '/^#/d' -e '/^$$/d' -e 's/^\(torch==[0-9.]*\)+.*/\1/' \
		.cache/lock/resolved.txt | LC_ALL=C sort; } > constraints.txt
	@rm .cache/lock/resolved.txt
