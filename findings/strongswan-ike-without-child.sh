#!/usr/bin/env bash
# In strongSwan an IKE_SA that is ESTABLISHED says nothing about the tunnel: where the peer refuses the traffic selectors the
# CHILD_SA fails and the IKE_SA stays, for good. `swanctl --list-sas` lists it and ends with 0, as it does for a name that nobody has
# configured. A tunnel is up when a child is INSTALLED.
#
# Debian 12, amd64. Needs apt-get, dpkg-deb, unshare, nsenter and ip; nothing is installed on the host.
set -euo pipefail
VERSION=5.9.8-5+deb12u6

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
packages=(charon-systemd strongswan-libcharon libstrongswan libstrongswan-standard-plugins strongswan-swanctl)
apt-get -qq -o APT::Sandbox::User=root download "${packages[@]/%/=$VERSION}"
for package in *.deb; do dpkg-deb -x "$package" root; done

# Two ends in network namespaces of their own; the second expects another network behind the first.
cat >ends.sh <<'SH'
set -euo pipefail
mount --bind root/usr/lib/ipsec /usr/lib/ipsec
mount -t tmpfs none /run
unshare --net sleep infinity &
there=$!
trap 'kill $(jobs -p)' EXIT
ip link add here type veth peer name there
for _ in $(seq 100); do
    [[ "$(readlink /proc/$there/ns/net)" != "$(readlink /proc/self/ns/net)" ]] && break
    sleep 0.1
done
ip link set there netns "$there"
ip address add 192.0.2.1/24 dev here
ip link set here up
nsenter --target "$there" --net sh -c "ip address add 192.0.2.2/24 dev there && ip link set there up"

end() { # name, own address, peer's address, own network, peer's network
    mkdir "$1"
    cat >"$1/strongswan.conf" <<CONF
charon-systemd {
    load = random nonce aes sha1 sha2 hmac kdf openssl kernel-netlink socket-default vici
    plugins { vici { socket = unix://$PWD/$1/vici } }
}
CONF
    cat >"$1/swanctl.conf" <<CONF
connections { aws {
    version = 2
    local_addrs = $2
    remote_addrs = $3
    proposals = aes128-sha256-ecp256
    local { auth = psk }
    remote { auth = psk }
    children { net { local_ts = $4
        remote_ts = $5
        esp_proposals = aes128-sha256 } }
} }
secrets { ike { secret = "both-have-it" } }
CONF
}
end here 192.0.2.1 192.0.2.2 10.1.0.0/16 10.9.0.0/16
end there 192.0.2.2 192.0.2.1 10.2.0.0/16 10.1.0.0/16
STRONGSWAN_CONF=here/strongswan.conf root/usr/sbin/charon-systemd >here/log 2>&1 &
STRONGSWAN_CONF=there/strongswan.conf nsenter --target "$there" --net unshare --mount \
    sh -c "mount -t tmpfs none /run && exec root/usr/sbin/charon-systemd" >there/log 2>&1 &
swanctl() { # end, arguments
    local end=$1
    shift
    STRONGSWAN_CONF=$end/strongswan.conf root/usr/sbin/swanctl "$@" --uri "unix://$PWD/$end/vici" 2>/dev/null
}
for end in here there; do
    for _ in $(seq 100); do [[ -S $end/vici ]] && break || sleep 0.1; done
    swanctl "$end" --load-all --file "$end/swanctl.conf" >/dev/null
done
swanctl here --initiate --child net >initiated || true
code=0
swanctl here --list-sas >listed || code=$?
echo "$code" >listed.code
code=0
swanctl here --list-sas --ike nosuch >nosuch || code=$?
echo "$code" >nosuch.code
SH
echo "version:   strongSwan $(dpkg-deb -f charon-systemd_*.deb Version)"
echo "behaviour: the IKE_SA stays ESTABLISHED without a child"
unshare --map-root-user --net --mount bash ends.sh
echo "seen:      $(grep -oE 'received TS_.*|failed to establish CHILD_SA.*' initiated | paste -sd ';' | sed 's/;/; /g')"
echo "           exit code $(<listed.code), $(head -n 1 listed)"
echo "           children: $(grep -cE 'INSTALLED' listed || true)"
echo "           --ike nosuch: exit code $(<nosuch.code), $(wc -c <nosuch) bytes"
if grep -q "TS_UNACCEPTABLE" initiated && grep -q "ESTABLISHED" listed && ! grep -q "INSTALLED" listed \
    && [[ "$(<listed.code) $(<nosuch.code)" == "0 0" && ! -s nosuch ]]; then
    echo "as found"
else
    echo "changed: see above" >&2
    exit 1
fi
