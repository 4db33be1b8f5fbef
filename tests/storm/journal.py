"""A journald that only keeps what it is sent: each record with its MESSAGE_ID, level and fields, and when it came."""

import array
import mmap
import os
import re
import pathlib
import socket
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
# docs/journal.md lists every record as | `NAME` `id` | …
ROW = re.compile(r"^\| `([A-Z0-9_]+)` `([0-9a-f]{32})` \|", re.MULTILINE)
LEVELS = {"3": "error", "4": "warning", "5": "notice", "6": "info", "7": "debug"}


def names():
    return {id: name for name, id in ROW.findall((HERE.parent.parent / "docs" / "journal.md").read_text())}


def parse(data):
    """The fields of a datagram (systemd's Native Journal Protocol)."""
    fields = {}
    while data:
        line, _, rest = data.partition(b"\n")
        name, equals, value = line.partition(b"=")
        if not equals:
            length = int.from_bytes(rest[:8], "little")
            value, rest = rest[8:8 + length], rest[9 + length:]
        fields[name.decode()] = value.decode(errors="replace")
        data = rest
    return fields


class Journal:
    """Listens from a thread of its own until it is closed."""

    def __init__(self, path):
        self.path = path
        self.records = []
        self.names = names()
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        self.socket.bind(str(path))
        self.socket.settimeout(0.5)
        self.closed = threading.Event()
        self.thread = threading.Thread(target=self._listen)
        self.thread.start()

    def _listen(self):
        while not self.closed.is_set():
            try:
                data, attached, _, _ = self.socket.recvmsg(1 << 18, socket.CMSG_SPACE(4))
            except TimeoutError:
                continue
            at = time.time()
            for _, _, descriptors in attached:
                # A long record comes as a sealed file.
                file = array.array("i", descriptors)[0]
                with mmap.mmap(file, os.fstat(file).st_size, prot=mmap.PROT_READ) as content:
                    data = content[:]
                os.close(file)
            self.records.append((at, parse(data)))

    def since(self, start, name=None, **fields):
        """The records from `start` on, as (when, fields); of a name and with these fields."""
        found = [(at, record) for at, record in list(self.records) if at >= start]
        return [(at, record) for at, record in found
                if name in (None, self.name(record)) and all(record.get(field) == value for field, value in fields.items())]

    def name(self, record):
        return self.names.get(record.get("MESSAGE_ID"), record.get("MESSAGE_ID", "?"))

    def counts(self, start, end):
        """How many records of which name and level, the most frequent first."""
        counts = {}
        for at, record in self.since(start):
            if at < end:
                key = (self.name(record), LEVELS.get(record.get("PRIORITY"), "?"))
                counts[key] = counts.get(key, 0) + 1
        return dict(sorted(counts.items(), key=lambda item: -item[1]))

    def close(self):
        self.closed.set()
        self.thread.join()
        self.socket.close()
