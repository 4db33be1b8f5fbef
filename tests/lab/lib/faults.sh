# shellcheck shell=bash disable=SC2154,SC2086  # globals of lab.sh; tunnel numbers need no quotes
# Real faults. A packet-filter fault is an nft table "fault_KINDn" in one node; healing deletes it.

drop() { # NODE FAULT HOOK RULE...
  local node=$1 fault=$2 hook=$3; shift 3
  table "$node" "$fault" "type filter hook $hook priority -300;" "$@"
}

map() { # N ADDRESS PORT: stateless NAT for tunnel N's UDP; what comes to the old address and port is lost
  local natt=$((4499 + $1))
  table wan nat$1 "type filter hook postrouting priority 300;" \
    "ip saddr $cgw_out ip daddr ${aws_out[$1]} udp sport $natt udp sport set $3" \
    "ip saddr $cgw_out ip daddr ${aws_out[$1]} meta l4proto udp ip saddr set $2" \
    "}" "chain back { type filter hook prerouting priority -300;" \
    "ip saddr ${aws_out[$1]} ip daddr $cgw_out udp dport $natt drop" \
    "ip saddr ${aws_out[$1]} ip daddr $2 udp dport $3 udp dport set $natt" \
    "ip saddr ${aws_out[$1]} ip daddr $2 meta l4proto udp ip daddr set $cgw_out"
}

table() { # NODE FAULT CHAIN RULE...
  local node=$1 fault=$2 chain=$3; shift 3
  # With an add and a delete first, this replaces the table whether or not it exists.
  { echo "table inet fault_$fault; delete table inet fault_$fault"
    echo "table inet fault_$fault { chain c { $chain"
    printf '%s\n' "$@"
    printf '}\n}\n'; } | ns "$node" nft -f -
}

