#!/usr/bin/env bash
# VICI answers list-sas, list-conns and their like with a success and nothing in it, whatever there is: what they list comes as events, to
# those who have registered for them before. A client that only sends the command takes every gateway for empty.
#
# Debian 12, amd64. Needs apt-get, dpkg-deb, unshare and python3; nothing is installed on the host.
set -euo pipefail
VERSION=5.9.8-5+deb12u6

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
packages=(charon-systemd strongswan-libcharon libstrongswan libstrongswan-standard-plugins strongswan-swanctl)
apt-get -qq -o APT::Sandbox::User=root download "${packages[@]/%/=$VERSION}"
for package in *.deb; do dpkg-deb -x "$package" root; done
cat >strongswan.conf <<CONF
charon-systemd {
    load = random nonce aes sha1 sha2 hmac kdf openssl kernel-netlink socket-default vici
    plugins { vici { socket = unix://$dir/vici } }
}
CONF
cat >swanctl.conf <<'CONF'
connections { aws { remote_addrs = 192.0.2.2
    local { auth = psk }
    remote { auth = psk } } }
CONF
cat >seen.py <<'PY'
import os, socket, struct, subprocess, sys, time

CMD_REQUEST, CMD_RESPONSE, EVENT_REGISTER, EVENT_CONFIRM, EVENT = 0, 1, 3, 5, 7
charon = subprocess.Popen(["root/usr/sbin/charon-systemd"], stdout=subprocess.DEVNULL, stderr=open("log", "w"))

class Client:
    def __init__(self):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(10)
        self.socket.connect("vici")

    def send(self, kind, name):
        packet = struct.pack("!BB", kind, len(name)) + name.encode()
        self.socket.sendall(struct.pack("!I", len(packet)) + packet)

    def read(self, length):
        data = b""
        while len(data) < length:
            data += self.socket.recv(length - len(data))
        return data

    def receive(self):
        packet = self.read(struct.unpack("!I", self.read(4))[0])
        return packet[0], packet[1:]

    def list(self):
        self.send(CMD_REQUEST, "list-conns")
        events = 0
        while True:
            kind, body = self.receive()
            if kind == CMD_RESPONSE:
                return events, len(body)
            assert kind == EVENT, kind
            events += 1

try:
    for _ in range(100):
        if os.path.exists("vici"):
            break
        time.sleep(0.1)
    subprocess.run(["root/usr/sbin/swanctl", "--load-conns", "--file", "swanctl.conf", "--uri", f"unix://{os.getcwd()}/vici"],
                   check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    plain = Client().list()
    registered = Client()
    registered.send(EVENT_REGISTER, "list-conn")
    assert registered.receive()[0] == EVENT_CONFIRM
    heard = registered.list()
finally:
    charon.terminate()
    charon.wait()
print(f"seen:      list-conns: {plain[0]} connections, an answer of {plain[1]} bytes")
print(f"           after registering for list-conn: {heard[0]} connection, an answer of {heard[1]} bytes")
sys.exit(0 if (plain, heard) == ((0, 0), (1, 0)) else 1)
PY
echo "version:   strongSwan $(dpkg-deb -f charon-systemd_*.deb Version)"
echo "behaviour: a list is empty, and a success, for a client that has not registered for its events"
if STRONGSWAN_CONF=strongswan.conf unshare --map-root-user --net --mount \
    sh -c 'mount --bind root/usr/lib/ipsec /usr/lib/ipsec && mount -t tmpfs none /run && exec python3 seen.py'; then
    echo "as found"
else
    echo "changed: see above" >&2
    exit 1
fi
