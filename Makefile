# `make help` lists the targets. All that they need is Python 3.11 or later and a way to PyPI; it is installed in .venv.

PYTHON ?= $(call first-that-runs,python3.11 python3,sys.version_info >= (3, 11))
CONFIG ?= default
STACK ?= worldflow-dev

# What `make build` builds for: the interpreter in use and this machine, where the local AWS runs it.
RUNTIME ?= python$(shell $(VENV)/bin/python -c 'import sys; print("%d.%d" % sys.version_info[:2])')
ARCHITECTURE ?= $(patsubst aarch64,arm64,$(shell uname -m))
BUILD_DIR ?= .local-aws/build
OVERRIDES = Runtime=$(RUNTIME) Architecture=$(ARCHITECTURE)

# Where `make local-aws` listens, and the stack that `make deploy-local` puts there.
PORT ?= 4566
LOCAL_STACK ?= worldflow-local
LOCAL_AWS ?= AWS_ENDPOINT_URL=http://127.0.0.1:$(PORT) AWS_REGION=us-east-1 AWS_DEFAULT_REGION=us-east-1 \
	AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test

SAM ?= sam
VENV := .venv
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
export SAM_CLI_TELEMETRY ?= 0
export PIP_DISABLE_PIP_VERSION_CHECK ?= 1
# uv has certificates of its own and would not know a company's.
export UV_SYSTEM_CERTS ?= 1
# Nor would anybody want each of some hundred processes to compile all that it imports.
unexport VIRTUAL_ENV PYTHONPATH PYTHONHOME PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

# The first of $(1) that starts and for which $(2) holds. A pyenv shim exists for every version and starts for some.
first-that-runs = $(shell for python in $(1); do "$$python" -c 'import sys; sys.exit(not ($(2)))' 2>/dev/null && echo "$$python" && break; done)

# Installs $(2) for the interpreter $(1). uv takes seconds where pip takes two minutes, but does not read pip's configuration: where
# only pip knows the way to the packages, pip goes it.
install = { uv pip install --quiet --python $(1) $(2) 2>/dev/null || $(VENV)/bin/python -m pip --python $(1) install --quiet $(2); }

.PHONY: help
help: ## List the targets
	@grep -hE '^[a-z-]+:.* ## ' $(MAKEFILE_LIST) | awk -F ':.* ## ' '{printf "  make %-14s %s\n", $$1, $$2}'

# ------------------------------------------------------------------------------------------------------------------ tools

$(VENV)/ready: requirements-dev.txt layers/worldflow/pyproject.toml
	@$(if $(PYTHON),,$(error Python 3.11 or later is needed, as python3.11 or python3, or with make PYTHON=...))
	@echo "Installing what the project needs into $(VENV), once."
	@rm -rf $(VENV)
	@$(PYTHON) -m venv $(VENV)
	@python -m pip install --quiet --constraint requirements-dev.txt uv || true
	@$(call install,$(VENV)/bin/python,--requirement requirements-dev.txt)
	@$(call install,$(VENV)/bin/python,--no-deps --editable layers/worldflow)
	@touch $@

$(VENV)/checkov/ready: requirements-checkov.txt $(VENV)/ready
	@python -m venv --clear --without-pip $(VENV)/checkov
	@$(call install,$(VENV)/checkov/bin/python,--requirement requirements-checkov.txt)
	@touch $@

$(VENV)/docs/ready: requirements-docs.txt $(VENV)/ready
	@python -m venv --clear --without-pip $(VENV)/docs
	@$(call install,$(VENV)/docs/bin/python,--requirement requirements-docs.txt)
	@$(call install,$(VENV)/docs/bin/python,--no-deps --editable layers/worldflow)
	@touch $@

