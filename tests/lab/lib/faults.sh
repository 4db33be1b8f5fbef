# shellcheck shell=bash disable=SC2154,SC2086  # globals of lab.sh; tunnel numbers need no quotes
# Real faults. A packet-filter fault is an nft table "fault_KINDn" in one node; healing deletes it.

drop() { # NODE FAULT RULE...: RULE applies to packets that NODE receives, before routing
  local node=$1 fault=$2; shift 2
  # With an add and a delete first, this replaces the table whether or not it exists.
  { echo "table inet fault_$fault; delete table inet fault_$fault"
    echo "table inet fault_$fault { chain c { type filter hook prerouting priority -300;"
    printf '%s\n' "$@"
    printf '}\n}\n'; } | ns "$node" nft -f -
}

break_() { # N KIND VALUE
  local n=$1 kind=$2 v=$3
  local to="iifname cgw ip daddr ${aws_out[n]}" from="iifname aws$n"
  case $kind in
    link)   ns wan ip link set aws$n down ;;                 # endpoint unplugged
    kill)   stop aws$n ;;                                    # endpoint's process dies
    ike)    echo >"$L/empty"                                 # endpoint deletes the tunnel
            swan aws$n --load-conns --file "$L/empty" >/dev/null
            swan aws$n --terminate --ike tunnel$n --timeout 5 >/dev/null || true ;;
    path)   drop wan path$n "$to udp dport { 500, 501, 4500, 4501 } drop" "$to meta l4proto esp drop" "$from drop" ;;
    dead)   drop aws$n dead$n "iifname ipsec0 drop" ;;       # IKE up, nothing passes inside
    icmp)   drop aws$n icmp$n "iifname ipsec0 icmp type echo-request drop" \
              "iifname ipsec0 icmpv6 type echo-request drop" ;;   # BGP stays
    bgp)    drop aws$n bgp$n "iifname ipsec0 tcp sport 179 drop" "iifname ipsec0 tcp dport 179 drop" ;;
    vpc)    drop aws$n vpc$n "iifname vpc drop" "iifname ipsec0 ip daddr 10.0.0.0/16 drop" ;;
    loss)   drop wan loss$n "$to numgen random mod 100 < ${v:-30} drop" ;;
    mtu)    drop wan mtu$n "$to meta length > ${v:-1000} drop" "$from meta length > ${v:-1000} drop" ;;
    delay)  stop delay$n
            spawn delay$n wan python3 "$here/delay.py" delay$n "${v:-200}"
            wait_for 5 ns wan ip link set delay$n up
            ns wan ip route add default dev delay$n table 10$n
            ns wan ip rule add iif cgw to "${aws_out[n]}" lookup 10$n ;;
    wan)    ns wan ip link set cgw down ;;                   # the gateway's whole uplink; N is ignored
    *)      die "KIND: link kill ike path dead icmp bgp vpc loss [%] mtu [bytes] delay [ms] wan" ;;
  esac
}

heal_start() { # N: undo every fault, whatever was broken
  local n=$1 node t
  ns wan ip link set cgw up
  ns wan ip link set aws$n up
  for node in wan aws$n; do
    for t in $(ns "$node" nft list tables inet | grep -o "fault_[a-z]*$n$"); do
      ns "$node" nft delete table inet "$t"
    done
  done
  while ns wan ip rule del lookup 10$n 2>/dev/null; do :; done
  stop delay$n
  [[ -e $L/aws$n.pid ]] || charon aws $n
  load aws$n
  inside_ok $n || reconnect $n
}

heal_finish() { wait_for 30 is_up "$1"; }
