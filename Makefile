# `make help` lists the targets. All that they need is Python 3.11 or later and a way to PyPI; it is installed in .venv.

NAME := worldflow
ENGINE := --editable layers/worldflow
ENGINE_FILE := layers/worldflow/pyproject.toml
include worldflow.mk

# ------------------------------------------------------------------------------------------------------------------ tools

$(VENV)/checkov/ready: requirements-checkov.txt $(VENV)/ready
	@python -m venv --clear --without-pip $(VENV)/checkov
	@$(call install,$(VENV)/checkov/bin/python,--requirement requirements-checkov.txt)
	@touch $@

$(VENV)/docs/ready: requirements-docs.txt $(VENV)/ready
	@python -m venv --clear --without-pip $(VENV)/docs
	@$(call install,$(VENV)/docs/bin/python,--requirement requirements-docs.txt)
	@$(call install,$(VENV)/docs/bin/python,--no-deps --editable layers/worldflow)
	@touch $@

# The agent frameworks of examples/agents, apart: they ask for versions of their own.
$(VENV)/agents/ready: requirements-agents.txt $(VENV)/ready
	@python -m venv --clear --without-pip $(VENV)/agents
	@$(call install,$(VENV)/agents/bin/python,--requirement requirements-agents.txt)
	@$(call install,$(VENV)/agents/bin/python,--no-deps --editable layers/worldflow)
	@touch $@

# What infrastructure/cdk needs, apart: jsii asks for versions of its own.
$(VENV)/cdk/ready: infrastructure/cdk/requirements.txt $(VENV)/ready
	@python -m venv --clear --without-pip $(VENV)/cdk
	@$(call install,$(VENV)/cdk/bin/python,--requirement infrastructure/cdk/requirements.txt)
	@touch $@

# The browser of tests/browser: the machine's own, Debian's or Playwright's. Without one, they skip and say so.
$(VENV)/chromium/ready: $(VENV)/ready
	@if python -m tools.chromium; then mkdir -p $(@D) && touch $@; fi

# What Worldflow is compared with. Restate's server comes by npm: without it, its rows say so.
$(VENV)/peers/ready: $(addprefix benchmarks/peers/,requirements.txt package.json package-lock.json) $(VENV)/ready
	@python -m venv --clear --without-pip $(VENV)/peers
	@$(call install,$(VENV)/peers/bin/python,--requirement benchmarks/peers/requirements.txt)
	@cp benchmarks/peers/package.json benchmarks/peers/package-lock.json $(VENV)/peers
	@npm ci --prefix $(VENV)/peers --ignore-scripts --no-audit --no-fund --silent || echo "npm has not installed Restate's server."
	@touch $@

# What agents are compared on, apart: Pydantic AI's harness asks for an older Pydantic AI.
$(VENV)/agent-peers/ready: benchmarks/agents/requirements.txt $(addprefix benchmarks/peers/,package.json package-lock.json) $(VENV)/ready
	@python -m venv --clear --without-pip $(VENV)/agent-peers
	@$(call install,$(VENV)/agent-peers/bin/python,--requirement benchmarks/agents/requirements.txt)
	@cp benchmarks/peers/package.json benchmarks/peers/package-lock.json $(VENV)/agent-peers
	@npm ci --prefix $(VENV)/agent-peers --ignore-scripts --no-audit --no-fund --silent || echo "npm has not installed Restate's server."
	@touch $@

.PHONY: requirements
requirements: $(VENV)/ready ## Pin the newest versions that fit in every requirements*.txt
	$(COMPILE) --all-extras requirements-dev.in layers/worldflow/pyproject.toml --output-file requirements-dev.txt
	$(COMPILE) --no-annotate --constraint requirements-dev.txt --extra dev layers/worldflow/pyproject.toml \
		--output-file starter/requirements-dev.txt
	$(COMPILE) requirements-checkov.in --output-file requirements-checkov.txt
	$(COMPILE) --extra cli requirements-agents.in layers/worldflow/pyproject.toml --output-file requirements-agents.txt
	$(COMPILE) infrastructure/cdk/requirements.in --output-file infrastructure/cdk/requirements.txt
	$(COMPILE) --constraint requirements-dev.txt --extra cli requirements-docs.in layers/worldflow/pyproject.toml \
		--output-file requirements-docs.txt
	$(COMPILE) benchmarks/peers/requirements.in --output-file benchmarks/peers/requirements.txt
	$(COMPILE) benchmarks/agents/requirements.in --output-file benchmarks/agents/requirements.txt
	$(COMPILE) --no-annotate --constraint requirements-dev.txt --extra functions $(WITH_THE_RUNTIME:%=--no-emit-package %) \
		layers/worldflow/pyproject.toml --output-file layers/worldflow/requirements.txt

COMPILE := UV_CUSTOM_COMPILE_COMMAND="make requirements" uv pip compile --quiet --upgrade --universal --python-version 3.11 --annotation-style line
# aws-xray-sdk asks for botocore, which the Lambda runtime brings, with what botocore asks for.
WITH_THE_RUNTIME := botocore python-dateutil six urllib3

# ------------------------------------------------------------------------------------------------------------------ agents

