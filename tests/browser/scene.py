"""What the browser looks at: a daemon with two connections, on the stage of ../storm, which has no IPsec and no way out."""

import contextlib
import json
import os
import pathlib
import random
import signal
import sqlite3
import subprocess
import sys
import termios
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "storm"))

import stage as storm  # noqa: E402

ROOT = storm.ROOT

# What people name a tunnel must stay a name.
HOSTILE = "<script>window.pwned=1</script>"

# In milliseconds, as the store counts.
SECOND, MINUTE, HOUR, DAY = 1_000, 60_000, 3_600_000, 86_400_000
# Of yesterday: when, and how long; AWS notices so much later.
OUTAGES = [(5 * HOUR, 26 * MINUTE), (17 * HOUR, 41 * MINUTE)]
LATE = 4 * MINUTE

NAMES = ["Milan DC, primary", "Rome branch"]

# The terminal's size.
ROWS, COLUMNS = 60, 100
# The exit code of `bothends status` in an outage.
DOWN = 2


class Scene(storm.Stage):
    """Two connections with two tunnels each. Every wait is short, so that the story takes seconds."""

    def __init__(self, daemon, stand_in, hostile):
        connections = [storm.Connection(number) for number in range(len(NAMES))]
        for connection, name in zip(connections, NAMES):
            connection.name = name
        super().__init__(connections, True, daemon, stand_in)
        self.hostile = hostile
        self.written = self.directory / "status.txt"

    def configuration(self):
        def tunnel(place, one):
            name = HOSTILE if self.hostile and one is self.connections[1].tunnels[1] else f"tunnel {place + 1}"
            return (f"[[vpn.tunnel]]\nname = {json.dumps(name)}\noutside_ip = \"{one.outside}\"\ninside_ip = \"{one.inside}\"\n"
                    f"source_ip = \"{one.source}\"\n")

        vpns = [f"[[vpn]]\nid = \"{connection.id}\"\nname = {json.dumps(connection.name)}\nrouting = \"static\"\n"
                f"runbook_url = \"https://wiki.example.com/vpn\"\n"
                + "".join(tunnel(place, one) for place, one in enumerate(connection.tunnels))
                for connection in self.connections]
        return f'''
[site]
name = "milan-1"
[aws]
region = "eu-west-1"
poll_interval = "5s"
suspect_poll_interval = "2s"
ec2_telemetry = true
[path]
[[uplink]]
name = "wan"
interface = "wan0"
references = {json.dumps(storm.REFERENCES)}
[incident]
open_after = {{ outage = "3s", redundancy_lost = "3s" }}
resolve_after = "10s"
start_grace = "3s"
[[incident.sink]]
type = "incident_manager"
response_plan = "{storm.PLAN}"
''' + "".join(vpns)

    def break_first(self):
        """The first tunnel breaks."""
        self.breaks(self.connections[0].tunnels[0])

    def break_second(self):
        """The second tunnel of the same connection, too."""
        self.breaks(self.connections[0].tunnels[1])

    def breaks(self, broken):
        """A tunnel breaks. AWS says so once our end does: remember() stretches what lies between."""
        self.cut([broken.inside, broken.outside])
        says = [f'tunnel="{broken.outside}"', 'end="local"', 'verdict="down"']
        deadline = time.monotonic() + 30
        while not any(line.startswith("bothends_tunnel_verdict{") and line.endswith(" 1") and all(one in line for one in says)
                      for line in (storm.fetch(f"{storm.DAEMON}/metrics") or b"").decode().splitlines()):
            if time.monotonic() > deadline:
                raise storm.Broken(f"our end does not notice the break\n{self.last_output('bothends')}")
            time.sleep(0.2)
        self.aws_says([broken], "DOWN")

    def mend(self):
        self.heal()
        self.aws_says(self.connections[0].tunnels, "UP")

    def remember(self):
        """Yesterday: what has happened so far happened then, several times, and minutes of probes around it. The daemon starts anew."""
        self.stop_daemon()
        with contextlib.closing(sqlite3.connect(self.directory / "bothends.db")) as store, store:
            began, = store.execute("SELECT min(began) FROM watched").fetchone()
            day = began - DAY
            store.execute("INSERT INTO watched (began, until) VALUES (?, ?)", (day, began - 5_000))
            changes = store.execute("SELECT at, tunnel, what, body FROM transition ORDER BY id").fetchall()
            broke = min(at for at, _, what, body in changes if what == "view" and '"down"' in body.lower())
            first, = {tunnel for at, tunnel, what, body in changes if at == broke}
            rows = [(day + SECOND + max(0, at - began), tunnel, what, body) for at, tunnel, what, body in changes if at < broke]
            for offset, lasted in OUTAGES:
                for at, tunnel, what, body in changes:
                    if at >= broke and tunnel == first:
                        late = LATE if '"aws"' in body.lower() else 0
                        since = (at - broke) * lasted // (changes[-1][0] - broke)
                        rows.append((day + offset + since + late, tunnel, what, body))
            store.executemany("INSERT INTO transition (at, tunnel, what, body) VALUES (?, ?, ?, ?)", sorted(rows))
            luck = random.Random(1)
            for tunnel, in store.execute("SELECT id FROM tunnel").fetchall():
                for minute in range(day // MINUTE + 1, began // MINUTE - 1):
                    at = minute * MINUTE - day
                    down = tunnel == first and any(begin <= at < begin + lasted for begin, lasted in OUTAGES)
                    lost = 60 if down else luck.choice([0] * 40 + [1, 2])
                    busy = 6_000 if 8 * HOUR < at < 10 * HOUR else 0
                    median = None if down else 11_500 + tunnel * 1_700 + busy + luck.randrange(900)
                    store.execute("INSERT INTO rollup (minute, tunnel, digest, replies, late, lost, faults, sent, median_rtt) "
                                  "VALUES (?, ?, 0, ?, 0, ?, 0, 1, ?)", (minute * MINUTE, tunnel, 60 - lost, lost, median))
        self.start_daemon()

    def stop_daemon(self):
        child = self.children.pop("bothends")
        child.send_signal(signal.SIGTERM)
        child.wait(10)

    def start_daemon(self):
        self._start_daemon()

    def status(self):
        """Keeps what `bothends status` writes to a terminal, and how it was asked."""
        ours, theirs = os.openpty()
        with open(ours, "rb", buffering=0) as terminal:
            with open(theirs, "wb", buffering=0) as output:
                termios.tcsetwinsize(output, (ROWS, COLUMNS))
                command = ["timeout", "--kill-after=5", "20", str(self.programs["bothends"]), "status", "--url", storm.DAEMON]
                environment = {"PATH": os.environ["PATH"], "HOME": str(self.directory), "TERM": "xterm-256color"}
                program = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
            written = read_all(terminal)
        code = program.wait()
        if code != DOWN:
            raise storm.Broken(f"bothends status ended with {code}:\n{written.decode(errors='replace')}")
        self.written.write_bytes(b"$ bothends status\r\n" + written)


def read_all(terminal):
    """Everything that is written to a terminal until its other side is closed, which reads as an error."""
    written = b""
    with contextlib.suppress(OSError):
        while piece := terminal.read(65536):
            written += piece
    return written
