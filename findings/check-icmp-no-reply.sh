#!/usr/bin/env bash
# Nagios's check_icmp says "rta nan, lost 100%" of a host that never answers, and rta=0.000ms in the performance data: whoever draws
# or alerts on the data sees the best round trip of all in an outage.
#
# Debian 12, amd64. Needs apt-get, dpkg-deb, unshare and ip; nothing is installed on the host.
set -euo pipefail
VERSION=2.3.3-5+deb12u2

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
apt-get -qq -o APT::Sandbox::User=root download "monitoring-plugins-basic=$VERSION"
dpkg-deb -x monitoring-plugins-basic_*.deb root
plugin=root/usr/lib/nagios/plugins/check_icmp
echo "version:   $($plugin --version | head -n 1)"
echo "behaviour: without any reply the performance data say rta=0.000ms"

cat >seen.sh <<'SH'
set -eu
ip link add here type veth peer name there
ip link set here up
ip link set there up
ip address add 192.0.2.1/24 dev here
# Nobody has this address.
"$1" -n 2 -t 2 192.0.2.9 || true
SH
said=$(unshare --map-root-user --net sh seen.sh "$plugin")
echo "seen:      $said"
if [[ "$said" == *"rta nan, lost 100%|rta=0.000ms;"* ]]; then
    echo "as found"
else
    echo "changed: see above" >&2
    exit 1
fi
