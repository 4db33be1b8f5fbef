# shellcheck shell=bash disable=SC2154,SC2086  # globals of lab.sh; tunnel numbers need no quotes
# Runs programs in the lab's nodes, and ends them by their process ids.

die() { echo "lab: $*" >&2; exit 1; }

is_there() { [[ -d $L && -e /run/netns/$LAB_NAME-cgw ]] || die "$LAB_NAME is not up"; }

# Commands that change one lab wait for each other. Background processes must not inherit descriptor 9.
lock() {
  exec 9>"$L.lock"
  flock -w 120 9 || die "another command holds $L.lock"
}

ns() { local n=$1; shift; ip netns exec "$LAB_NAME-$n" "$@"; }

wait_for() { # SECONDS CMD...
  local end=$((SECONDS + $1)); shift
  until "$@" >/dev/null 2>&1; do
    (( SECONDS < end )) || die "timed out: $*"
    sleep 0.05
  done
}

# Debian's AppArmor profiles keep strongSwan out of every directory but its own; without AppArmor the
# write fails, which does no harm.
unconfined() {
  { echo 'exec unconfined' >/proc/self/attr/exec; } 2>/dev/null || true
  exec "$@"
}

spawn() { # NAME NODE CMD...: start in the background, remember the pid
  local name=$1 node=$2; shift 2
  unconfined ip netns exec "$LAB_NAME-$node" setsid "$@" </dev/null >>"$L/$name.out" 2>&1 9>&- &
  echo $! >"$L/$name.pid"
}

# A zombie counts as gone: with a slow init it stays for a second.
gone() { ! grep -qs '^State:[[:space:]]*[^ZX]' "/proc/$1/status"; }

stop() { # NAME [SIGNAL]
  local pid
  pid=$(cat "$L/$1.pid" 2>/dev/null) || return 0
  rm -f "$L/$1.pid"
  kill -"${2:-KILL}" "$pid" 2>/dev/null || return 0
  wait_for 5 gone "$pid"
}

show_logs() {
  local f
  for f in "$L"/*.out "$L"/*.log "$L"/frr/*.log; do
    [[ -s $f ]] || continue
    echo "--- ${f##*/}"
    tail -n 15 "$f"
  done
}
