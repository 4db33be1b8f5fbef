#!/usr/bin/env bash
# Alertmanager counts group_wait from an alert's startsAt, not from its arrival. An alert that says it began longer ago than
# that is notified at once, alone; what joins its group a moment later waits for group_interval.
#
# So whoever posts alerts chooses with startsAt whether the receiver's grouping works: "since when is it down" there (the outage
# began before it was confirmed) splits an outage of several connections into a page for the first and, minutes later, the rest.
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
echo "behaviour: group_wait is counted from startsAt; an alert with an old startsAt is notified at once"

cat >seen.py <<'PY'
import http.server, json, queue, socket, subprocess, sys, threading, time, urllib.request
from datetime import datetime, timedelta, timezone

notified = queue.Queue()

class Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.send_response(200)
        self.end_headers()
        notified.put(sorted(alert["labels"]["alertname"] for alert in body["alerts"]))

    def log_message(self, *_):
        pass

receiver = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
threading.Thread(target=receiver.serve_forever, daemon=True).start()
with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    port = free.getsockname()[1]
with open("alertmanager.yml", "w") as file:
    json.dump({
        "route": {"receiver": "hook", "group_by": ["group"], "group_wait": "10m", "group_interval": "20m"},
        "receivers": [{"name": "hook", "webhook_configs": [
            {"url": f"http://127.0.0.1:{receiver.server_port}/"}]}],
    }, file)
alertmanager = subprocess.Popen(
    # Debian's build reads its default template from /usr/share, which is the package's own in a namespace.
    ["unshare", "--map-root-user", "--mount", "sh", "-c", 'mount --bind root/usr/share /usr/share && exec "$0" "$@"',
     "root/usr/bin/prometheus-alertmanager", "--config.file=alertmanager.yml", "--storage.path=data",
     f"--web.listen-address=127.0.0.1:{port}", "--cluster.listen-address="],
    stdout=subprocess.DEVNULL, stderr=open("log", "w"))

def call(path, body=None):
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", body, {"content-type": "application/json"})
    return urllib.request.urlopen(request, timeout=5).read()

def post(name, group, age):
    begun = datetime.now(timezone.utc) - timedelta(minutes=age)
    call("/api/v2/alerts", json.dumps([
        {"labels": {"alertname": name, "group": group}, "startsAt": begun.isoformat()}]).encode())
    print(f"posted:    {name} in group {group}, startsAt {age} minutes ago")

try:
    for _ in range(300):
        try:
            call("/-/ready")
            break
        except OSError:
            time.sleep(0.1)
    # group_wait is 10 minutes for all of them.
    post("new", "a", 0)
    post("old", "b", 11)
    first = notified.get(timeout=60)
    print(f"notified:  {', '.join(first)}")
    post("joins-old", "b", 11)
    post("marker", "c", 11)
    second = notified.get(timeout=60)
    print(f"notified:  {', '.join(second)}")
    print("not yet:   new, joins-old")
    sys.exit(0 if (first, second, notified.empty()) == (["old"], ["marker"], True) else 1)
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
