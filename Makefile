# hcluster: `make help` explains every target.
SHELL := /bin/bash
.DEFAULT_GOAL := help

UV_VERSION := 0.13.8
PYTHON := /usr/bin/python3
CACHE := $(CURDIR)/.cache
UV := $(CACHE)/uv/bin/uv
BIN := $(CURDIR)/.venv/bin

# Everything that hcluster keeps (images, clouds, downloads) stays inside the checkout.
export HCLUSTER_STATE := $(CURDIR)/.state
export UV_PYTHON_DOWNLOADS := never
export PATH := $(BIN):$(PATH)

PACKAGES := ca-certificates curl dnsmasq-base fish git iproute2 maven mmdebstrap nftables openjdk-17-jre-headless \
	openssh-client openssl packer procps puppet-agent puppet-lint python3 python3-venv runc shellcheck zsh zstd

.PHONY: help install packages demo test check reference contract-aws format clean

help: ## Explain the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

packages: ## Install the Debian packages that are missing (needs root)
	@missing=$$(for p in $(PACKAGES); do dpkg-query -W -f '$${Status}' $$p 2>/dev/null | grep -q 'ok installed' || echo $$p; done); \
	if [ -n "$$missing" ]; then echo "Installing Debian packages:" $$missing; apt-get -qq update && \
	DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends $$missing >/dev/null; fi

$(UV):
	@$(PYTHON) -m venv $(CACHE)/uv && $(CACHE)/uv/bin/pip -q install uv==$(UV_VERSION)

.venv/.synced: pyproject.toml uv.lock | $(UV)
	@$(UV) sync -q --locked --python $(PYTHON) --all-extras && touch $@

install: packages ## Install packages and the Python environment (.venv)
	@$(MAKE) --no-print-directory .venv/.synced

demo: install ## From nothing to Hive queries on two real clusters, in one command
	@$(BIN)/python examples/demo.py

test: install ## Everything: static checks, fast tests, then real nodes
	@$(MAKE) --no-print-directory check
	@$(BIN)/pytest -m cluster tests/cluster

check: install ## Static checks and fast tests only
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@shellcheck $$(git ls-files '*.sh' .ci/run)
	@puppet parser validate puppet
	@puppet-lint --fail-on-warnings puppet
	@rm -rf $(CACHE)/coverage && HCLUSTER_COVERAGE=$(CACHE)/coverage \
	$(BIN)/pytest -m "not cluster" --numprocesses auto --dist loadfile --no-loadscope-reorder
	@$(BIN)/python -m tests.measured $(CACHE)/coverage

reference: .venv/.synced ## Write docs/reference anew from the code
	@$(BIN)/python -m hcluster.cli.reference docs/reference

contract-aws: .venv/.synced ## The contract suite on a real account: PROFILE=name [REGION=name] [YES=1]; tells its cost first
	@if [ -z "$(PROFILE)" ]; then echo "contract-aws: name a profile: make contract-aws PROFILE=name [REGION=name]" >&2; exit 2; fi
	@$(BIN)/python -m tests.contract.aws.spend --profile "$(PROFILE)" --region "$(REGION)"
	@if [ "$(YES)" != 1 ]; then read -r -p "Run it? [y/N] " answer || true; \
	if [ "$$answer" != y ]; then echo "contract-aws: nothing was called" >&2; exit 1; fi; fi
	@HCLUSTER_CONTRACT_PROFILE="$(PROFILE)" HCLUSTER_CONTRACT_REGION="$(REGION)" $(BIN)/pytest tests/contract/aws

format: .venv/.synced ## Format the Python code
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix .

clean: ## Stop and remove this checkout's clouds, images, caches and environment
	@if [ -x $(BIN)/hcluster ]; then for c in $(HCLUSTER_STATE)/local/*/; do [ -d "$$c" ] && \
	$(BIN)/hcluster local reset --yes --name "$$(basename $$c)"; done; true; fi
	@rm -rf .venv $(CACHE) $(CURDIR)/.state
