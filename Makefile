# Everything works from a clean clone; "make test", "make demo", "make causes", "make storm", "make browser", "make bench" and "make lab-up" need root on Debian.
.DEFAULT_GOAL := help
VERSION = $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
ARCH = $(shell dpkg --print-architecture)
# The version that an upgrade comes from, as long as none has been released.
UNRELEASED = 0.0.9-1
# Where "make screenshots" puts its pictures.
PICTURES = $(or $(OUT),docs/pictures)
.PHONY: help build deb deb-twice deb-arm64 test templates rules prometheus boot-test soak fuzz demo causes evidence-cost storm browser screenshots bench lint advisories fmt lab-up lab-down setup

help: ## say what there is
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/\1|\2/p' Makefile | while IFS='|' read -r t d; do printf '  make %-12s %s\n' "$$t" "$$d"; done

build: ## the daemon, as it is shipped
	cargo build --locked --release

deb: ## the Debian package, its bill of materials, lintian's verdict and the sums, in target/deb
	packaging/deb/build.sh --all

deb-twice: ## build the package here and in a clone elsewhere: the bytes must be the same (takes two builds)
	packaging/deb/build.sh --twice

deb-arm64: ## the same package for arm64, built in a root file system of its own, and tried under qemu
	packaging/deb/build-arm64.sh

boot-test: ## install, run, upgrade, break and purge the package under a real systemd (SUITE=trixie: only there)
	@tests/setup.sh boot
	packaging/deb/build.sh
	$(if $(BEFORE),,DEB_VERSION=$(UNRELEASED) packaging/deb/build.sh)
	cargo build --locked --bin bothends --example aws-stand-in
	@python3 tests/boot/boot_test.py $(addprefix --suite ,$(SUITE)) --package target/deb/bothends_$(VERSION)-1_$(ARCH).deb \
	  --before $(or $(BEFORE),target/deb/bothends_$(UNRELEASED)_$(ARCH).deb) --stand-in target/debug/examples/aws-stand-in

test: setup templates rules ## install what the tests need, run every test, the lab's included
	tests/all.sh

templates: ## lint the CloudFormation templates and check their IAM
	@python=$$(tests/setup.sh cfn-lint) && PYTHONDONTWRITEBYTECODE=1 "$$python" -m unittest discover -q -s tests/aws

rules: ## check the Prometheus rules, what each alert fires on, what Alertmanager inhibits, and the form of the Grafana dashboards
	@tests/setup.sh prometheus
	promtool check rules packaging/prometheus/rules.yaml packaging/prometheus/slo.yaml
	promtool test rules tests/prometheus/*.yaml
	PYTHONDONTWRITEBYTECODE=1 python3 -m unittest discover -q -s tests/prometheus

prometheus: setup ## a real Prometheus scrapes a daemon through an outage: alerts, recorded series, every query of the dashboards (KEEP=1 leaves it running)
	@tests/setup.sh prometheus
	cargo build --locked --bin bothends --example aws-stand-in
	@KEEP=$(KEEP) PYTHONDONTWRITEBYTECODE=1 python3 tests/prometheus/live.py -q

soak: ## random cases of the properties once, then random schedules in the simulation until stopped (SOAK=600: for so many seconds; SEED=n: from there)
	@seed=$(or $(SEED),$$(od -An -N4 -tu4 /dev/urandom | tr -d ' ')); set -x; \
	  PROPTEST_RNG_SEED=$$seed cargo test --locked --lib --test core
	BOTHENDS_SCRIPTS=1000 cargo test --locked --config profile.dev.package.bothends.opt-level=2 --config profile.dev.package.bothends.debug-assertions=false \
	  --test core pages_are_causes -- --nocapture
	BOTHENDS_SOAK=$(or $(SOAK),0) BOTHENDS_SEED=$(or $(SEED),1000000) cargo test --locked --config profile.dev.package.bothends.opt-level=1 \
	  --test simulation soak -- --nocapture

fuzz: ## hostile neighbours: random answers for the parsers of every target, each for SECS=60 (TARGETS="vici frr"; needs a nightly Rust)
	@tests/setup.sh cargo-fuzz
	@fuzz/run.sh $(or $(SECS),60) $(TARGETS)

demo: setup ## two real tunnels, a story that checks itself (KEEP=1 leaves it running; SINK=ops_center or webhook)
	cargo build --locked --bin bothends --example aws-stand-in
	@SINK=$(SINK) python3 tests/demo/story.py

evidence-cost: setup ## what the evidence costs in CPU time, on two healthy tunnels (BIN=daemon; ROUNDS=3 SECONDS=60)
	$(if $(BIN),,cargo build --locked --release)
	cargo build --locked --example aws-stand-in
	@BIN=$(BIN) ROUNDS=$(ROUNDS) SECONDS=$(SECONDS) python3 tests/causes/cost.py

causes: setup ## how often the right cause is named: N=10 faults of each kind on real tunnels (KINDS="psk nat", SEED=n, JOBS=2, OUT=table.md)
	cargo build --locked --bin bothends --example aws-stand-in
	@cd tests/causes && PYTHONDONTWRITEBYTECODE=1 python3 -m unittest -q
	@N=$(N) KINDS="$(KINDS)" SEED=$(SEED) JOBS=$(JOBS) OUT=$(OUT) python3 tests/causes/causes.py

storm: setup ## everything that N=500 connections share is cut at once: pages, calls, lines, CPU (BEFORE=daemon to compare with, BIN=, SECONDS=210)
	$(if $(BIN),,cargo build --locked --release)
	cargo build --locked --example aws-stand-in
	@cd tests/storm && PYTHONDONTWRITEBYTECODE=1 python3 -m unittest -q
	@N=$(N) BIN=$(BIN) BEFORE=$(BEFORE) SECONDS=$(SECONDS) EC2=$(EC2) PERF=$(PERF) python3 tests/storm/storm.py

browser: setup ## the status page in Chromium: a break and a heal live, by keyboard, at 360 pixels, axe-core in light and dark
	cargo build --locked --bin bothends --example aws-stand-in
	@modules=$$(tests/setup.sh browser) && python3 tests/browser/run.py "$$modules"

screenshots: setup ## the pictures of docs/pictures: page, terminal and Prometheus' graph in an outage (OUT=directory)
	cargo build --locked --bin bothends --example aws-stand-in
	@mkdir -p $(PICTURES) && modules=$$(tests/setup.sh pictures) && \
	  SCREENSHOTS=$(PICTURES) python3 tests/browser/run.py "$$modules" && \
	  python3 tests/prometheus/picture.py "$$modules" $(PICTURES)/prometheus.png
	cd $(PICTURES) && for one in page-light page-dark page-phone terminal prometheus; do \
	  pngquant --force --ext .png --speed 1 --strip --nofs 28 $$one.png && zopflipng -y $$one.png $$one.png >/dev/null || exit; done

bench: setup ## how long a break takes to be known and told, and what an echo costs (BENCH_PROFILE=dev: with the tests' build)
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
