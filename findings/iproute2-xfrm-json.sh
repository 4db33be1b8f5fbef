#!/usr/bin/env bash
# `ip -j` prints JSON, but not of XFRM: `ip -j xfrm policy` and `ip -j xfrm state` ignore the option, print the text for people and
# end with 0. A JSON parser behind it fails only on a host that has a policy: without one the output is empty.
#
# Debian 12, amd64. Needs apt-get, dpkg-deb, unshare and python3; nothing is installed on the host.
set -euo pipefail
VERSION=6.1.0-3

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
apt-get -qq -o APT::Sandbox::User=root download "iproute2=$VERSION"
dpkg-deb -x iproute2_*.deb root
ip=$(find root -name ip -type f -perm -u+x | head -n 1)
echo "version:   $("$ip" -V)"
echo "behaviour: -j is ignored for xfrm, with exit code 0"

cat >seen.sh <<'SH'
set -eu
ip=$1
"$ip" xfrm policy add src 10.0.0.0/8 dst 10.1.0.0/16 dir out tmpl src 192.0.2.1 dst 192.0.2.2 proto esp mode tunnel
"$ip" -j xfrm policy >policy
"$ip" -j address show dev lo >address
SH
# A network namespace of its own: the host's policies are not touched.
unshare --map-root-user --net sh seen.sh "$ip"
echo "seen:      ip -j address: $(cut -c 1-48 address)…"
echo "           ip -j xfrm policy: $(head -n 1 policy)"
if python3 -m json.tool <address >parsed && ! python3 -m json.tool <policy >parsed 2>&1 && [[ -s policy ]]; then
    echo "as found"
else
    echo "changed: see above" >&2
    exit 1
fi
