# shellcheck shell=bash disable=SC2154,SC2086  # globals of lab.sh; tunnel numbers need no quotes
# eBGP over both tunnels (65000 on the gateway, 64512 at AWS), iBGP between the endpoints and the VPC. The gateway announces
# its LAN over both, and over each tunnel one address of the LAN that the VPC can reach through that tunnel alone.

bird_node() { # NODE PROTOCOLS ROUTER_ID ASN
  cat >"$L/bird-$1.conf" <<CONF
log "$L/bird-$1.log" all;
router id $3;
protocol device { scan time 1; }
protocol kernel { ipv4 { export where source = RTS_BGP; }; merge paths no; }
template bgp peer {
  local as $4; direct; hold time $bgp_hold; keepalive time 1;
  connect delay time 1; connect retry time 1; error wait time 1, 1;
}
$2
CONF
  spawn "bird-$1" "$1" bird -f -c "$L/bird-$1.conf" -s "$L/bird-$1.ctl"
}

bgp() {
  local n vpc=''
  "gateway_$bgp_daemon"
  for n in 1 2; do
    vpc+="
protocol bgp aws$n from peer { neighbor 10.0.255.$((n * 4 + 1)) as 64512;
  ipv4 { import all; export none; }; }"
    bird_node aws$n "
protocol static vpc_prefix { ipv4; route 10.0.0.0/16 via 10.0.255.$((n * 4 + 2)); }
protocol bgp tunnel$n from peer { neighbor ${inside[n]}2 as 65000;
  ipv4 { import where net ~ [ 192.168.50.0/24+ ]; export where source = RTS_STATIC; }; }
protocol bgp vpc from peer { neighbor 10.0.255.$((n * 4 + 2)) as 64512;
  ipv4 { import none; export where source = RTS_BGP; next hop self; }; }" "${aws_out[n]}" 64512
  done
  bird_node vpc "$vpc" 10.0.0.10 64512
}

gateway_bird() {
  local n protocols='protocol static { ipv4; route 192.168.50.0/24 unreachable;'
  for n in 1 2; do protocols+=" route ${tester[n]}/32 unreachable;"; done
  protocols+=' }'
  for n in 1 2; do
    protocols+="
protocol bgp tunnel$n from peer { neighbor ${inside[n]}1 as 64512;
  ipv4 { import where net = 10.0.0.0/16;
    export where source = RTS_STATIC && net ~ [ 192.168.50.0/24, ${tester[n]}/32 ]; }; }"
  done
  bird_node cgw "$protocols" "$cgw_out" 65000
}

gateway_frr() { # both daemons as FRR's own user, as its package starts them, with sockets of their own
  local n d=$L/frr peers='' families='' lists=''
  install -d -o frr -g frr "$d"
  for n in 1 2; do
    peers+="
 neighbor ${inside[n]}1 remote-as 64512
 neighbor ${inside[n]}1 timers 1 $bgp_hold
 neighbor ${inside[n]}1 timers connect 1
 neighbor ${inside[n]}1 advertisement-interval 0"
    families+="
  network ${tester[n]}/32
  neighbor ${inside[n]}1 prefix-list FROM-AWS in
  neighbor ${inside[n]}1 prefix-list TO-AWS$n out"
    lists+="
ip prefix-list TO-AWS$n permit 192.168.50.0/24
ip prefix-list TO-AWS$n permit ${tester[n]}/32"
  done
  cat >"$d/bgpd.conf" <<CONF
log file $d/bgpd.log
ip prefix-list FROM-AWS permit 10.0.0.0/16$lists
router bgp 65000
 bgp router-id $cgw_out
 no bgp ebgp-requires-policy
 no bgp network import-check$peers
 address-family ipv4 unicast
  maximum-paths 1
  network 192.168.50.0/24$families
 exit-address-family
CONF
  echo "log file $d/zebra.log" >"$d/zebra.conf"
  printf '#!/bin/sh\nexec vtysh --vty_socket %s "$@"\n' "$d" >"$L/vtysh"
  chmod +x "$L/vtysh"
  chown frr:frr "$d"/*.conf
  local common=(--vty_socket "$d" -z "$d/zserv.api" -P 0)
  spawn zebra cgw /usr/lib/frr/zebra "${common[@]}" -f "$d/zebra.conf" -i "$d/zebra.pid"
  wait_for 5 test -S "$d/zserv.api"
  spawn bgpd cgw /usr/lib/frr/bgpd "${common[@]}" -f "$d/bgpd.conf" -i "$d/bgpd.pid"
}

bgp_of() { # NODE N: BIRD's state of the session of tunnel N in NODE
  birdc -s "$L/bird-$1.ctl" show protocols all "tunnel$2" 2>/dev/null || true
}
