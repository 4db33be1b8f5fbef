#!/usr/bin/env bash
# Every test: "make test" calls it, after what the tests need is installed.
#
# The core and the simulation only calculate. Optimised they take a seventh of the time, which saves more than the second build costs.
# They run on what the other tests, which mostly wait for real tunnels, leave of the CPU: their policy (SCHED_IDLE) lets everything else
# go first, so they delay no echo.
set -euo pipefail
cd "$(dirname "$0")/.."
calculate=(--test core --test simulation --config profile.dev.package.bothends.opt-level=1)
others=(--lib --bins)
for path in tests/*.rs tests/*/main.rs; do
  name=${path#tests/}
  name=${name%.rs}
  name=${name%/main}
  [[ $name == core || $name == simulation ]] || others+=(--test "$name")
done

cargo test --locked --no-run "${others[@]}"
cargo test --locked --no-run "${calculate[@]}"
said=$(mktemp)
setsid chrt --idle 0 cargo test --locked --no-fail-fast "${calculate[@]}" >"$said" 2>&1 &
calculating=$!
trap 'kill -- "-$calculating" 2>/dev/null || true; rm -f "$said"' EXIT
failed=0
RUST_TEST_THREADS=6 cargo test --locked --no-fail-fast "${others[@]}" || failed=1
make browser prometheus || failed=1
wait "$calculating" || failed=1
cat "$said"
exit "$failed"
