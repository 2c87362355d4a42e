# make run     the demo, with the exporter watching it
# make test    everything that decides whether a change is good
# make stack   the whole stack on a container engine: up, killed, stopped, up again
# make check   the part of it that runs no test: style, types, direction of imports
# make dashboards   what Grafana reads, written anew from grafana/build/
# make bench   what things cost, beside others, written to tests/bench/README.md; ARGS=probe: that alone
# make lock    take in new versions of what is depended on
#
# Each sets up what is missing first: a virtual environment here, and with apt, as root, the programs beside it.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
TOOLS := .cache/tools
RENDER := tests/grafana/render
export PATH := $(CURDIR)/$(TOOLS)/usr/bin:$(PATH):/usr/sbin
APT := DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300

.PHONY: help run test stack check dashboards bench format lock clean database dump prometheus alertmanager rivals curl systemd node

help:
	@sed -n 's/^# \(make\)/\1/p' Makefile

run: $(BIN)/.ready database
	@exec $(BIN)/uptime-exporter demo

test: check database dump prometheus alertmanager curl systemd node
	$(BIN)/python -m pytest -n auto $(ARGS)

stack: $(BIN)/.ready
	tests/stack/prove

check: $(BIN)/.ready
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

dashboards: $(BIN)/.ready
	$(BIN)/python -m grafana.build

bench: $(BIN)/.ready database prometheus rivals
	$(BIN)/python tests/bench/run.py $(ARGS)

format: $(BIN)/.ready
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

lock: $(BIN)/.ready
	$(BIN)/python -m pip install --quiet uv
	{ echo '# What is tested and installed, by version and hash. `make lock` writes it.'; \
	  $(BIN)/uv pip compile --quiet --upgrade --universal --generate-hashes --no-annotate --no-header \
	    --python-version 3.11 --all-extras --group dev pyproject.toml; } > requirements.lock

clean:
	rm -rf .venv .cache .*_cache .hypothesis

$(BIN)/.ready: requirements.lock pyproject.toml
	@if [ ! -x $(BIN)/pip ] && ! $(PYTHON) -m venv --clear .venv >/dev/null 2>&1; then \
	  echo "setting up: python3-venv"; \
	  $(call install,python3-venv,it makes the virtual environment) && $(PYTHON) -m venv --clear .venv; fi
	@echo "setting up: what requirements.lock names"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

# The demo's and the tests' private database server; its data lives in a temporary folder.
database:
	@if ! { command -v mariadbd && command -v my_print_defaults; } >/dev/null \
	  && { command -v mariadbd || ! command -v mysqld; } >/dev/null; then \
	  echo "setting up: a database server for the demo"; \
	  $(call install,mariadb-server-core mariadb-client-core,the demo and the tests start it) \
	    || echo "going on without one"; fi

# Unpacked rather than installed: the packages would start services of their own.
prometheus:
	@if ! command -v promtool >/dev/null; then $(call unpack,prometheus); fi

alertmanager:
	@if ! command -v amtool >/dev/null; then $(call unpack,prometheus-alertmanager); fi
	@shared=share/prometheus/alertmanager; \
	if [ ! -e /usr/$$shared ] && [ "$$(id -u)" = 0 ]; then mkdir -p /usr/share/prometheus; \
	  cp -r $(TOOLS)/usr/$$shared /usr/share/prometheus/; fi # Debian's build reads its templates there and nowhere else

# Measured against.
rivals:
	@if ! command -v prometheus-blackbox-exporter >/dev/null; then $(call unpack,prometheus-blackbox-exporter); fi
	@if ! command -v prometheus-mysqld-exporter >/dev/null; then $(call unpack,prometheus-mysqld-exporter); fi

# Beside the private server the tests back it up.
dump:
	@if ! command -v mariadb-dump >/dev/null; then $(call unpack,mariadb-client); fi

curl:
	@if ! command -v curl >/dev/null; then $(call install,curl,README and the demo show commands with it); fi

# Grafana's own panels, and a browser to draw the dashboards with them.
node:
	@if ! command -v npm >/dev/null; then \
	  echo "going on without Node: no dashboard is drawn (node 20 or newer, and npm)"; \
	else \
	  if ! command -v chromium >/dev/null; then echo "setting up: chromium"; \
	    $(call install,chromium,the dashboards are drawn in it) || echo "going on without one"; fi; \
	  $(MAKE) --silent --no-print-directory $(RENDER)/node_modules/.package-lock.json; fi

$(RENDER)/node_modules/.package-lock.json: $(RENDER)/package-lock.json
	@echo "setting up: what $< names"
	@cd $(RENDER) && npm ci --ignore-scripts --legacy-peer-deps --loglevel=error >/dev/null
	@touch $@

systemd:
	@if ! command -v systemd-analyze >/dev/null; then \
	  $(call install,systemd,it judges the unit) || echo "going on without it"; fi

# $(call install,PACKAGES,WHAT FOR)
install = if [ "$$(id -u)" = 0 ]; then $(refresh) && $(APT) install -y --no-install-recommends $(1) >/dev/null; \
	  else echo "$(1) is missing ($(2)): sudo apt-get install --no-install-recommends $(1)" >&2; false; fi
unpack = echo "setting up: $(1)"; mkdir -p $(TOOLS)/deb; cd $(TOOLS)/deb; $(refresh); \
	  apt-get -qq -o APT::Sandbox::User=root download $(1); dpkg-deb -x $(1)_*.deb ..
refresh = if [ "$$(id -u)" = 0 ]; then $(APT) update; fi
