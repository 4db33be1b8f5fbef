#!/usr/bin/env bash
# Fuzzes the parsers of what neighbours answer: every target for so many seconds, or those that are named.
#
#   run.sh SECONDS [TARGET]...
#
# Needs a nightly Rust and cargo-fuzz. What is found is in fuzz/artifacts, and the run fails.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=$1
shift

# Of the rest of the dependencies the versions that are shipped.
cp Cargo.lock fuzz/Cargo.lock
# The engine finds what panics and what is not true; for memory errors the sanitizers would search code without "unsafe".
fuzz() { local does=$1; shift; cargo +nightly fuzz "$does" --sanitizer none "$@"; }

# Real answers, where the tests have them: directories, with no blank in their names.
seeds() {
  case $1 in
    vici) echo tests/vici ;;
    bird) # and a route
      printf '%b' "$(grep -oEm 1 '1007-Table [^"]+' src/sensors/bgp/bird_reply.rs)" >"$made/route"
      echo src/sensors/bgp/samples "$made" ;;
    frr) echo src/sensors/bgp/samples ;;
    charon_log) # the lines in the tests
      grep -oE '[0-9]+ (NET|ENC|IKE) [^"\\]+' src/sensors/ipsec/refusals.rs >"$made/recorded"
      echo "$made" ;;
    kernel) # this machine's
      cp /proc/net/dev "$made"
      cp /proc/net/xfrm_stat "$made" 2>/dev/null || printf 'XfrmInError \t0\nXfrmOutNoStates \t12\n' >"$made/xfrm_stat"
      echo "$made" ;;
  esac
}

fuzz build
failed=()
for target in ${*:-$(cargo +nightly fuzz list)}; do
  echo "== $target"
  made=$(mktemp -d)
  mkdir -p "fuzz/corpus/$target"
  read -ra seeds < <(seeds "$target")
  fuzz run "$target" "fuzz/corpus/$target" "${seeds[@]}" -- \
    -max_total_time="$seconds" -max_len=65536 -timeout=5 -rss_limit_mb=512 -print_final_stats=1 || failed+=("$target")
  rm -rf "$made"
done
(( ${#failed[@]} == 0 )) || { echo "fuzz: found something in ${failed[*]}" >&2; exit 1; }
