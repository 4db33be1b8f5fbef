#!/usr/bin/env bash
# `systemd-analyze verify` names a misspelt key, a wrong value and an unknown address family of a unit, and ends with 0: a pipeline
# that trusts the exit code ships a service without its Restart=, MemoryMax= and RestrictAddressFamilies=.
#
# Debian 12, amd64. Needs apt-get and dpkg-deb; nothing is installed on the host.
set -euo pipefail
VERSION=252.39-1~deb12u2

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
apt-get -qq -o APT::Sandbox::User=root download "systemd=$VERSION" "libsystemd-shared=$VERSION"
for package in *.deb; do dpkg-deb -x "$package" root; done
analyze() { LD_LIBRARY_PATH=$(dirname "$(find root -name 'libsystemd-shared-*.so')") root/usr/bin/systemd-analyze "$@"; }
echo "version:   $(analyze --version | head -n 1)"
echo "behaviour: what is ignored in a unit is a warning, and the exit code is 0"
cat >gateway.service <<'UNIT'
[Service]
ExecStart=/bin/true
Restrat=always
MemoryMax=64Mb
RestrictAddressFamilies=AF_INTE
UNIT
code=0
analyze verify --man=no "$dir/gateway.service" >said 2>&1 || code=$?
sed "s|^$dir/|seen:      |" said
echo "           exit code $code"
if [[ "$code" -eq 0 ]] && grep -q "Restrat" said && grep -q "64Mb" said && grep -q "AF_INTE" said; then
    echo "as found"
else
    echo "changed: see above" >&2
    exit 1
fi
