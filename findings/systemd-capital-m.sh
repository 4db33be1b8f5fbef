#!/usr/bin/env bash
# In systemd's time spans m is a minute and M a month, while in its sizes M is the mebibyte that everybody writes: RestartSec=5M beside
# MemoryMax=64M restarts in five months, and `systemd-analyze verify` has nothing to say.
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
echo "behaviour: 5M is five months, and no warning"
printf '[Service]\nExecStart=/bin/true\nRestart=always\nRestartSec=5M\nMemoryMax=64M\n' >gateway.service
verified=$(analyze verify --man=no "$dir/gateway.service" 2>&1)
human() { analyze timespan "$1" | sed -n 's/^ *Human: //p'; }
small=$(human 5m)
large=$(human 5M)
echo "seen:      5m: $small; 5M: $large; verify says '${verified}'"
if [[ "$small" == 5min && "$large" == 5month && -z "$verified" ]]; then
    echo "as found"
else
    echo "changed: see above" >&2
    exit 1
fi
