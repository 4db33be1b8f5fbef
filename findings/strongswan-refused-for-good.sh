#!/usr/bin/env bash
# `keyingtries = 0` of strongSwan is "try for ever", and does not mean it: when the peer refuses (here another pre-shared key), the
# IKE_SA is gone and charon makes no second attempt, although the connection has `start_action = start`. The tries that it
# counts are those without an answer. What was refused is said once, in the log; no list has it.
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

# Two ends in network namespaces of their own, with different keys.
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

end() { # name, own address, peer's address, start action, key
    mkdir "$1"
    cat >"$1/strongswan.conf" <<CONF
charon-systemd {
    load = random nonce aes sha1 sha2 hmac kdf openssl kernel-netlink socket-default vici
    plugins { vici { socket = unix://$PWD/$1/vici } }
    filelog { messages { path = $PWD/$1/messages
        flush_line = yes
        default = 1 } }
}
CONF
    cat >"$1/swanctl.conf" <<CONF
connections { aws {
    version = 2
    local_addrs = $2
    remote_addrs = $3
    proposals = aes128-sha256-ecp256
    keyingtries = 0
    local { auth = psk }
    remote { auth = psk }
    children { net { local_ts = 10.1.0.0/16
        remote_ts = 10.1.0.0/16
        start_action = $4
        esp_proposals = aes128-sha256 } }
} }
secrets { ike { secret = "$5" } }
CONF
}
end here 192.0.2.1 192.0.2.2 start one
end there 192.0.2.2 192.0.2.1 none another
STRONGSWAN_CONF=here/strongswan.conf root/usr/sbin/charon-systemd >here/log 2>&1 &
STRONGSWAN_CONF=there/strongswan.conf nsenter --target "$there" --net unshare --mount \
    sh -c "mount -t tmpfs none /run && exec root/usr/sbin/charon-systemd" >there/log 2>&1 &
swanctl() { # end, arguments
    local end=$1
    shift
    STRONGSWAN_CONF=$end/strongswan.conf root/usr/sbin/swanctl "$@" --uri "unix://$PWD/$end/vici" 2>/dev/null
}
for end in there here; do
    for _ in $(seq 100); do [[ -S $end/vici ]] && break || sleep 0.1; done
    swanctl "$end" --load-all --file "$end/swanctl.conf" >/dev/null
done
sleep 20
swanctl here --list-sas >listed
SH
echo "version:   strongSwan $(dpkg-deb -f charon-systemd_*.deb Version)"
echo "behaviour: with keyingtries = 0 and start_action = start, a refused connection is not tried again"
unshare --map-root-user --net --mount bash ends.sh
attempts=$(grep -c "initiating IKE_SA" here/messages || true)
refusals=$(grep -c "received AUTHENTICATION_FAILED" here/messages || true)
echo "seen:      $attempts attempt and $refusals refusal in 20 s; list-sas has $(wc -c <listed) bytes"
if [[ "$attempts $refusals" == "1 1" && ! -s listed ]]; then
    echo "as found"
else
    echo "changed: see above" >&2
    exit 1
fi