# What Worldflow is compared with. Restate's server comes by npm: without it, its rows say so.
$(VENV)/peers/ready: $(addprefix benchmarks/peers/,requirements.txt package.json package-lock.json) $(VENV)/ready
	@python -m venv --clear --without-pip $(VENV)/peers
	@$(call install,$(VENV)/peers/bin/python,--requirement benchmarks/peers/requirements.txt)
	@cp benchmarks/peers/package.json benchmarks/peers/package-lock.json $(VENV)/peers
	@npm ci --prefix $(VENV)/peers --ignore-scripts --no-audit --no-fund --silent || echo "npm has not installed Restate's server."
	@touch $@

.PHONY: requirements
requirements: $(VENV)/ready ## Pin the newest versions that fit in every requirements*.txt
	$(COMPILE) --all-extras requirements-dev.in layers/worldflow/pyproject.toml --output-file requirements-dev.txt
	$(COMPILE) requirements-checkov.in --output-file requirements-checkov.txt
	$(COMPILE) --constraint requirements-dev.txt --extra cli requirements-docs.in layers/worldflow/pyproject.toml \
		--output-file requirements-docs.txt
	$(COMPILE) benchmarks/peers/requirements.in --output-file benchmarks/peers/requirements.txt
	$(COMPILE) --no-annotate --constraint requirements-dev.txt --extra functions $(WITH_THE_RUNTIME:%=--no-emit-package %) \
		layers/worldflow/pyproject.toml --output-file layers/worldflow/requirements.txt

COMPILE := UV_CUSTOM_COMPILE_COMMAND="make requirements" uv pip compile --quiet --upgrade --universal --python-version 3.11 --annotation-style line
# aws-xray-sdk asks for botocore, which the Lambda runtime brings, with what botocore asks for.
WITH_THE_RUNTIME := botocore python-dateutil six urllib3

# ------------------------------------------------------------------------------------------------------------------ tests

.PHONY: demo
demo: build ## Run a durable order through the deployed template on a local AWS
	@python -m worldflow.devtools.demo

.PHONY: test
test: $(VENV)/ready ## Run every test, the unit tests on every Python here; as if it were TEST_NOW=2028-02-29T12:00:00Z
	python -m pytest -n 2 --ignore tests/e2e
	@$(MAKE) --no-print-directory test-hours
	python -m pytest tests/e2e
	@$(MAKE) --no-print-directory test-pythons

# The instants are in tests/support/clock.py. They stand in for TEST_NOW, which all other tests start at.
.PHONY: test-hours
test-hours: $(VENV)/ready ## Run what depends on the time at each hour, at clock changes and at the ends of years
	python -m pytest -n 2 --hours --ignore tests/e2e

.PHONY: chaos
chaos: $(VENV)/ready ## Orders while processes are killed and the code is deployed anew twice: RUNS=500 SEED=1
	CHAOS_RUNS=$(or $(RUNS),500) CHAOS_SEED=$(or $(SEED),1) E2E_PARAMETERS="StepTimeout=30" \
		python -m pytest tests/e2e/test_orders_survive_chaos.py

.PHONY: load
load: build ## Many runs at once, none of whose steps runs twice: RUNS=1000 STEPS=10
	@python -m benchmarks.load --runs $(or $(RUNS),1000) --steps $(or $(STEPS),10)

.PHONY: bench
bench: build ## Measure, and write benchmarks/results.md; PART=counts measures only that, and writes nothing
	@python -m benchmarks $(PART)

.PHONY: bench-peers
bench-peers: $(VENV)/peers/ready ## Worldflow beside its peers on this machine, into benchmarks/peers.md: TIMES=3
	@python -m benchmarks.peers --times $(or $(TIMES),3)

.PHONY: test-pythons
test-pythons: $(addprefix test-python-,3.12 3.13 3.14) ## Run the unit tests on Python 3.12, 3.13 and 3.14 where they are

PYENVS := $(sort $(HOME)/.pyenv $(patsubst %/shims,%,$(filter %/shims,$(subst :, ,$(PATH)))))
UNIT_TEST_TOOLS := hypothesis pytest pytest-asyncio pytest-timeout pytest-xdist pyyaml

