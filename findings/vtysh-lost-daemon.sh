#!/usr/bin/env bash
# FRR's vtysh does not say what went wrong on the way to a daemon. It ends with the same code and the same words where its user may not
# connect to the socket and where nobody listens there. And it ends with 0 where the daemon goes away while it answers: the error
# stands on standard output, in the place of the answer, and standard error is empty.
#
# Debian 12, amd64. Needs apt-get, dpkg-deb, unshare and setpriv, and root for a second user; nothing is installed on the host.
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
echo "behaviour: no permission and no daemon look alike; an answer that breaks off is a success"

mkdir run etc pam
chmod 755 . run etc
touch etc/bgpd.conf etc/vtysh.conf
printf '%s sufficient pam_permit.so\n' auth account >pam/frr
cat >seen.sh <<'SH'
set -eu
mount --bind pam /etc/pam.d
ip link set lo up
start() {
    unpacked/usr/lib/frr/bgpd --daemon --skip_runas --no_zebra --no_kernel --vty_port 0 --bgp_port 0 --vty_socket "$PWD/run" \
        --pid_file "$PWD/run/pid" --config_file "$PWD/etc/bgpd.conf" --log stdout >log 2>&1
}
ask() {
    name=$1
    shift
    code=0
    "$@" unpacked/usr/bin/vtysh --vty_socket "$PWD/run" --config_dir "$PWD/etc" -u -d bgpd -c "show bgp summary json" \
        >"$name.out" 2>"$name.err" || code=$?
    echo "$code" >"$name.code"
}
start
ask forbidden setpriv --reuid=65534 --regid=65534 --clear-groups
kill -STOP "$(cat run/pid)"
ask broken-off env &
sleep 1
kill -KILL "$(cat run/pid)"
wait
chmod 777 run/bgpd.vty
ask not-running setpriv --reuid=65534 --regid=65534 --clear-groups
SH
unshare --mount --net sh seen.sh
for name in forbidden not-running broken-off; do
    echo "seen:      $name: exit code $(cat $name.code); output: $(head -c 60 $name.out); error output: $(head -n 1 $name.err)"
done
if [[ "$(cat forbidden.code not-running.code broken-off.code | paste -sd ' ')" == "1 1 0" ]] && cmp -s forbidden.err not-running.err &&
    grep -q "closing connection to bgpd" broken-off.out && [[ ! -s broken-off.err ]]; then
    echo "as found"
else
    echo "changed: see above" >&2
    exit 1
fi
