#!/usr/bin/env python3
"""Opens the status page of a real daemon in a real browser: see page.mjs. With SCREENSHOTS=DIRECTORY it only takes pictures.

page.mjs says on its standard output what it wants done (a line that begins with @), and gets a line when that is done.
"""

import os
import pathlib
import shutil
import signal
import subprocess
import sys

sys.dont_write_bytecode = True

from scene import COLUMNS, ROOT, Scene, storm  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent
TARGET = ROOT / os.environ.get("CARGO_TARGET_DIR", "target") / "debug"
WITHIN = 240


def play(stage, node):
    """Does what the script wants; its exit code."""
    wishes = {
        "break": stage.break_first,
        "break the other": stage.break_second,
        "mend": stage.mend,
        "stop": stage.stop_daemon,
        "start": stage.start_daemon,
        "remember": stage.remember,
        "status": stage.status,
    }
    for line in node.stdout:
        if line.startswith("@"):
            stage.check_alive()
            wishes[line[1:].strip()]()
            node.stdin.write("done\n")
            node.stdin.flush()
        else:
            print(line, end="", flush=True)
    return node.wait()


def main():
    modules = pathlib.Path(sys.argv[1])
    chromium = shutil.which("chromium")
    pictures = os.environ.get("SCREENSHOTS", "")
    stage = Scene(TARGET / "bothends", TARGET / "examples" / "aws-stand-in", hostile=not pictures)
    node = None
    try:
        stage.up()
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(stage.directory),
            "MODULES": str(modules),
            "CHROMIUM": chromium or "chromium",
            "DAEMON": storm.DAEMON,
            "FIRST": stage.connections[0].id,
            "SECOND": stage.connections[1].id,
            "PICTURES": pictures,
            "STATUS": str(stage.written),
            "COLUMNS": str(COLUMNS),
        }
        node = subprocess.Popen(["timeout", "--kill-after=5", str(WITHIN), "node", str(HERE / "page.mjs")], env=environment,
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        code = play(stage, node)
        if code != 0:
            print(stage.last_output("bothends"), file=sys.stderr)
        return code
    finally:
        if node is not None and node.poll() is None:
            node.terminate()
            node.wait(10)
        stage.down()


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    sys.exit(main())
