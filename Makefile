# Everything that is done with skipthink, by name. Needs Python 3.11+ and Rust; all else is installed into .venv.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv pip
UV_FLAGS := --python $(BIN)/python
# compiled once here: where Python may not write bytecode, every process would compile torch and transformers anew
UV_INSTALL := $(UV) install $(UV_FLAGS) --compile-bytecode
JOBS ?= 2
# one torch thread a test process: the tests run side by side already
TEST_ENV := OMP_NUM_THREADS=1 TOKENIZERS_PARALLELISM=false HF_HUB_OFFLINE=1
export PYO3_PYTHON := $(abspath $(BIN)/python)
export UV_HTTP_TIMEOUT ?= 300

RUST_SOURCES := $(shell find rust -name '*.rs' -o -name 'Cargo.toml') Cargo.toml Cargo.lock
PYTHON_SOURCES := $(shell find python -name '*.py' -o -name '*.pyi' -o -name '*.yaml' -o -name 'py.typed' -o -path '*/assets/*')

# A wheel for Linux is linked by zig against the symbols of glibc 2.17, so that it runs on every distribution since
# 2014; what is built elsewhere, or without zig, asks for the system libraries of the machine it is built on.
ifeq ($(shell uname -s),Linux)
PORTABLE := --zig --target $(shell uname -m)-unknown-linux-gnu --compatibility manylinux2014
endif
HAS_ZIG = $(BIN)/python -m ziglang version >/dev/null 2>&1

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

.PHONY: help
help: ## Shows this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: env
env: $(VENV)/.build.stamp ## Makes .venv: dependencies as in constraints.txt, and skipthink as a built wheel

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "skipthink needs Python 3.11 or newer: make PYTHON=python3.11 …")'
	$(PYTHON) -m venv $(VENV)

$(BIN)/uv: | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt uv

$(VENV)/.deps.stamp: pyproject.toml constraints.txt | $(BIN)/uv
	$(UV_INSTALL) -c constraints.txt maturin -r pyproject.toml --extra train --extra teacher --extra math --group dev --group engines
	@touch $@

