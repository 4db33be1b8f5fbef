"""What the daemon costs, and what it says of its tunnels: its threads' clocks, its memory, and /metrics."""

import collections
import datetime
import json
import pathlib
import re
import threading
import time

from stage import DAEMON, fetch

LINE = re.compile(r'^(\w+)(?:\{(.*)\})? (\S+)$', re.MULTILINE)
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


class Metrics:
    """One answer of /metrics."""

    def __init__(self, text, asked, took):
        self.at = asked + took
        self.took = took
        self.size = len(text)
        self.samples = collections.defaultdict(list)
        for name, labels, value in LINE.findall(text):
            self.samples[name].append((dict(LABEL.findall(labels)), float(value)))

    def sum(self, name, **labels):
        """The sum of the samples with these labels."""
        return sum(value for found, value in self.samples[name] if all(found.get(key) == wanted for key, wanted in labels.items()))

    def verdicts(self, end, verdict):
        """How many tunnels have this verdict of this end."""
        return int(self.sum("bothends_tunnel_verdict", end=end, verdict=verdict))

    def agreed(self, assessment):
        return int(self.sum("bothends_tunnel_assessment", assessment=assessment))

    def problems(self):
        return sorted({f"{found['code']} ({found['component']})" for found, value in self.samples["bothends_problem"] if value == 1})


def scrape():
    """None while the daemon does not answer."""
    asked = time.time()
    text = fetch(f"{DAEMON}/metrics", timeout=20)
    return None if text is None else Metrics(text.decode(), asked, time.time() - asked)


def downs():
    """Since when each tunnel is Down by our end, and by both, as two lists of seconds since 1970; None without an answer of /status. A daemon
    that is busy may take minutes."""
    text = fetch(f"{DAEMON}/status", timeout=150)
    if text is None:
        return None
    tunnels = [tunnel for vpn in json.loads(text)["vpns"] for tunnel in vpn["tunnels"]]
    return (sorted(seconds(tunnel["local"]["since"]) for tunnel in tunnels if tunnel["local"]["verdict"] == "down"),
            sorted(seconds(tunnel["assessed_since"]) for tunnel in tunnels if tunnel["assessment"] == "down"))


def seconds(date):
    return datetime.datetime.fromisoformat(date.replace("Z", "+00:00")).timestamp()


class Cost:
    """Samples a process every second, from a thread of its own, until it is closed."""

    def __init__(self, pid):
        self.pid = pid
        self.samples = []
        self.closed = threading.Event()
        self.thread = threading.Thread(target=self._sample)
        self.thread.start()

    def _sample(self):
        while True:
            self.samples.append((time.time(), self._threads(), self._memory()))
            if self.closed.wait(1):
                return

    def _threads(self):
        """Seconds of CPU that each thread has had, by its name; their own clocks are exact, the ticks of /proc/PID/stat are of 10 ms."""
        had = collections.Counter()
        for thread in pathlib.Path(f"/proc/{self.pid}/task").glob("*"):
            try:
                name = "main" if thread.name == str(self.pid) else (thread / "comm").read_text().strip()
                had[name] += int((thread / "schedstat").read_text().split()[0]) / 1e9
            except OSError:
                continue
        return had

    def _memory(self):
        """In MB."""
        try:
            text = pathlib.Path(f"/proc/{self.pid}/status").read_text()
        except OSError:
            return 0
        found = re.search(r"VmRSS:\s+(\d+) kB", text)
        return int(found[1]) / 1000 if found else 0

    def between(self, start, end):
        """Seconds of CPU by thread."""
        within = [threads for at, threads, _ in self.samples if start <= at <= end]
        return within[-1] - within[0] if within else collections.Counter()

    def busiest(self, start, end):
        """The most CPU that a thread has had in one second, as (seconds, thread)."""
        within = [sample for sample in self.samples if start <= sample[0] <= end]
        rates = [((later[name] - earlier[name]) / (at - before), name)
                 for (before, earlier, _), (at, later, _) in zip(within, within[1:]) for name in later]
        return max(rates, default=(0, "-"))

    def memory(self, start, end):
        """The most memory, in MB."""
        return max((memory for at, _, memory in self.samples if start <= at <= end), default=0)

    def close(self):
        self.closed.set()
        self.thread.join()