break_() { # N KIND VALUE
  local n=$1 kind=$2 v=$3
  local to="iifname wan ip daddr ${aws_out[n]}" from="iifname aws$n"
  case $kind in
    link)   ns transit ip link set aws$n down ;;             # endpoint unplugged
    kill)   stop aws$n ;;                                    # endpoint's process dies
    ike)    echo >"$L/empty"                                 # endpoint deletes the tunnel
            swan aws$n --load-conns --file "$L/empty" >/dev/null
            end_ike aws$n $n ;;
    psk)    other_end $n "s/lab-secret/other-secret/" ;;     # endpoint gets another pre-shared key
    proposal) case ${v:-ike} in                              # ... or other algorithms
              ike) other_end $n "s/ proposals = .*/ proposals = aes256-sha384-modp3072/" ;;
              esp) other_end $n "s/esp_proposals = .*/esp_proposals = aes256-sha384/" ;;
              *)   die "proposal: ike or esp" ;;
            esac ;;
    path)   drop transit path$n forward "$to udp dport { 500, 501, 4500, 4501 } drop" "$to meta l4proto esp drop" "$from drop" ;;
    dead)   case ${v:-inside} in                             # IKE up, nothing passes inside
              inside) drop aws$n dead$n prerouting "iifname ipsec0 drop" ;;
              esp)    drop transit dead$n forward "$to udp dport 4500 @th,64,32 != 0 drop" \
                        "$from udp sport 4500 @th,64,32 != 0 drop" ;;   # IKE has four zero bytes here (RFC 3948)
              *)      die "dead: inside or esp" ;;
            esac ;;
    icmp)   drop aws$n icmp$n prerouting "iifname ipsec0 icmp type echo-request drop" \
              "iifname ipsec0 icmpv6 type echo-request drop" ;;   # BGP stays
    bgp)    drop aws$n bgp$n prerouting "iifname ipsec0 tcp sport 179 drop" "iifname ipsec0 tcp dport 179 drop" ;;
    prefix) birdc -s "$L/bird-aws$n.ctl" disable vpc_prefix >/dev/null ;;   # endpoint withdraws 10.0.0.0/16
    vpc)    drop aws$n vpc$n prerouting "iifname vpc drop" "iifname ipsec0 ip daddr 10.0.0.0/16 drop" ;;
    loss)   drop transit loss$n forward "$to numgen random mod 100 < ${v:-30} drop" ;;
    mtu)    drop transit mtu$n forward "$to meta length > ${v:-1000} drop" "$from meta length > ${v:-1000} drop" ;;
    delay)  stop delay$n
            spawn delay$n transit python3 "$here/delay.py" delay$n "${v:-200}"
            wait_for 5 ns transit ip link set delay$n up
            ns transit ip route add default dev delay$n table 10$n
            ns transit ip rule add iif wan to "${aws_out[n]}" lookup 10$n ;;
    nat)    case ${v:-address} in                            # the uplink's NAT maps the gateway to another address or port
              address) map $n 192.0.2.5 41000                # AWS accepts only the customer gateway's address
                       drop aws$n nat$n prerouting "iifname eth0 meta l4proto udp ip saddr != $cgw_out drop" ;;
              port)    map $n $cgw_out 41000 ;;
              *)       die "nat: address or port" ;;
            esac ;;
    wan)    case ${v:-link} in                               # the gateway's whole uplink; N is ignored
              link)   ns wan ip link set cgw down ;;
              silent) drop wan wan prerouting "iifname cgw drop" ;;
              *)      die "wan: link or silent" ;;
            esac ;;
    charon) case ${v:-kill} in                               # the gateway's IKE daemon
              kill) stop cgw$n ;;
              stop) stop cgw$n TERM ;;
              *)    die "charon: kill or stop" ;;
            esac ;;
    policy) case ${v:-none} in                               # no policy or SA for the tunnel's traffic, while IKE stays
              none)  swan cgw$n --terminate --child tunnel$n --timeout 5 >/dev/null ;;
              other) sed "s|remote_ts = .*|remote_ts = 10.0.0.0/16|" "$L/cgw$n.swanctl" >"$L/cgw$n.fault"
                     swan cgw$n --load-conns --file "$L/cgw$n.fault" >/dev/null
                     reconnect $n ;;
              *)     die "policy: none or other" ;;
            esac ;;
    route)  ns cgw ip route add unreachable "${aws_out[n]}" ;;
    blocked) drop cgw blocked$n output "ip daddr ${aws_out[n]} drop" ;;  # the gateway's own firewall
    *)      die "KIND: link kill ike psk proposal [ike|esp] path nat [address|port] dead [inside|esp] icmp bgp prefix vpc loss [%] mtu [bytes] delay [ms]" \
              "wan [link|silent] charon [kill|stop] policy [none|other] route blocked" ;;
  esac
}

end_ike() { # INSTANCE N: ends the tunnel from this end
  swan "$1" --terminate --ike "tunnel$2" --timeout 5 >/dev/null || true
}

other_end() { # N SED_SCRIPT: the endpoint is configured otherwise, and everything is negotiated anew
  sed "$2" "$L/aws$1.swanctl" >"$L/aws$1.fault"
  swan aws$1 --load-all --clear --file "$L/aws$1.fault" >/dev/null
  end_ike aws$1 $1
}

heal_start() { # N: undo every fault, whatever was broken
  local n=$1 node t
  ns wan ip link set cgw up
  ns transit ip link set aws$n up
  for node in cgw wan transit aws$n; do
    for t in $(ns "$node" nft list tables | grep -oE "fault_([a-z]*$n|wan)$"); do
      ns "$node" nft delete table inet "$t"
    done
  done
  ns cgw ip route del unreachable "${aws_out[n]}" 2>/dev/null || true
  while ns transit ip rule del lookup 10$n 2>/dev/null; do :; done
  stop delay$n
  birdc -s "$L/bird-aws$n.ctl" enable vpc_prefix >/dev/null
  [[ -e $L/aws$n.pid ]] || charon aws $n
  load aws$n
  if [[ -e $L/cgw$n.pid ]]; then load cgw$n; else charon cgw $n; fi
  rm -f "$L/aws$n.fault"
  [[ ! -e $L/cgw$n.fault ]] || { rm "$L/cgw$n.fault"; reconnect $n; }
  inside_ok $n || reconnect $n
}

heal_finish() { wait_for 30 is_up "$1"; }
