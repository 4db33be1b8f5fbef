#!/usr/bin/env bash
# dpkg does not bring back a conffile that somebody has deleted: a reinstallation leaves it away without a word, and an upgrade that
# ships another content of it asks, where keeping it away is the default (and what --force-confdef does unattended). So "apt
# reinstall" mends no missing file in /etc. Only --force-confmiss does.
#
# Debian 12, amd64. Needs apt-get, dpkg-deb, tar and unshare; nothing is installed on the host.
set -euo pipefail
VERSION=1.21.23

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
apt-get -qq -o APT::Sandbox::User=root download "dpkg=$VERSION"
dpkg-deb -x dpkg_*.deb tool
made() { # version
    mkdir -p "made-$1/DEBIAN" "made-$1/etc" "made-$1/usr/share/seen"
    printf 'Package: seen\nVersion: %s\nArchitecture: all\nMaintainer: nobody <nobody@example.com>\nDescription: seen\n' "$1" \
        >"made-$1/DEBIAN/control"
    echo /etc/seen.conf >"made-$1/DEBIAN/conffiles"
    echo "setting of $1" >"made-$1/etc/seen.conf"
    echo "data of $1" >"made-$1/usr/share/seen/data"
    tool/usr/bin/dpkg-deb --root-owner-group -b "made-$1" "seen-$1.deb" >/dev/null
}
made 1
made 2
mkdir -p target/var/lib/dpkg/{info,updates}
touch target/var/lib/dpkg/status
install() { unshare --map-root-user tool/usr/bin/dpkg --root="$dir/target" "$@" </dev/null >>log 2>&1; }
there() { [[ -e "target/$1" ]] && echo there || echo missing; }
echo "version:   $(tool/usr/bin/dpkg --version | head -n 1)"
echo "behaviour: a conffile that was deleted stays away, over a reinstallation and an upgrade"
install -i seen-1.deb
rm target/etc/seen.conf target/usr/share/seen/data
install -i seen-1.deb
again="$(there etc/seen.conf) $(there usr/share/seen/data)"
install --force-confdef -i seen-2.deb
upgraded="$(there etc/seen.conf) $(there usr/share/seen/data)"
install --force-confmiss -i seen-2.deb
forced=$(there etc/seen.conf)
echo "seen:      reinstalled: the conffile is ${again% *}, another file ${again#* }"
echo "           upgraded with --force-confdef: the conffile is ${upgraded% *}, another file ${upgraded#* }"
echo "           with --force-confmiss: the conffile is $forced"
if [[ "$again, $upgraded, $forced" == "missing there, missing there, there" ]]; then
    echo "as found"
else
    echo "changed: see above" >&2
    cat log >&2
    exit 1
fi