.PHONY: test-python-%
test-python-%: $(VENV)/ready
	@python='$(call first-that-runs,python$* $(wildcard $(PYENVS:%=%/versions/$*.*/bin/python$*)),True)'; \
	test -n "$$python" || { echo "Python $*: not on this machine."; exit 0; }; \
	test -e $(VENV)/python$*/ready || { "$$python" -m venv --clear --without-pip $(VENV)/python$* \
		&& $(call install,$(VENV)/python$*/bin/python,--constraint requirements-dev.txt $(UNIT_TEST_TOOLS) --editable 'layers/worldflow[aws$(,)cli$(,)encryption$(,)functions$(,)otel]') \
		&& touch $(VENV)/python$*/ready; } || exit 1; \
	echo "Python $*:"; \
	$(VENV)/python$*/bin/python -m pytest -n 2 -m "not one_python" tests/unit

SEEDS ?= 1000
FIRST ?= 0
JOBS ?= 2

.PHONY: simulate
simulate: $(VENV)/ready ## Simulate the stack under faults: SEEDS=1000 of them from FIRST=0, or SEED=n alone with its trace
	PYTHONPATH=$(CURDIR)/layers/workflows python -m tests.simulation \
		$(if $(SEED),--seed $(SEED),--seeds $(SEEDS) --first $(FIRST) --jobs $(JOBS))

, := ,

.PHONY: check
check: $(VENV)/ready $(VENV)/checkov/ready $(VENV)/docs/ready ## Check formatting, lint, types, workflows, the template and the documentation
	@$(MAKE) --no-print-directory --jobs 2 $(if $(filter output-sync,$(.FEATURES)),--output-sync) $(GATES)

# Two at a time, the longest first; what each prints stays together.
GATES := check-types check-checkov check-sam check-cfn check-docs check-workflows check-bandit check-github check-format check-lint audit
.PHONY: $(GATES)

check-types:
	mypy
	PYRIGHT_PYTHON_IGNORE_WARNINGS=1 pyright # which otherwise asks npm for a newer one
check-checkov:
	$(VENV)/checkov/bin/checkov --config-file .checkov.yaml
check-sam:
	$(SAM) validate --lint --region us-east-1
check-cfn:
	cfn-lint
check-workflows:
	python -m worldflow check layers/workflows examples
check-docs: $(VENV)/docs/ready
	@$(MKDOCS) build --quiet --strict
check-bandit:
	bandit --quiet --configfile pyproject.toml --recursive functions layers/worldflow/worldflow layers/workflows
check-github:
	check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	check-jsonschema --builtin-schema vendor.github-issue-forms .github/ISSUE_TEMPLATE/bug.yml .github/ISSUE_TEMPLATE/feature.yml
	check-jsonschema --builtin-schema vendor.github-issue-config .github/ISSUE_TEMPLATE/config.yml
	check-jsonschema --builtin-schema vendor.dependabot .github/dependabot.yml
check-format:
	ruff format --check .
check-lint:
	ruff check .

MKDOCS := NO_MKDOCS_2_WARNING=1 $(VENV)/docs/bin/mkdocs

.PHONY: docs
docs: $(VENV)/docs/ready ## Build the documentation site in site/
	$(MKDOCS) build --strict

audit: $(VENV)/ready ## Look up known vulnerabilities of all that is pinned; says so where they cannot be looked up
	@python -m tools.audit requirements-dev.txt layers/worldflow/requirements.txt

.PHONY: format
format: $(VENV)/ready ## Format the code, and fix what lint can fix
	ruff check --fix-only .
	ruff format .

# ------------------------------------------------------------------------------------------------------------------- sam

.PHONY: build
build: $(VENV)/ready ## Build for the local AWS: RUNTIME= and ARCHITECTURE= are this machine's
	$(SAM) build --build-dir $(BUILD_DIR) --cache-dir $(dir $(BUILD_DIR))cache --parameter-overrides $(OVERRIDES)

.PHONY: local-aws
local-aws: $(VENV)/ready ## Keep a local AWS up, and print how to reach it: PORT=4566
	@python -m worldflow.devtools.local_aws --port $(PORT)

