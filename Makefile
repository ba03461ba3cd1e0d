# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
#
# PYTHON=...        interpreter to make the environment of (3.10 to 3.13)
# ROS_DISTRO=jazzy  wheels of that distribution where no ROS 2 is sourced

.DEFAULT_GOAL := help
SHELL := /bin/bash
MAKEFLAGS += --no-print-directory

# Any Python 3.8 runs the set-up script, which then finds the one to use.
STARTER := $(shell for python in $(PYTHON) python3 /usr/bin/python3 \
	python3.12 python3.11 python3.10 python3.13; do \
	"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 8))' 2>/dev/null \
	&& { echo "$$python"; break; }; done)
ENVIRONMENT := $(STARTER) tools/setup_environment.py
IN := $(ENVIRONMENT) run
export PYTHON

VIDEO ?=
BOX ?=
BAG ?=
IMAGE_TOPIC ?=
OUTPUT ?=
FOLLOW ?=
DEMO_OPTIONS = --output '$(or $(OUTPUT),demo_output)' $(if $(VIDEO),--video '$(VIDEO)') $(if $(BAG),--bag '$(BAG)') \
	$(if $(BOX),--box '$(BOX)') $(if $(IMAGE_TOPIC),--image-topic '$(IMAGE_TOPIC)')
PYTEST_OPTIONS ?=

.PHONY: help setup build test lint format demo follow bench env shell clean distclean

help: ## list the targets
	@echo 'siammask_ros: SiamMask tracking and segmentation on ROS 2'
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile
	@echo '  PYTHON=python3.12 and ROS_DISTRO=jazzy choose what the environment is made of.'

setup: ## make the environment (.venv, install), or bring it up to date
	@[ -n '$(STARTER)' ] || { echo 'setup: no Python 3 found: install Python 3.10 to 3.13, e.g. sudo apt install python3-venv' >&2; exit 1; }
	@$(ENVIRONMENT) setup

build: setup

demo: setup ## track in a camera stream; VIDEO=clip.mp4 BOX=x,y,w,h or BAG=... BOX=... for your own
	@$(IN) python -m siammask_ros.ros.demo $(DEMO_OPTIONS)

follow: setup ## let a simulated robot follow somebody for a minute; FOLLOW='--seconds 20' for less
	@$(IN) python -m siammask_ros.ros.follow_demo --output '$(or $(OUTPUT),follow_output)' $(FOLLOW)

lint: setup ## ruff and mypy
	@$(IN) ruff check --quiet .
	@$(IN) ruff format --quiet --check .
	@$(IN) mypy --no-error-summary

format: setup ## let ruff format the code
	@$(IN) ruff format .

# Nodes keep to real time, so their tests run alone; the others in a process a core, one thread each.
test: setup lint ## all checks and tests; PYTEST_OPTIONS='-k tracker' for some
ifeq ($(strip $(PYTEST_OPTIONS)),)
	@failed=0; $(IN) python -m pytest test/ros || failed=1; \
	OMP_NUM_THREADS=1 $(IN) python -m pytest --ignore test/ros --numprocesses auto --maxprocesses 4 || failed=1; \
	exit $$failed
else
	@$(IN) python -m pytest $(PYTEST_OPTIONS)
endif

bench: setup ## measure latency and throughput on this machine
	@$(IN) siammask bench

env: setup ## print the shell commands that enter the environment
	@$(ENVIRONMENT) environment

shell: setup ## open a shell in the environment
	@$(IN) "$${SHELL:-/bin/bash}"

clean: ## remove what colcon built
	@$(ENVIRONMENT) clean

distclean: ## remove the environments too
	@$(ENVIRONMENT) distclean
