#!/usr/bin/env bash
# Two real AWS-style IPsec tunnels (IKEv2, PSK, a link-local /30 and a ULA /126 inside each, BGP) on one
# machine, in network namespaces and without kernel ESP: strongSwan's kernel-libipsec. Needs root.
#
#   lab.sh up | down | status
#   lab.sh break KIND TUNNEL [VALUE]     TUNNEL: 1, 2 or all; kinds: README.md
#   lab.sh heal TUNNEL                   undoes every fault; returns when the tunnel is up at both ends
#   lab.sh aws-view                      what AWS would report: OUTSIDE_IP UP|DOWN MESSAGE, a line per tunnel
#   lab.sh exec NODE CMD...              NODE: cgw, wan, transit, aws1, aws2, vpc
#
#                                      +-- aws1 203.0.113.2  (169.254.10.1, fd00:10::1) --+
#  cgw ------- wan -------- transit ---+                                                  +-- vpc 10.0.0.10
#  192.0.2.2   192.0.2.1    192.0.2.6  +-- aws2 198.51.100.2 (169.254.20.1, fd00:20::1) --+
#
# LAB_NAME   prefix of the namespaces' names (default bothends): labs of different names are independent
# LAB_OWNER  the process that uses the lab; while it lives, no "up" and no other owner's "down" removes the lab
# LAB_BGP    the gateway's BGP daemon: bird (default) or frr
# LAB_DPD, LAB_RETRANSMIT, LAB_BGP_HOLD  seconds; see README.md, "Timers"

# shellcheck disable=SC2034,SC2154,SC2086  # used by the parts; tunnel numbers need no quotes
set -euo pipefail

# Some shells of root lack the directories of swanctl, bird and nft.
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

LAB_NAME=${LAB_NAME:-bothends}
L=${LAB_DIR:-/run/$LAB_NAME-lab}           # configurations, sockets, pids, logs
dpd=${LAB_DPD:-1}
retransmit=${LAB_RETRANSMIT:-0.8}
bgp_hold=${LAB_BGP_HOLD:-4}

bgp_daemon=${LAB_BGP:-bird}

nodes='cgw wan transit aws1 aws2 vpc'
cgw_out=192.0.2.2
aws_out=([1]=203.0.113.2 [2]=198.51.100.2)
transit_if=([1]=203.0.113.1 [2]=198.51.100.1)
inside=([1]=169.254.10. [2]=169.254.20.)   # + 1 is AWS's end, + 2 the gateway's
inside6=([1]=fd00:10:: [2]=fd00:20::)      # the same
tester=([1]=192.168.50.11 [2]=192.168.50.12)   # a LAN address that is announced over this tunnel only

here=$(dirname "$(readlink -f "$0")")
for part in process network ipsec bgp view faults; do
  # shellcheck source=/dev/null
  source "$here/lib/$part.sh"
done

up() {
  local n
  if somebody_elses; then
    die "$LAB_NAME is in use by process $owner; another LAB_NAME leaves it alone, \"lab.sh down\" ends it"
  fi
  down
  mkdir -p "$L"
  echo "${LAB_OWNER:-}" >"$L/owner"
  [[ $bgp_daemon == bird || $bgp_daemon == frr ]] || die "LAB_BGP: bird or frr"
  trap 'failed=$?; trap - EXIT; (( failed == 0 )) || { show_logs >&2; down; }; exit $failed' EXIT
  network
  for n in 1 2; do charon aws $n; done
  for n in 1 2; do charon cgw $n; done
  bgp
  for n in 1 2; do wait_for 30 is_up $n; done
}

somebody_elses() { # sets owner
  owner=$(cat "$L/owner" 2>/dev/null || true)
  [[ -n $owner && $owner != "${LAB_OWNER:-}" && -d /proc/$owner ]]
}

down() {
  remove_nodes
  rm -rf "$L"
}

status() {
  local n sa
  is_there
  for n in 1 2; do
    sa=$(swan cgw$n --list-sas --raw 2>/dev/null | grep -o 'state=[A-Z]*' | tr '\n' ' ' || true)
    printf 'tunnel %s  gateway: %-40s ping %-5s aws: %s\n' $n "${sa:-no SA}" \
      "$(inside_ok $n && echo ok || echo FAILS)" "$(tunnel_view $n)"
  done
  printf 'VPC host from the LAN: ping %s\n' \
    "$(ns cgw ping -nqc1 -W1 -I 192.168.50.1 10.0.0.10 >/dev/null 2>&1 && echo ok || echo FAILS)"
}

each_tunnel() { # 1|2|all CMD ARGS...: CMD TUNNEL ARGS
  local list n cmd=${2:-}
  case ${1:-} in 1|2) list=$1 ;; all) list='1 2' ;; *) die "TUNNEL: 1, 2 or all" ;; esac
  shift 2
  is_there
  for n in $list; do "$cmd" "$n" "$@"; done
}

[[ $EUID == 0 ]] || die "needs root"
case ${1:-} in
  up)       lock; up ;;
  down)     lock; if [[ -z ${LAB_OWNER:-} ]] || ! somebody_elses; then down; fi ;;
  break)    lock; each_tunnel "${3:-}" break_ "${2:-}" "${4:-}" ;;
  heal)     lock; each_tunnel "${2:-}" heal_start; each_tunnel "$2" heal_finish ;;
  status)   status ;;
  aws-view) aws_view ;;
  exec)     shift; ns "$@" ;;
  *)        sed -n '2,/^$/s/^# \{0,1\}//p' "$0"; exit 64 ;;
esac
