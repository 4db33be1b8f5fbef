#!/usr/bin/env bash
# `journalctl -o json` writes null for a field of 4,096 bytes or more, its name and the equals sign included, though the journal
# has it whole: a longer MESSAGE is not cut but gone, and the exit code is 0. With --all it is there.
#
# Debian 12, amd64. Needs apt-get, dpkg-deb and python3; nothing is installed on the host.
set -euo pipefail
VERSION=252.39-1~deb12u2

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
apt-get -qq -o APT::Sandbox::User=root download "systemd=$VERSION" "libsystemd-shared=$VERSION" "systemd-journal-remote=$VERSION" \
    libmicrohttpd12=0.9.75-6
for package in *.deb; do dpkg-deb -x "$package" root; done
LD_LIBRARY_PATH=$(dirname "$(find root -name 'libsystemd-shared-*.so')"):$(dirname "$(find root -name 'libmicrohttpd.so.12')")
export LD_LIBRARY_PATH
echo "version:   $(unpacked/bin/journalctl --version | head -n 1)"
echo "behaviour: a field of 4,096 bytes or more is null in JSON without --all"
cat >seen.py <<'PY'
import json, subprocess, sys

LENGTHS = [4086, 4087, 4088, 5000]
with open("export", "w") as export:
    for number, length in enumerate(LENGTHS):
        export.write(f"__REALTIME_TIMESTAMP={1700000000000000 + number}\n__MONOTONIC_TIMESTAMP={1000 + number}\n"
                     f"_BOOT_ID={'1' * 32}\n_MACHINE_ID={'2' * 32}\nMESSAGE={'x' * length}\n\n")
subprocess.run(["root/lib/systemd/systemd-journal-remote", "--output=system.journal", "export"],
               check=True, stderr=subprocess.DEVNULL)

def shown(*options):
    text = subprocess.run(["root/bin/journalctl", "--file=system.journal", "-o", "json", *options],
                          check=True, capture_output=True, text=True).stdout
    messages = [json.loads(line)["MESSAGE"] for line in text.splitlines()]
    return [None if message is None else len(message) for message in messages]

plain, everything = shown(), shown("--all")
for length, of_plain, of_all in zip(LENGTHS, plain, everything):
    print(f"seen:      MESSAGE= and {length} bytes: {'null' if of_plain is None else 'there'}; with --all "
          f"{'null' if of_all is None else 'there'}")
sys.exit(0 if plain == [4086, 4087, None, None] and everything == LENGTHS else 1)
PY
if python3 seen.py; then
    echo "as found"
else
    echo "changed: see above" >&2
    exit 1
fi
