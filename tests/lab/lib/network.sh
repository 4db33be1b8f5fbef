# shellcheck shell=bash disable=SC2154,SC2086  # globals of lab.sh; tunnel numbers need no quotes
# Nodes, the links between them, and their addresses.

link() { # NODE_A IF_A ADDR_A NODE_B IF_B ADDR_B
  ip link add "$2" netns "$LAB_NAME-$1" type veth peer name "$5" netns "$LAB_NAME-$4"
  ns "$1" ip addr add "$3" dev "$2"; ns "$1" ip link set "$2" up
  ns "$4" ip addr add "$6" dev "$5"; ns "$4" ip link set "$5" up
}

network() {
  local n
  for n in $nodes; do
    ip netns add "$LAB_NAME-$n"
    ns "$n" ip link set lo up
    ns "$n" sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.all.rp_filter=0 \
      net.ipv4.conf.default.rp_filter=0 net.ipv6.conf.all.disable_ipv6=0
  done
  # ICMP datagram sockets for everybody, as systemd sets it on a real gateway.
  ns cgw sysctl -qw net.ipv4.ping_group_range='0 2147483647'
  link wan cgw 192.0.2.1/30 cgw eth0 "$cgw_out/30"
  ns cgw ip route add default via 192.0.2.1
  link wan transit 192.0.2.5/30 transit wan 192.0.2.6/30    # the hop whose absence a path trace shows
  ns transit ip route add 192.0.2.0/30 via 192.0.2.5
  ns cgw ip addr add 192.168.50.1/24 dev lo                 # the on-premises LAN
  ns vpc ip addr add 10.0.0.10/32 dev lo
  for n in 1 2; do
    ns cgw ip addr add "${tester[n]}/32" dev lo
    link transit aws$n "${transit_if[n]}/30" aws$n eth0 "${aws_out[n]}/30"
    ns wan ip route add "${aws_out[n]}" via 192.0.2.6
    ns aws$n ip route add default via "${transit_if[n]}"
    link aws$n vpc 10.0.255.$((n * 4 + 1))/30 vpc aws$n 10.0.255.$((n * 4 + 2))/30
    ns aws$n ip route add 10.0.0.0/16 via 10.0.255.$((n * 4 + 2))
  done
}

inside_ok() { ns cgw ping -nqc1 -W0.5 "${inside[$1]}1" >/dev/null 2>&1; }

no_processes() { [[ -z $(ip netns pids "$LAB_NAME-$1") ]]; }
remove_nodes() { # and whatever runs in them
  local n p
  for n in $nodes; do
    [[ -e /run/netns/$LAB_NAME-$n ]] || continue
    for p in $(ip netns pids "$LAB_NAME-$n" 2>/dev/null); do kill -KILL "$p" 2>/dev/null || true; done
  done
  for n in $nodes; do
    [[ -e /run/netns/$LAB_NAME-$n ]] || continue
    wait_for 5 no_processes "$n"
    ip netns del "$LAB_NAME-$n"
  done
}
