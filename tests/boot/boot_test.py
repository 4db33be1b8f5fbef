#!/usr/bin/env python3
"""Tries the Debian package under a real systemd and journald.

    boot_test.py --package DEB --before DEB --stand-in PROGRAM [--suite bookworm]… [--only WORDS] [--screen]

Every check is one line, "ok" or "FAIL"; the last line counts them. Needs root; it creates
and removes its machines itself. Independent scenarios run side by side: a machine mostly waits.
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
    """Counts and prints the checks."""

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


def scenario(report, suite, list_of_checks, arguments):
    """Runs the checks in turn on one machine. A failure ends the scenario: later checks need the state of the earlier ones."""
    with Machine(suite) as machine:
        around = site(machine, arguments)
        for check in list_of_checks:
            figures = len(around.figures)
            try:
                check(machine, around)
            except Exception as error:  # of any kind: the check has failed
                journal = machine.shell("journalctl --boot --no-pager -o short-precise -u bothends | tail -n 25", check=False).output
                report.line(False, suite, sentence(check), f":\n{error or repr(error)}\n{journal}")
                break
            new_figures = around.figures[figures:]
            report.line(True, suite, sentence(check), f" ({', '.join(new_figures)})" if new_figures else "")
        if arguments.screen and around.screen:
            print(around.screen)


def turns_red(report, suite, sabotages, arguments):
    """Each sabotage must make its check fail."""
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
                report.line(False, suite, f"{what}: the preparation failed", f":\n{error or repr(error)}")
                continue
            try:
                check(machine, around)
            except AssertionError as error:
                # The reason, to show whether it is the sabotage.
                why = (str(error).splitlines() or [""])[0][:120]
                report.line(True, suite, f"{what} turns red: {sentence(check)}", f" ({why})")
            except Exception as error:  # the check itself is broken
                report.line(False, suite, f"{what}: {sentence(check)}", f":\n{error!r}")
            else:
                report.line(False, suite, f"{what} was not noticed by: {sentence(check)}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--package", type=pathlib.Path, required=True)
    parser.add_argument("--before", type=pathlib.Path, required=True, help="the package of the previous version")
    parser.add_argument("--stand-in", type=pathlib.Path, required=True, help="the aws-stand-in program")
    parser.add_argument("--suite", action="append", choices=SUITES, help="default: every suite")
    parser.add_argument("--only", default="", help="run only sabotages whose description contains this text")
    parser.add_argument("--screen", action="store_true", help="print what journalctl -x shows of the outage")
    arguments = parser.parse_args()
    checks.read_message_ids(ROOT / "src/catalogue/message_id.rs", ROOT / "src/catalogue/code.rs")
    report = Report()
    suites = arguments.suite or SUITES
    for suite in suites:
        root_file_system(suite)
    with concurrent.futures.ThreadPoolExecutor(2 + 2 * len(suites)) as side_by_side:
        # A sabotage breaks the package, not the suite: one suite is enough.
        playing = [side_by_side.submit(turns_red, report, suites[-1], sabotage.SABOTAGES[part::2], arguments) for part in (0, 1)]
        for suite in [] if arguments.only else suites:
            for list_of_checks in (checks.FRESH, checks.UPGRADE):
                playing.append(side_by_side.submit(scenario, report, suite, list_of_checks, arguments))
    for played in playing:
        # A machine that did not boot is no failed check, but must not count as success.
        played.result()
    print(f"{report.passed} passed, {report.failed} failed")
    return 1 if report.failed else 0


if __name__ == "__main__":
    sys.exit(main())
