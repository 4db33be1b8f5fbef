#!/usr/bin/env bash
# Alertmanager answers 400 to a POST of several alerts when one of them is wrong, and takes the others all the same. So "400" does
# not mean "nothing happened": whoever drops the batch, or sends its good part again as something new, is wrong about what rings.
#
# Debian 12, amd64. Needs apt-get, dpkg-deb, unshare and python3; nothing is installed on the host.
set -euo pipefail
VERSION=0.25.0-1+b4

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
apt-get -qq -o APT::Sandbox::User=root download "prometheus-alertmanager=$VERSION"
dpkg-deb -x prometheus-alertmanager_*.deb root
echo "version:   $(unpacked/usr/bin/prometheus-alertmanager --version 2>&1 | head -n 1)"
echo "behaviour: one wrong alert of a batch makes the answer 400, and the others are taken"

cat >alertmanager.yml <<'YAML'
route: { receiver: nobody }
receivers: [{ name: nobody }]
YAML
cat >seen.py <<'PY'
import json, socket, subprocess, sys, time, urllib.error, urllib.request

with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    port = free.getsockname()[1]
alertmanager = subprocess.Popen(
    # Debian's build reads its default template from /usr/share, which is the package's own in a namespace.
    ["unshare", "--map-root-user", "--mount", "sh", "-c", 'mount --bind root/usr/share /usr/share && exec "$0" "$@"',
     "root/usr/bin/prometheus-alertmanager", "--config.file=alertmanager.yml", "--storage.path=data",
     f"--web.listen-address=127.0.0.1:{port}", "--cluster.listen-address="],
    stdout=subprocess.DEVNULL, stderr=open("log", "w"))

def call(path, body=None):
    body = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", body, {"content-type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()

try:
    for _ in range(300):
        try:
            if call("/-/ready")[0] == 200:
                break
        except OSError:
            pass
        time.sleep(0.1)
    status, words = call("/api/v2/alerts", [
        {"labels": {"alertname": "first"}},
        # By the API's schema this is an alert; Alertmanager itself wants one label that is not empty.
        {"labels": {"alertname": ""}},
        {"labels": {"alertname": "last"}},
    ])
    print(f"answer:    {status} {words.strip()}")
    active = sorted(alert["labels"]["alertname"] for alert in json.loads(call("/api/v2/alerts")[1]))
    print(f"active:    {', '.join(active)}")
    sys.exit(0 if (status, active) == (400, ["first", "last"]) else 1)
finally:
    alertmanager.terminate()
    alertmanager.wait()
PY
if python3 seen.py; then
    echo "as found"
else
    echo "changed: see above" >&2
    exit 1
fi