# the wheel is what users get, so it is what is tested
$(VENV)/.build.stamp: $(VENV)/.deps.stamp $(RUST_SOURCES) $(PYTHON_SOURCES) README.md LICENSE
	@command -v cargo >/dev/null || { echo "skipthink is built with Rust: install it and try again"; exit 1; }
	rm -rf dist/local
	@flags="$(PORTABLE)"; if [ -n "$$flags" ] && ! $(HAS_ZIG); then flags=; \
	echo "zig does not run here (pip install ziglang): this wheel will run on machines like this one alone"; fi; \
	PATH="$(abspath $(BIN)):$$PATH" maturin build --release --locked --out dist/local --interpreter $(BIN)/python $$flags
	$(UV_INSTALL) --no-deps --force-reinstall dist/local/*.whl
	@touch $@

.PHONY: demo
demo: env ## Distils the students of recipes/demo.yaml and prints their table
	$(BIN)/skipthink run recipes/demo.yaml

.PHONY: test
test: test-rust lint docs test-python ## Everything CI runs

.PHONY: check
check: test ## The same as test

.PHONY: test-rust
test-rust: $(VENV)/.deps.stamp ## Tests of the core
	@if cargo nextest --version >/dev/null 2>&1; then cargo nextest run --locked -p skipthink-core && cargo test --locked -p skipthink-core --doc; \
	else cargo test --locked -p skipthink-core; fi

.PHONY: test-python
test-python: env ## Tests of the package, README and pipeline
	@command -v chromium >/dev/null || command -v google-chrome >/dev/null || \
	echo "no Chromium here: tests that look at reports in a browser are left out (apt-get install chromium)"
	$(TEST_ENV) $(BIN)/python -m pytest -n $(JOBS) --dist loadgroup

.PHONY: test-quick
test-quick: env ## The same less what trains a student
	$(TEST_ENV) $(BIN)/python -m pytest -n $(JOBS) --dist loadgroup -m 'not slow'

# Spark takes minutes to install, which `make test` is not to pay for
$(VENV)/.spark.stamp: $(VENV)/.deps.stamp
	$(UV_INSTALL) -c constraints.txt --group spark
	@touch $@

.PHONY: test-spark
test-spark: env $(VENV)/.spark.stamp ## Tests of batch functions in Spark, which it installs; needs a Java
	$(TEST_ENV) $(BIN)/python -m pytest tests/stream/test_engines.py tests/stream/test_clusters.py -k 'Spark or spark'

.PHONY: lint
lint: env ## Formatting, clippy, ruff, mypy: nothing is changed
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

# what the docs site is built with
$(VENV)/.docs.stamp: $(VENV)/.deps.stamp
	$(UV_INSTALL) -c constraints.txt --group docs
	@touch $@

.PHONY: docs
docs: env $(VENV)/.docs.stamp ## Builds the docs site into build/site: a warning or a dead link is an error
	$(TEST_ENV) $(BIN)/sphinx-build -q -W --keep-going -d build/doctrees -c docs . build/site
	$(BIN)/python docs/site/check.py build/site

.PHONY: fmt
fmt: $(VENV)/.deps.stamp ## Formats Rust and Python
	cargo fmt --all
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

.PHONY: wheel
wheel: env ## Puts the wheel that is tested, and the source distribution, into dist/
	rm -f dist/*.whl dist/*.tar.gz
	cp dist/local/*.whl dist/
	$(BIN)/maturin sdist --out dist

# the libraries the benchmarks compare with
$(VENV)/.bench.stamp: $(VENV)/.deps.stamp
	$(UV_INSTALL) -c constraints.txt --group bench
	@touch $@

.PHONY: fuzz
fuzz: FUZZ_SECONDS ?= 60
fuzz: ## Feeds each fuzz target what breaks it, FUZZ_SECONDS long (60)
	@cargo fuzz --version >/dev/null 2>&1 || { echo "needs cargo-fuzz: cargo install cargo-fuzz --locked"; exit 1; }
	@# the core is safe code, so no sanitizer is needed, and with none of them a stable compiler will do
	for target in $$(cargo fuzz list); do \
		cargo fuzz run --sanitizer none $$target -- -max_total_time=$(FUZZ_SECONDS) || exit 1; done

.PHONY: bench
bench: env $(VENV)/.bench.stamp ## Times every call beside its peers, writes bench/README.md
	OMP_NUM_THREADS=1 $(BIN)/python bench/report.py

.PHONY: bench-quick
bench-quick: env $(VENV)/.bench.stamp ## A shorter run of the same, printed
	OMP_NUM_THREADS=1 $(BIN)/python bench/report.py --quick

.PHONY: bench-gap
bench-gap: env ## How far greedy search and annealing end above the optimum on real losses
	$(TEST_ENV) $(BIN)/python bench/gap.py

.PHONY: bench-instructions
bench-instructions: $(VENV)/.deps.stamp ## Counts instructions under valgrind, fails where one has grown
	$(BIN)/python bench/instructions.py

.PHONY: constraints
constraints: | $(BIN)/uv ## Writes the newest versions that fit into constraints.txt
	@echo '# Exact versions last tested; regenerate with: make constraints' > constraints.new
	@printf 'maturin\nuv\n' | $(UV) compile pyproject.toml - $(UV_FLAGS) --extra train --extra teacher --extra math --group dev --group engines --group spark --group docs --group bench --upgrade --no-header --no-annotate --no-emit-index-url --no-emit-find-links --quiet >> constraints.new
	@mv constraints.new constraints.txt

.PHONY: clean
clean: ## Removes what was built and run, not .venv
	rm -rf target dist build runs $(VENV)/.build.stamp .pytest_cache .hypothesis .mypy_cache .ruff_cache
