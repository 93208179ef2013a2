# The doors. `make demo` and `make test` need Python 3.11, a C compiler and Rust, and nothing else.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
PYTHON ?= python3.11
UV_VERSION := 0.13.9
UV := .tools/bin/uv
RUN := $(UV) run --frozen --no-sync
export UV_PYTHON_DOWNLOADS := never
export MATURIN_NO_INSTALL_RUST := 1
ARGS ?=
ALSO ?=  # groups beside dev; doors that `bench` opens keep them
# A process a core, a file at a time; whoever asks for a file or for -k, -s, --pdb is served sooner by one.
SPREAD = $(if $(filter tests/% -k% -s --pdb -n%,$(ARGS)),,-n auto --maxprocesses 8 --dist loadfile --no-loadscope-reorder)

.DEFAULT_GOAL := help
.PHONY: help demo test lint types bench interop fmt wheel ready

help:  ## list the doors
	@grep -hE '^[a-z]+:.*##' Makefile | sed -E 's/:[^#]*## */\t/' | expand -t 12

demo: ready  ## both networks on this machine: register, catalog, four live pictures, a voice
	@$(RUN) python -m interop.demo $(ARGS)

test: ready  ## the whole suite, no root, no system package
	cd native && cargo test --locked --quiet --workspace --lib --tests
	$(RUN) pytest -q $(SPREAD) $(ARGS)

lint: ready  ## format, lint, import contracts, clippy
	$(RUN) ruff format --check .
	$(RUN) ruff check .
	$(RUN) lint-imports
	cd native && cargo fmt --check && cargo clippy --locked --workspace --all-targets -- -D warnings

types: ready  ## mypy strict, and the native stubs against the native module
	$(RUN) mypy
	$(RUN) stubtest sip._native media._native cascade.manscdp._native cascade.model.index gateway.chamber._native interop.sim._native

bench: export ALSO := --group bench
bench: ready  ## measure every claim and draw docs/benchmarks.md
	@benchmarks/packages
	$(RUN) python -m benchmarks $(ARGS)

interop: export ALSO := --group interop
interop: ready  ## against independent programs (installs them from Debian when root)
	@interop/packages
	$(RUN) pytest -q interop/scenarios $(ARGS)

wheel: ready  ## both wheels and source archives into dist/, for machines without Rust
	$(UV) build --all-packages --out-dir dist
	@ls -1 dist

fmt: ready  ## format everything
	$(RUN) ruff format .
	$(RUN) ruff check --fix .
	cd native && cargo fmt

ready: $(UV)
	@command -v cargo >/dev/null || { echo "Lockgate builds a native part and found no Rust. Install Rust (cargo, 1.85 or newer), or take the wheels that 'make wheel' made elsewhere." >&2; exit 2; }
	@$(UV) sync --frozen --all-packages $(ALSO)

$(UV):
	@$(PYTHON) -m venv .tools || { echo "Lockgate needs $(PYTHON) with venv to bring its own tools. On Debian: apt-get install python3.11-venv." >&2; exit 2; }
	@.tools/bin/python -m pip install --quiet --disable-pip-version-check "uv==$(UV_VERSION)"
	@touch $@
