#!/usr/bin/env bash
# FRR's vtysh ends with 0 and valid JSON where there is nothing to tell: without a BGP instance `show bgp summary json` is {}, and a
# neighbour that is not configured is {"bgpNoSuchNeighbor":true}. Only a command it does not know ends with 1, and says so in text
# on standard output. And peerState does not tell whether the session is up: it speaks of the configuration.
#
# Debian 12, amd64. Needs apt-get, dpkg-deb, unshare and python3; nothing is installed on the host.
set -euo pipefail
PACKAGES=(frr=8.4.4-1.1~deb12u2 libyang2=2.1.30-2 libc-ares2=1.18.1-3 libsnmp40=5.9.3+dfsg-2+deb12u1 libsensors5=1:3.6.0-7.1
    libpci3=1:3.9.0-4 libwrap0=7.6.q-32)

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
apt-get -qq -o APT::Sandbox::User=root download "${PACKAGES[@]}"
for package in *.deb; do dpkg-deb -x "$package" unpacked; done
export LD_LIBRARY_PATH=$dir/unpacked/usr/lib/x86_64-linux-gnu/frr:$dir/unpacked/usr/lib/x86_64-linux-gnu:$dir/unpacked/lib/x86_64-linux-gnu
echo "version:   $(unpacked/usr/lib/frr/bgpd --version | head -n 1)"
echo "behaviour: what is not there is an answer with exit code 0; peerState is no state of the session"

mkdir run etc pam
touch etc/bgpd.conf etc/vtysh.conf
printf '%s sufficient pam_permit.so\n' auth account >pam/frr
cat >seen.sh <<'SH'
set -eu
mount --bind pam /etc/pam.d
ip link set lo up
unpacked/usr/lib/frr/bgpd --daemon --skip_runas --no_zebra --no_kernel --vty_port 0 --bgp_port 0 --vty_socket "$PWD/run" \
    --pid_file "$PWD/run/pid" --config_file "$PWD/etc/bgpd.conf" --log stdout >log 2>&1
trap 'kill "$(cat run/pid)"' EXIT
say() {
    name=$1
    shift
    code=0
    unpacked/usr/bin/vtysh --vty_socket "$PWD/run" --config_dir "$PWD/etc" "$@" >"$name.out" 2>"$name.err" || code=$?
    echo "$code" >"$name.code"
}
say no-instance -c "show bgp summary json"
say unknown-command -c "show bgp sumary json"
say configure -c "configure terminal" -c "router bgp 65000" -c "bgp router-id 192.0.2.1" -c "neighbor 192.0.2.9 remote-as 65001"
say unknown-neighbour -c "show bgp neighbors 192.0.2.8 json"
say idle -c "show bgp summary json"
SH
unshare --map-root-user --mount --net sh seen.sh

cat >seen.py <<'PY'
import json, sys

def of(name):
    return int(open(f"{name}.code").read()), open(f"{name}.out").read()

seen = {name: of(name) for name in ["no-instance", "unknown-neighbour", "unknown-command"]}
for name, (code, out) in seen.items():
    print(f"seen:      {name}: exit code {code}, {' '.join(out.split())[:66]}")
peer = json.loads(of("idle")[1])["ipv4Unicast"]["peers"]["192.0.2.9"]
print(f"seen:      idle: state {peer['state']}, peerState {peer['peerState']}")
as_found = (
    seen["no-instance"][0] == 0 and json.loads(seen["no-instance"][1]) == {}
    and seen["unknown-neighbour"][0] == 0 and json.loads(seen["unknown-neighbour"][1]) == {"bgpNoSuchNeighbor": True}
    and seen["unknown-command"][0] == 1 and "Unknown command" in seen["unknown-command"][1]
    and (peer["state"], peer["peerState"]) == ("Idle", "Policy"))
sys.exit(0 if as_found else 1)
PY
if python3 seen.py; then
    echo "as found"
else
    echo "changed: see above" >&2
    exit 1
fi
