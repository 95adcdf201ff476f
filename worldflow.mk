# What `make` does in every project: the tools in .venv, the local AWS, and deployments. The Makefile sets NAME and
# includes it; your own targets belong there, and `python -m worldflow upgrade` keeps this file up to date.

$(if $(word 2,$(CURDIR)),$(error make needs a path without spaces: move the project from "$(CURDIR)"))

PYTHON ?= $(call first-that-runs,python3.11 python3,sys.version_info >= (3, 11))
CONFIG ?= default
STACK ?= $(NAME)-dev

# What `make build` builds for: the interpreter in use and this machine, where the local AWS runs it.
RUNTIME ?= python$(shell $(VENV)/bin/python -c 'import sys; print("%d.%d" % sys.version_info[:2])')
ARCHITECTURE ?= $(patsubst aarch64,arm64,$(shell uname -m))
BUILD_DIR ?= .local-aws/build
OVERRIDES = Runtime=$(RUNTIME) Architecture=$(ARCHITECTURE)

# Where `make local-aws` listens, and the stack that `make deploy-local` puts there.
PORT ?= 4566
LOCAL_STACK ?= $(NAME)-local
LOCAL_AWS ?= AWS_ENDPOINT_URL=http://127.0.0.1:$(PORT) AWS_REGION=us-east-1 AWS_DEFAULT_REGION=us-east-1 \
	AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test

# The engine as pip installs it, and a file that changes with it.
ENGINE ?= $(wildcard layers/worldflow/worldflow-*.whl)
ENGINE_FILE ?= $(ENGINE)

SAM ?= sam
VENV := .venv
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
export SAM_CLI_TELEMETRY ?= 0
export PIP_DISABLE_PIP_VERSION_CHECK ?= 1
# SAM does not read AWS_REGION.
ifdef AWS_REGION
export AWS_DEFAULT_REGION := $(AWS_REGION)
endif
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

$(VENV)/ready: requirements-dev.txt layers/workflows/requirements.txt $(ENGINE_FILE)
	@$(if $(PYTHON),,$(error Python 3.11 or later is needed, as python3.11 or python3, or with make PYTHON=...))
	@echo "Installing what the project needs into $(VENV), once."
	@rm -rf $(VENV)
	@$(PYTHON) -m venv $(VENV)
	@python -m pip install --quiet --constraint requirements-dev.txt uv || true
	@$(call install,$(VENV)/bin/python,--requirement requirements-dev.txt)
	@$(call install,$(VENV)/bin/python,--no-deps $(ENGINE))
	@$(call install,$(VENV)/bin/python,--requirement layers/workflows/requirements.txt --constraint layers/worldflow/requirements.txt)
	@touch $@

.PHONY: demo
demo: build ## Run a durable order through the deployed template on a local AWS
	@python -m worldflow.devtools.demo

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

.PHONY: environment
environment: $(VENV)/ready ## Print the variables with which an application reaches a stack: STACK=NAME-dev
	@python -m worldflow.devtools.environment $(STACK)

.PHONY: check-runs
check-runs: $(VENV)/ready ## Replay the runs of a stack on the code here, before it is deployed: STACK=... OPTIONS="--since 7d"
	PYTHONPATH=layers/workflows python -m worldflow check --against $(STACK) $(OPTIONS)

.PHONY: deploy
deploy: $(VENV)/ready ## Build for AWS and deploy to your account: CONFIG=prod for samconfig.toml's second table, YES=1
	@$(if $(filter no,$(CHECK_WORKFLOWS)),,mypy layers/workflows \
		|| { echo "The types of the workflows do not fit. CHECK_WORKFLOWS=no deploys them all the same." >&2; exit 1; })
	@python -m worldflow.devtools.quota $(CONFIG)
	$(SAM) build --config-env $(CONFIG)
	$(SAM) deploy --config-env $(CONFIG)$(if $(filter yes 1,$(YES)), --no-confirm-changeset)

.PHONY: delete
delete: $(VENV)/ready ## Delete a stack whose Stage is dev, with its data: STACK=NAME-dev
	@python -m worldflow.devtools.deletion $(STACK)

# With AWS_ENDPOINT_URL set, as `make local-aws` prints it, this checks a stack there. TOKEN is read from the environment.
.PHONY: verify-aws
verify-aws: $(VENV)/ready ## Deploy, check and remove a stack on AWS: STACK=... YES=1 DEPLOY=no KEEP=yes PARAMETERS="Name=value"
	@python -m worldflow.devtools.verify $(STACK) --config $(CONFIG) --parameters '$(PARAMETERS)' \
		$(if $(filter no,$(DEPLOY)),--no-deploy) $(if $(filter yes 1,$(KEEP)),--keep) $(if $(filter yes 1,$(YES)),--yes) \
		$(if $(ONLY),--only '$(ONLY)')

.PHONY: clean
clean: ## Remove all that make has made
	rm -rf $(VENV) .aws-sam .local-aws dist site .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -prune -exec rm -rf {} +
