# Two commands on a fresh Debian 12 machine with Rust do everything: `make demo` and `make test`.
# The rest are the steps they are made of.

CARGO ?= cargo
LAB    = target/release/mvpnlab
# The monitor with planted faults: another target directory, so that no release build ever has the feature.
PLANTED = target/planted/release/vmscope

.PHONY: demo test setup build planted image lint unit bench conformance doctor clean-lab

## Sets up, builds, and checks the monitor against the paper's Table 1.
demo: setup build image
	$(LAB) run scenarios/vmscope/table1.toml --out target/demo
	@echo "report: target/demo/table1/report.html"

## Everything: units, simulation in virtual time, every scenario in the sealed lab, every planted fault.
test: setup build planted image
	ci/test

setup:
	ci/setup

build:
	$(CARGO) build --release --locked -p mvpnlab -p vmscope

planted:
	$(CARGO) build --release --locked -p vmscope --features planted-faults --target-dir target/planted

image: build
	$(LAB) image

lint:
	$(CARGO) fmt --all --check
	$(CARGO) clippy --release --workspace --all-targets --locked -- -D warnings

## Only what needs no lab.
unit: build
	$(CARGO) test --release --locked --workspace --lib --bins

## What the monitor can take on this machine, as root, in namespaces of its own, two minutes; see monitor/bench/BENCH.md.
## BENCH="paced --json" makes one measurement, BENCH=--help says which there are.
bench: build
	$(CARGO) build --release --locked -p vmscope-bench
	target/release/vmscope-bench --vmscope target/release/vmscope $(BENCH)

doctor: build
	$(LAB) doctor
