#!/usr/bin/env bash
# Nagios Core runs `bothends status --nagios` and says what it has understood: the state, the text, the further lines and the
# performance data. Not in CI. Debian 12, amd64: apt-get, dpkg-deb, unshare, python3; nothing is installed on the host.
#
#   tests/nagios/nagios.sh target/debug/bothends
set -euo pipefail
VERSION=4.4.6-4+deb12u2
bothends=$(realpath "$1")
here=$(dirname "$(realpath "$0")")

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
apt-get -qq -o APT::Sandbox::User=root download "nagios4-core=$VERSION"
dpkg-deb -x nagios4-core_*.deb unpacked
python3 "$here/nagios.py" "$dir" "$dir/unpacked/usr/sbin/nagios4" "$bothends"
