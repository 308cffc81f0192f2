# armtune: `make demo` shows it, `make test` proves it, `make help` lists the rest.
# Everything lives in .venv/; the system is touched by `make system` only (as root, where apt exists).

PYTHON ?= python3
ONNXRUNTIME ?= cpu
VENV := .venv
PIP := $(VENV)/bin/pip --disable-pip-version-check
PY_VERSION := $(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])')
LOCK := $(wildcard constraints/lock-$(PY_VERSION).txt)

INTERFACES := ros_ws/src/armtune_interfaces
PACKAGES := policies calibration $(filter-out $(INTERFACES),$(patsubst %/package.xml,%,$(wildcard ros_ws/src/*/package.xml)))
SOURCES := $(shell find $(PACKAGES) configs -type f -not -path '*/__pycache__/*' -not -path '*.egg-info/*' -not -path '*/build/*')
INTERFACE_SOURCES := $(shell find $(INTERFACES) -type f)

export AMENT_PREFIX_PATH := $(CURDIR)/$(VENV)

.PHONY: help demo test safety-case pictures clean-root bench build system lint upgrade clean

help: ## list what there is to make
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/'

demo: build ## a simulated arm practises a task pair by itself (FAST=1: a few minutes; ANEW=1: demonstrates and trains, too)
	$(VENV)/bin/armtune demo $(if $(FAST),--fast) $(if $(ANEW),--anew) $(ARGS)

# What fails is tried anew a moment later and listed as a rerun: bounds in real time depend on what else a machine does,
# so those of real time have more tries.
# What a row says never happens is not (`rerun_except` in pyproject.toml).
# What keeps to real time runs one by one, in a process whose crash is tried anew, too; beside it, in the processor time
# that this leaves, what has time: least in its session, which is least of all where the kernel weighs sessions (autogroup).
# What was said there is printed when both are done. 5 is pytest's "none were chosen".
PYTEST := $(VENV)/bin/python -m pytest -rR --reruns-delay 5
LEAST := setsid sh -c '(echo 19 >/proc/self/autogroup; chrt --idle --pid 0 $$$$) 2>/dev/null; exec nice -n 19 "$$@"' least
test: build ## all tests (ARGS="tests/policies -k store" for some)
	@log=$$(mktemp); OMP_NUM_THREADS=1 $(LEAST) $(PYTEST) --reruns 2 -n logical --maxprocesses 8 --dist worksteal --timeout 600 $(ARGS) \
		-m "not alone" >$$log 2>&1 & beside=$$!; trap 'pkill -s $$beside; rm -f $$log' EXIT; trap 'exit 130' INT TERM; \
	$(PYTEST) --reruns 4 -n 1 $(ARGS) -m alone; alone=$$?; wait $$beside; shared=$$?; cat $$log; \
	[ $$shared$$alone != 55 ] && for code in $$shared $$alone; do [ $$code = 0 ] || [ $$code = 5 ] || exit $$code; done

safety-case: build ## inject every fault into the real graph, write docs/safety-case.md (in real time: more than ten minutes)
	$(VENV)/bin/python -m pytest -m fault --every-phase --safety-case=docs/safety-case.md $(ARGS)

pictures: build ## the README's pictures of the console anew, from a practice in simulation (Chromium; five minutes)
	$(VENV)/bin/python tests/console/pictures.py

clean-root: ## every step of the Dockerfile's robot image in a clean Debian (as root, debootstrap; five minutes)
	$(PYTHON) docker/clean_root.py $(ARGS)

bench: build ## all benchmarks; one: .venv/bin/armtune bench latency
	for name in sim inference latency gate record lockstep; do $(VENV)/bin/armtune bench $$name || exit 1; done

lint: build ## style and types
	$(VENV)/bin/ruff check . && $(VENV)/bin/ruff format --check . && $(VENV)/bin/mypy $(filter-out %.egg-info/,$(wildcard policies/armtune_policies calibration/armtune_calibration ros_ws/src/*/armtune_*/))

upgrade: ## newest versions that fit, written to constraints/ for this Python
	$(PYTHON) constraints/upgrade.py

clean: ## remove the environment and everything built
	rm -rf $(VENV) build install log

build: $(VENV)/.packages ## set up .venv with everything in it

# Each step leaves a stamp; a second `make` looks at the stamps only.
system:
	@PYTHON=$(PYTHON) sh constraints/system.sh

$(VENV)/.created:
	@$(MAKE) --no-print-directory system
	$(PYTHON) -m venv $(VENV)
	$(PIP) install -q $(if $(LOCK),-c $(LOCK)) -r constraints/build.txt
	@touch $@

$(VENV)/.wheels: $(VENV)/.created $(wildcard constraints/*.txt)
	@test -n "$(LOCK)" || echo "note: no lock for Python $(PY_VERSION); taking the newest versions that fit (make upgrade writes one)"
	$(if $(wildcard constraints/ros-$(PY_VERSION).txt),$(PIP) install -q --require-hashes --no-deps -r constraints/ros-$(PY_VERSION).txt)
	$(PIP) install -q $(if $(LOCK),-c $(LOCK)) -r constraints/ros.txt -r constraints/robot.txt -r constraints/$(ONNXRUNTIME).txt -r constraints/workstation.txt -r constraints/dev.txt
	@touch $@

$(VENV)/.interfaces: $(VENV)/.wheels $(INTERFACE_SOURCES)
	$(PIP) install -q --no-build-isolation --no-deps --force-reinstall ./$(INTERFACES)
	@touch $@

$(VENV)/.packages: $(VENV)/.interfaces $(SOURCES)
	$(PIP) install -q --no-build-isolation --no-deps --force-reinstall $(addprefix ./,$(PACKAGES))
	@$(VENV)/bin/python constraints/link_executables.py $(PACKAGES)
	@touch $@
