# make run    sets everything up and starts the demo
# make test   sets everything up and runs every check and test
SHELL := /bin/bash
VENV := .venv
BIN := $(VENV)/bin
VENDOR := static/vendor/socket.io.esm.min.js

FUZZED := fuzz-stun fuzz-rtp fuzz-rtcp fuzz-sdp

.PHONY: run test setup setup-test check types pages pytest lock clean screenshots bench-connect bench-ledger bench-lines \
  bench-media soak fuzz $(FUZZED)

run: setup
	@exec $(BIN)/wenzhen serve --demo $(ARGS)

test: setup-test check pages pytest

setup: $(VENV)/.installed $(VENDOR)

setup-test: setup $(VENV)/.installed-test node_modules/.installed-test
	@bash tools/test-machine.sh

# --- what the machine lacks ---------------------------------------------------------------

$(VENV)/bin/python:
	@bash tools/bootstrap.sh $(VENV)

$(VENV)/.installed: requirements.lock pyproject.toml | $(VENV)/bin/python
	@echo "Installing the Python packages of requirements.lock ..."
	@$(BIN)/pip install -q --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e . \
	  || $(BIN)/pip install -q --disable-pip-version-check --no-deps -e .
	@touch $@

$(VENV)/.installed-test: requirements-dev.lock | $(VENV)/.installed
	@echo "Installing the Python packages of requirements-dev.lock ..."
	@$(BIN)/pip install -q --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@touch $@

$(VENDOR): package-lock.json | $(VENV)/.installed
	@bash tools/npm.sh $(VENV) ci --omit=dev
	@rm -f node_modules/.installed-test
	@mkdir -p $(@D) && cp node_modules/socket.io-client/dist/socket.io.esm.min.js $@

node_modules/.installed-test: package-lock.json | $(VENDOR)
	@bash tools/npm.sh $(VENV) ci
	@touch $@

# --- checks -------------------------------------------------------------------------------

check:
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

pages:
	bash tools/npm.sh $(VENV) run -s typecheck
	bash tools/npm.sh $(VENV) test -s

# All of them: two at once but for those with browsers, which take both cores. ARGS: only those.
pytest:
ifdef ARGS
	$(BIN)/pytest $(ARGS)
else
	$(BIN)/pytest -q -n 2 --dist worksteal --ignore=tests/e2e
	$(BIN)/pytest -q tests/e2e
endif

# --- fuzzing ------------------------------------------------------------------------------

# Each target for SECONDS, two at once; what reaches new code joins tests/fuzz/corpus.
SECONDS ?= 300
fuzz: setup-test
	@$(MAKE) --no-print-directory -j2 $(FUZZED)

$(FUZZED): fuzz-%:
	$(BIN)/python -m tests.fuzz.run $* $(SECONDS)

# --- figures ------------------------------------------------------------------------------

bench-connect: setup-test
	$(BIN)/python -m benchmarks.connect $(ARGS)

# CONDITIONS="loss10 outage": some of them; SYSTEMS=wenzhen: without Janus. Needs root.
bench-lines: setup-test
	@bash tools/bench-machine.sh
	@$(BIN)/python -m benchmarks.lines $(CONDITIONS) $(if $(SYSTEMS),--systems $(SYSTEMS))

# CALLS="1 15 30" ROUNDS=2 SECONDS_EACH=12 CHART=docs/images/media-cpu.svg; MOST=1: what a core carries;
# REALTIME=1: servers before all else, for a machine with other work.
bench-media: $(VENV)/.installed-test
	@bash tools/bench-machine.sh
	@$(BIN)/python -m benchmarks.media $(if $(CALLS),--calls "$(CALLS)") \
	  $(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(SECONDS_EACH),--seconds $(SECONDS_EACH)) \
	  $(if $(CHART),--chart $(CHART)) $(if $(MOST),--most) $(if $(REALTIME),--realtime) $(ARGS)

# RECORDS=100000 DATABASE=sqlite|postgresql
bench-ledger: setup-test
	@$(BIN)/python -m benchmarks.ledger $(if $(RECORDS),--records $(RECORDS)) \
	  $(if $(DATABASE),--database $(DATABASE)) $(ARGS)

# CALLS=30 MINUTES=60
soak: setup-test
	@bash tools/bench-machine.sh
	@$(BIN)/python -m benchmarks.soak $(if $(CALLS),--calls $(CALLS)) \
	  $(if $(MINUTES),--minutes $(MINUTES))

screenshots: setup-test
	$(BIN)/python -m tests.e2e.screenshots $(ARGS)
	$(BIN)/python -m tests.e2e.billing_screenshots $(ARGS)

# --- upkeep -------------------------------------------------------------------------------

PIP_COMPILE := $(BIN)/pip-compile -q --strip-extras --generate-hashes --allow-unsafe \
  --no-emit-find-links --no-emit-index-url --no-emit-trusted-host --no-emit-options
# pip-compile drops the marker of an extra's requirement; there are wheels for these only.
HAS_ATHERIS := platform_system == 'Linux' and platform_machine == 'x86_64' and python_version < '3.14'
lock: setup-test
	$(PIP_COMPILE) -o requirements.lock pyproject.toml
	$(PIP_COMPILE) --extra dev -c requirements.lock -o requirements-dev.lock pyproject.toml
	sed -i "s/^\(atheris==[^ ;]*\).*/\1 ; $(HAS_ATHERIS) \\\\/" requirements-dev.lock

clean:
	rm -rf $(VENV) node_modules static/vendor build test-results
