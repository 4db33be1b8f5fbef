#!/usr/bin/env bash
# BIRD's birdc ends with 1 where there is nothing to show: no route to a destination, no protocol of a pattern, exactly as for a command
# that it does not know. And it ends with 0 for a protocol whose session is down. Its exit code is neither "the question was
# understood" nor "all is well"; the text decides.
#
# Debian 12, amd64. Needs apt-get, dpkg-deb and unshare; nothing is installed on the host.
set -euo pipefail
PACKAGES=(bird2=2.0.12-7 libssh-gcrypt-4=0.10.6-0+deb12u3 libreadline8=8.2-1.3)

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
apt-get -qq -o APT::Sandbox::User=root download "${PACKAGES[@]}"
for package in *.deb; do dpkg-deb -x "$package" unpacked; done
export LD_LIBRARY_PATH=$dir/unpacked/usr/lib/x86_64-linux-gnu:$dir/unpacked/lib/x86_64-linux-gnu
cat >bird.conf <<'CONF'
router id 192.0.2.1;
protocol device { }
protocol bgp aws { local as 65000; neighbor 192.0.2.9 as 64512; ipv4 { import all; export none; }; }
CONF
cat >seen.sh <<'SH'
unpacked/usr/sbin/bird -c bird.conf -s control -P pid
trap 'kill "$(cat pid)"' EXIT
while read -r query; do
    code=0
    unpacked/usr/sbin/birdc -s control "$query" </dev/null >said 2>&1 || code=$?
    echo "$query: exit code $code: $(sed 1d said | tail -n 1 | tr -s ' ')"
done <<'QUERIES'
show protocols aws
show route for 10.0.0.1
show protocols "nothing*"
show protokols
QUERIES
SH
echo "version:   $(unpacked/usr/sbin/bird --version 2>&1)"
echo "behaviour: nothing to show is 1, as a mistyped command is; a session that is down is 0"
# A network namespace of its own: BIRD touches no route of the host's.
unshare --map-root-user --net sh seen.sh >seen
sed '1s/^/seen:      /; 2,$s/^/           /' seen
if [[ "$(grep -oE 'exit code [0-9]+' seen | paste -sd ' ')" == "exit code 0 exit code 1 exit code 1 exit code 1" ]]; then
    echo "as found"
else
    echo "changed: see above" >&2
    exit 1
fi
