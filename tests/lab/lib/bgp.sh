# shellcheck shell=bash disable=SC2154,SC2086  # globals of lab.sh; tunnel numbers need no quotes
# eBGP over both tunnels (65000 on the gateway, 64512 at AWS), iBGP between the endpoints and the VPC.

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
  local n cgw='protocol static { ipv4; route 192.168.50.0/24 unreachable; }' vpc=''
  for n in 1 2; do
    cgw+="
protocol bgp tunnel$n from peer { neighbor ${inside[n]}1 as 64512;
  ipv4 { import where net = 10.0.0.0/16; export where source = RTS_STATIC; }; }"
    vpc+="
protocol bgp aws$n from peer { neighbor 10.0.255.$((n * 4 + 1)) as 64512;
  ipv4 { import all; export none; }; }"
    bird_node aws$n "
protocol static { ipv4; route 10.0.0.0/16 via 10.0.255.$((n * 4 + 2)); }
protocol bgp tunnel$n from peer { neighbor ${inside[n]}2 as 65000;
  ipv4 { import where net = 192.168.50.0/24; export where source = RTS_STATIC; }; }
protocol bgp vpc from peer { neighbor 10.0.255.$((n * 4 + 2)) as 64512;
  ipv4 { import none; export where source = RTS_BGP; next hop self; }; }" "${aws_out[n]}" 64512
  done
  bird_node cgw "$cgw" "$cgw_out" 65000
  bird_node vpc "$vpc" 10.0.0.10 64512
}

bgp_of() { # NODE N: BIRD's state of the session of tunnel N in NODE
  birdc -s "$L/bird-$1.ctl" show protocols all "tunnel$2" 2>/dev/null || true
}