.PHONY: agent
agent: $(VENV)/ready ## Run an agent on a local AWS, and kill what serves and reads it: MODEL=provider:name
	@python -m tools.agent

.PHONY: agent-crashes
agent-crashes: $(VENV)/ready ## The life of that agent again and again, with crashes at other places: RUNS=200
	CRASH_RUNS=$(or $(RUNS),200) python -m pytest -n 2 tests/agents/test_the_research_agent_survives_crashes.py

.PHONY: chat
chat: $(VENV)/ready ## Serve a page to talk with that agent: http://127.0.0.1:8000
	@uvicorn examples.chat.app:app

# ------------------------------------------------------------------------------------------------------------------ tests

.PHONY: test
test: $(VENV)/ready $(VENV)/cdk/ready $(VENV)/chromium/ready ## Run every test, the unit tests on every Python here; as if it were TEST_NOW=2028-02-29T12:00:00Z
	@$(MAKE) --no-print-directory --jobs 2 $(if $(filter output-sync,$(.FEATURES)),--output-sync) test-e2e test-beside

# A stack waits more than it works: what no stack serves runs beside its tests.
.PHONY: test-e2e test-beside
test-e2e: $(VENV)/ready
	python -m pytest tests/e2e
test-beside: $(VENV)/ready
	python -m pytest -n 2 --ignore tests/e2e
	@$(MAKE) --no-print-directory test-hours
	@$(MAKE) --no-print-directory test-pythons
	@$(MAKE) --no-print-directory test-agents

.PHONY: test-agents
test-agents: $(VENV)/agents/ready ## Run the tests of agents, with the newest Pydantic AI and other frameworks
	$(VENV)/agents/bin/python -m pytest -n 2 tests/agents/pydantic_ai tests/agents/recipes

# The instants are in tests/support/clock.py. They stand in for TEST_NOW, which all other tests start at.
.PHONY: test-hours
test-hours: $(VENV)/ready ## Run what depends on the time at each hour, at clock changes and at the ends of years
	python -m pytest -n 2 --hours $$(grep --recursive --files-with-matches --include 'test_*.py' time_of_day tests)

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

.PHONY: bench-agents
bench-agents: $(VENV)/agent-peers/ready ## The same agents on Worldflow and its peers, into benchmarks/agents.md
	@python -m benchmarks.agents

.PHONY: test-pythons
test-pythons: $(addprefix test-python-,3.12 3.13 3.14) ## Run the unit tests on Python 3.12, 3.13 and 3.14 where they are

PYENVS := $(sort $(HOME)/.pyenv $(patsubst %/shims,%,$(filter %/shims,$(subst :, ,$(PATH)))))
UNIT_TEST_TOOLS := hypothesis pytest pytest-asyncio pytest-timeout pytest-xdist pyyaml

.PHONY: test-python-%
test-python-%: $(VENV)/ready
	@python='$(call first-that-runs,python$* $(wildcard $(PYENVS:%=%/versions/$*.*/bin/python$*)),True)'; \
	test -n "$$python" || { echo "Python $*: not on this machine."; exit 0; }; \
	test -e $(VENV)/python$*/ready || { "$$python" -m venv --clear --without-pip $(VENV)/python$* \
		&& $(call install,$(VENV)/python$*/bin/python,--constraint requirements-dev.txt $(UNIT_TEST_TOOLS) --editable 'layers/worldflow[aws$(,)cli$(,)encryption$(,)functions$(,)mcp$(,)otel$(,)pydantic-ai$(,)serve$(,)ui]') \
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

check-types: $(VENV)/agents/ready
	mypy
	mypy --python-executable $(VENV)/agents/bin/python examples/agents/*.py
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
	check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml starter/github/workflows/*.yml
	check-jsonschema --builtin-schema vendor.github-actions .github/actions/*/action.yml
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

# ------------------------------------------------------------------------------------------------------------- documents

.PHONY: openapi
openapi: $(VENV)/ready ## Write docs/openapi.json, the document of the HTTP API
	@AWS_DEFAULT_REGION=us-east-1 python -m tools.openapi

.PHONY: aws-setup
aws-setup: $(VENV)/ready ## Copy what worldflow.aws_setup creates from template.yaml
	@python -m tools.aws_setup

.PHONY: cdk
cdk: $(VENV)/ready ## Write the parameters and outputs of infrastructure/cdk from template.yaml
	@python -m tools.cdk

.PHONY: terraform
terraform: $(VENV)/ready ## Write the variables and outputs of infrastructure/terraform from template.yaml
	@python -m tools.terraform

.PHONY: costs
costs: $(VENV)/ready ## Write the dollars in README.md and docs/costs.md as the code has them
	@PYTHONPATH=layers/workflows python -m tools.costs

.PHONY: pictures
pictures: $(VENV)/ready $(VENV)/chromium/ready ## Draw the timelines of the examples, a terminal, and the console
	@python -m tools.pictures
	@PYTHONPATH=layers/workflows python -m tools.screenshots

.PHONY: dist
dist: $(VENV)/ready ## Build what a release consists of, in dist/; TAG=v1.2.3 must be the version of the code
	@python -m tools.release $(if $(TAG),--tag $(TAG))
