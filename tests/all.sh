#!/usr/bin/env bash
# Every test: "make test" calls it, after what the tests need is installed.
#
# The long simulation only calculates, and the tests on real tunnels mostly wait: it takes what they leave of the CPU. Its policy
# (SCHED_IDLE) lets everything else go first, so it delays no echo.
set -euo pipefail
cd "$(dirname "$0")/.."
long=two_thousand_schedules_break_no_promise

cargo test --locked --no-run
said=$(mktemp)
setsid chrt --idle 0 cargo test --locked --test simulation "$long" -- --nocapture >"$said" 2>&1 &
simulation=$!
trap 'kill -- "-$simulation" 2>/dev/null || true; rm -f "$said"' EXIT
failed=0
RUST_TEST_THREADS=6 cargo test --locked --no-fail-fast -- --skip "$long" || failed=1
make browser prometheus || failed=1
wait "$simulation" || failed=1
cat "$said"
exit "$failed"
