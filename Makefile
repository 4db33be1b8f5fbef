# Everything works from a clean clone; "make test", "make demo", "make bench" and "make lab-up" need root on Debian.
.DEFAULT_GOAL := help
.PHONY: help build test soak demo bench lint advisories fmt lab-up lab-down setup

help: ## say what there is
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/\1|\2/p' Makefile | while IFS='|' read -r t d; do printf '  make %-12s %s\n' "$$t" "$$d"; done

build: ## the daemon, as it is shipped
	cargo build --locked --release

test: setup ## install what the tests need, run every test, the lab's included
	RUST_TEST_THREADS=6 cargo test --locked --no-fail-fast

soak: ## play random schedules in the simulation until stopped (SOAK=600: for so many seconds; SEED=n: from there)
	BOTHENDS_SOAK=$(or $(SOAK),0) BOTHENDS_SEED=$(or $(SEED),1000000) cargo test --locked --test simulation soak -- --nocapture

demo: setup ## two real tunnels, a story that checks itself (KEEP=1 leaves it running; SINK=ops_center or webhook)
	cargo build --locked --bin bothends --example aws-stand-in
	@SINK=$(SINK) python3 tests/demo/story.py

bench: setup ## how long a break takes to be known and told (BENCH_PROFILE=dev: with the tests' build)
	cargo bench --locked $(if $(BENCH_PROFILE),--profile $(BENCH_PROFILE))

lint: ## formatting, clippy, licences and banned dependencies
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
	@tests/setup.sh cargo-deny
	cargo deny --locked check bans licenses sources

advisories: ## known vulnerabilities in dependencies (needs the advisory database from GitHub)
	@tests/setup.sh cargo-deny
	cargo deny --locked check advisories

fmt: ## format the code
	cargo fmt

lab-up: setup ## bring up the lab of real tunnels (tests/lab/README.md)
	@tests/lab/lab.sh up
	@tests/lab/lab.sh status

lab-down: ## take the lab down
	@tests/lab/lab.sh down

setup:
	@tests/setup.sh
