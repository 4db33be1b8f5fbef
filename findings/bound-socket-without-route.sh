#!/usr/bin/env bash
# Linux never says "no route" to an IPv4 socket that is bound to an interface: it takes every address for a neighbour on that link,
# also past a route of type prohibit or unreachable, and asks for its link-layer address. A monitor that binds to the uplink takes a
# deleted default route for a dead line. The same host over IPv6 is ENETUNREACH at once.
#
# Needs unshare, ip and ping (iputils); nothing is sent outside the namespace.
set -euo pipefail

script=$(mktemp)
trap 'rm -f "$script"' EXIT
cat >"$script" <<'SH'
set -u
ip link set lo up
ip link add uplink type veth peer name there
ip link set uplink up
ip link set there up
ip address add 192.0.2.1/24 dev uplink
ip -6 address add 2001:db8:1::1/64 dev uplink nodad
ip route add prohibit 203.0.113.0/24
sleep 1
code() { "$@" >/dev/null 2>&1; printf '%s' $?; }
# iputils: 2 is an error at sending, 1 is "sent, and no reply".
echo "unbound $(code ping -n -c 1 -W 1 198.51.100.9) bound $(code ping -n -c 1 -W 1 -I uplink 198.51.100.9)" \
    "prohibited $(code ping -n -c 1 -W 1 -I uplink 203.0.113.9) bound6 $(code ping -n -6 -c 1 -W 1 -I uplink 2001:db8:2::9)"
SH
echo "version:   Linux $(uname -r), $(ping -V | head -n 1)"
echo "behaviour: bound to an interface, an IPv4 echo without a route is sent; ping says 1 (no reply), not 2 (unreachable)"
said=$(unshare --map-root-user --net bash "$script")
echo "seen:      $said"
if [[ "$said" == "unbound 2 bound 1 prohibited 1 bound6 2" ]]; then
    echo "as found"
else
    echo "changed: see above" >&2
    exit 1
fi
