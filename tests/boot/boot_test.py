#!/usr/bin/env python3
"""Tries the Debian package under a real systemd and journald.

    boot_test.py --package DEB --before DEB --stand-in PROGRAM [--suite bookworm]… [--only WORDS] [--screen]

Every check is one line, "ok" or "FAIL"; the last line counts them. As root; it makes its machines itself and removes them. Stories
that do not touch each other are played side by side: a machine mostly waits.
"""

import argparse
import concurrent.futures
import pathlib
import sys
import tempfile
import threading
import time

import checks
import sabotage
from machine import Machine, root_file_system
from site_of_tunnels import Site

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
SUITES = ["bookworm", "trixie"]


class Report:
    """What was checked."""

    def __init__(self):
        self.passed, self.failed = 0, 0
        self.began = time.monotonic()
        self.lock = threading.Lock()

    def line(self, good, suite, sentence, detail=""):
        with self.lock:
            if good:
                self.passed += 1
            else:
                self.failed += 1
            print(f"{time.monotonic() - self.began:6.1f} s  {'ok  ' if good else 'FAIL'}  {suite}: {sentence}{detail}", flush=True)


def sentence(check):
    return check.__name__.replace("_", " ")


def site(machine, arguments, package=None):
    made = Site(machine, arguments.stand_in)
    made.package, made.package_before = package or arguments.package, arguments.before
    made.figures, made.screen = [], ""
    return made


def story(report, suite, list_of_checks, arguments):
    """One machine, every check in turn. After a failure the rest would find a machine that is not as they expect it."""
    with Machine(suite) as machine:
        around = site(machine, arguments)
        for check in list_of_checks:
            figures = len(around.figures)
            try:
                check(machine, around)
            except Exception as error:  # whatever it is, the check has failed
                told = machine.shell("journalctl --boot --no-pager -o short-precise -u bothends | tail -n 25", check=False).output
                report.line(False, suite, sentence(check), f":\n{error or repr(error)}\n{told}")
                break
            told = around.figures[figures:]
            report.line(True, suite, sentence(check), f" ({', '.join(told)})" if told else "")
        if arguments.screen and around.screen:
            print(around.screen)


def turns_red(report, suite, sabotages, arguments):
    """Each sabotage must make the check fail that is there to notice it."""
    for what, break_it, before, check in sabotages:
        if arguments.only and arguments.only not in what:
            continue
        with tempfile.TemporaryDirectory() as directory, Machine(suite) as machine:
            broken = sabotage.package(break_it, arguments.package, directory)
            around = site(machine, arguments, broken)
            try:
                for step in before:
                    step(machine, around)
            except Exception as error:
                report.line(False, suite, f"{what}: what comes before failed", f":\n{error or repr(error)}")
                continue
            try:
                check(machine, around)
            except AssertionError as error:
                # Why, to be seen whether it is for what was broken.
                why = (str(error).splitlines() or [""])[0][:120]
                report.line(True, suite, f"{what} turns red: {sentence(check)}", f" ({why})")
            except Exception as error:  # the check itself does not work
                report.line(False, suite, f"{what}: {sentence(check)}", f":\n{error!r}")
            else:
                report.line(False, suite, f"{what} was not noticed by: {sentence(check)}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--package", type=pathlib.Path, required=True)
    parser.add_argument("--before", type=pathlib.Path, required=True, help="the package of the version before")
    parser.add_argument("--stand-in", type=pathlib.Path, required=True, help="the program aws-stand-in")
    parser.add_argument("--suite", action="append", choices=SUITES, help="default: every suite")
    parser.add_argument("--only", default="", help="a sabotage whose description has these words, and nothing else")
    parser.add_argument("--screen", action="store_true", help="print what journalctl -x shows of the outage")
    arguments = parser.parse_args()
    checks.read_message_ids(ROOT / "src/telemetry/message_id.rs", ROOT / "src/health/code.rs")
    report = Report()
    suites = arguments.suite or SUITES
    for suite in suites:
        root_file_system(suite)
    with concurrent.futures.ThreadPoolExecutor(2 + 2 * len(suites)) as side_by_side:
        # What a sabotage breaks is in the package, not in the suite: one suite will do.
        playing = [side_by_side.submit(turns_red, report, suites[-1], sabotage.SABOTAGES[part::2], arguments) for part in (0, 1)]
        for suite in [] if arguments.only else suites:
            for list_of_checks in (checks.FRESH, checks.UPGRADE):
                playing.append(side_by_side.submit(story, report, suite, list_of_checks, arguments))
    for played in playing:
        # A machine that did not come up is nobody's failed check, and must not pass for success.
        played.result()
    print(f"{report.passed} passed, {report.failed} failed")
    return 1 if report.failed else 0


if __name__ == "__main__":
    sys.exit(main())
