# shellcheck shell=bash disable=SC2154,SC2086  # globals of lab.sh; tunnel numbers need no quotes
# One charon per tunnel end: libipsec has no marks or interface ids, so two 0.0.0.0/0 tunnels need two
# charons on the gateway. Each brings its own TUN device, named ipsec0, ipsec1 in order of start (never
# rename it: charon installs a route by that name). libipsec always encapsulates in UDP.

swan() { # INSTANCE COMMAND OPTIONS...
  local i=$1; shift
  (STRONGSWAN_CONF=$L/$i.conf unconfined swanctl "$@" --uri "unix://$L/$i.vici")
}
load() { swan "$1" --load-all --file "$L/$1.swanctl" >>"$L/$1.out" 2>&1; }
has_sa() { [[ $(swan "$1" --list-sas --raw 2>/dev/null) == *child-sas*state=INSTALLED* ]]; }

charon() { # SIDE N
  local side=$1 n=$2 i=$1$2 node=$1 dev=ipsec0 port=500 natt=4500 me peer last start action
  if [[ $side == cgw ]]; then
    dev=ipsec$((n - 1)) port=$((499 + n)) natt=$((4499 + n))
    me=$cgw_out peer=${aws_out[n]} last=2 start=start action=restart
  else
    node=aws$n me=${aws_out[n]} peer=$cgw_out last=1 start=none action=clear
  fi
  cat >"$L/$i.conf" <<CONF
charon-systemd {
  load = random nonce aes sha1 sha2 hmac kdf gmp kernel-libipsec kernel-netlink socket-default vici
  port = $port
  port_nat_t = $natt
  # 0.0.0.0/0 selectors: keep charon's own route out of the way (never reached)
  routing_table = 22$n
  routing_table_prio = 40000
  # IKEv2 ignores dpd_timeout: a peer is dead after dpd_delay and four evenly spaced retransmits
  retransmit_timeout = $retransmit
  retransmit_base = 1
  retransmit_tries = 3
  plugins { vici { socket = unix://$L/$i.vici } }
  filelog { f { path = $L/$i.log
                time_format = %F %T
                time_add_ms = yes
                flush_line = yes
                default = 1 } }
  journal { default = -1 }
}
swanctl { load = random }
CONF
  cat >"$L/$i.swanctl" <<CONF
connections {
  tunnel$n {
    version = 2
    local_addrs = $me
    remote_addrs = $peer
    proposals = aes128-sha256-modp2048
    dpd_delay = ${dpd}s
    rekey_time = 28000s
    keyingtries = 0
    encap = yes
    mobike = no
    local { auth = psk
            id = $me }
    remote { auth = psk
             id = $peer }
    children { tunnel$n {
      local_ts = 0.0.0.0/0, ::/0
      remote_ts = 0.0.0.0/0, ::/0
      esp_proposals = aes128-sha256
      rekey_time = 3300s
      start_action = $start
      dpd_action = $action
      close_action = $start
    } }
  }
}
secrets { ike-1 { secret = "lab-secret-of-tunnel-$n" } }
CONF
  spawn "$i" "$node" env STRONGSWAN_CONF="$L/$i.conf" charon-systemd
  wait_for 10 swan "$i" --stats
  ns "$node" ip addr add "${inside[n]}$last/30" dev "$dev"
  ns "$node" ip addr add "${inside6[n]}$last/126" dev "$dev" nodad
  load "$i"
}

# An SA may be gone, or look alive on the gateway only (its endpoint was killed); charon would notice by
# itself, but only at its next DPD or its next attempt.
reconnect() { # N
  swan "cgw$1" --terminate --ike "tunnel$1" --force --timeout 1 >/dev/null 2>&1 || true
  swan "cgw$1" --initiate --child "tunnel$1" --timeout 3 >/dev/null 2>&1 || true
}