.PHONY: deploy-local
deploy-local: build ## Deploy to the local AWS that `make local-aws` keeps up
	$(LOCAL_AWS) $(SAM) deploy --config-file $(CURDIR)/samconfig.toml --template-file $(BUILD_DIR)/template.yaml \
		--stack-name $(LOCAL_STACK) --parameter-overrides $(OVERRIDES)

.PHONY: invoke
invoke: what-to-invoke build ## Run a function of that stack in Docker: FUNCTION=SignalFunction EVENT=events/....json
	@$(LOCAL_AWS) python -m worldflow.devtools.invocation --stack $(LOCAL_STACK) --template $(BUILD_DIR)/template.yaml \
		--output $(BUILD_DIR)/invoke.yaml --env-vars $(BUILD_DIR)/variables.json
	$(LOCAL_AWS) $(SAM) local invoke $(FUNCTION) --event $(EVENT) --template-file $(BUILD_DIR)/invoke.yaml \
		--env-vars $(BUILD_DIR)/variables.json --parameter-overrides $(OVERRIDES) --docker-network host

.PHONY: what-to-invoke
what-to-invoke:
	@$(if $(FUNCTION),,$(error FUNCTION is missing: OrchestratorFunction, StepExecutorFunction, SignalFunction or CaretakerFunction))
	@$(if $(wildcard $(EVENT)),,$(error EVENT is missing, or no file: one of $(wildcard events/*.json)))

.PHONY: openapi
openapi: $(VENV)/ready ## Write docs/openapi.json, the document of the HTTP API
	@AWS_DEFAULT_REGION=us-east-1 python -m tools.openapi

.PHONY: aws-setup
aws-setup: $(VENV)/ready ## Copy what worldflow.aws_setup creates from template.yaml
	@python -m tools.aws_setup

.PHONY: costs
costs: $(VENV)/ready ## Write the dollars in README.md and docs/costs.md as the code has them
	@PYTHONPATH=layers/workflows python -m tools.costs

.PHONY: pictures
pictures: $(VENV)/ready ## Draw the timelines of the examples
	@python -m tools.pictures

.PHONY: environment
environment: $(VENV)/ready ## Print the variables with which an application reaches a stack: STACK=worldflow-dev
	@python -m worldflow.devtools.environment $(STACK)

.PHONY: deploy
deploy: $(VENV)/ready ## Build for AWS and deploy to your account: CONFIG=prod for the second table of samconfig.toml
	@python -m worldflow.devtools.quota $(CONFIG)
	$(SAM) build --config-env $(CONFIG)
	$(SAM) deploy --config-env $(CONFIG)

.PHONY: delete
delete: $(VENV)/ready ## Delete a stack whose Stage is dev, with its data: STACK=worldflow-dev
	@python -m worldflow.devtools.deletion $(STACK)

# With AWS_ENDPOINT_URL set, as `make local-aws` prints it, this checks a stack there. TOKEN is read from the environment.
.PHONY: verify-aws
verify-aws: $(VENV)/ready ## Deploy, check and remove a stack on AWS: STACK=... YES=1 DEPLOY=no KEEP=yes PARAMETERS="Name=value"
	@python -m worldflow.devtools.verify $(STACK) --config $(CONFIG) --parameters '$(PARAMETERS)' \
		$(if $(filter no,$(DEPLOY)),--no-deploy) $(if $(filter yes 1,$(KEEP)),--keep) $(if $(filter yes 1,$(YES)),--yes) \
		$(if $(ONLY),--only '$(ONLY)')

.PHONY: dist
dist: $(VENV)/ready ## Build what a release consists of, in dist/; TAG=v1.2.3 must be the version of the code
	@python -m tools.release $(if $(TAG),--tag $(TAG))

.PHONY: clean
clean: ## Remove all that make has made
	rm -rf $(VENV) .aws-sam .local-aws dist site .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -prune -exec rm -rf {} +
