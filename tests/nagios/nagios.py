"""Runs Nagios Core with `bothends status --nagios` against daemons that this program plays, and compares what Nagios shows."""

import http.server
import json
import os
import pathlib
import re
import subprocess
import sys
import threading
import time

AT = "2026-11-22T10:00:00Z"


def tunnel(number, up):
    verdict = "up" if up else "down"
    return {
        "outside_ip": f"203.0.113.{number}", "name": f"tunnel {number}", "role": "active",
        "assessment": "healthy" if up else "down", "assessed_since": AT, "carrying": "carrying" if up else "not_carrying",
        "local": {"verdict": verdict, "since": AT, "evidence": {
            "losses_in_row": 0, "replies_in_row": 9, "loss_percent": 0.0, "median_rtt_ms": 11.9}},
        "aws": {"verdict": verdict, "since": AT, "age_seconds": 21.0}, "checks": [],
    }


def status(states, **more):
    """Of connections, each with the states of its two tunnels."""
    vpns = [{
        "id": f"vpn-{number:02}", "name": f"L'Aquila | {number}", "routing": "bgp", "tunnels": [tunnel(1, first), tunnel(2, second)],
        "traffic": "flows" if first or second else "does_not_flow",
        "phases": {"outage": "clear", "redundancy_lost": "clear", "one_sided": "clear"},
    } for number, (first, second) in enumerate(states)]
    return json.dumps({"site": "milan-1", "version": "0.1.0", "mode": "raise", "at": AT, "ready": True, "vpns": vpns,
                       "incidents": [], "sources": [], "problems": []} | more)


REJECTS = {"code": "sink_rejects", "component": "sink pager", "severity": "failed", "title": "A sink rejects what it is sent",
           "text": "403 Forbidden", "first_step": "Fix it."}


ANSWERS = {
    "well": status([(True, True)]),
    "degraded": status([(True, False)]),
    "down": status([(False, False), (False, False)]),
    "hundred": status([(False, False)] * 100),
    "rejects": status([(True, True)], ready=False, problems=[REJECTS]),
    "stuck": status([(True, True)], ready=False, stuck=True),
    "garbage": '{"site":',
}
# Services of one connection: whose answer, and which one.
OF_ONE = {"one_of_rejects": ("rejects", "vpn-00"), "one_of_stuck": ("stuck", "vpn-00")}
# The state, what its first line begins with, how many further lines at least, and what its performance data begins with.
EXPECTED = {
    "well": ("0", "BOTHENDS OK - 1 connection, 2 tunnels", 0, "connections=1;;;0"),
    "degraded": ("1", "BOTHENDS WARNING - L'Aquila / 0 (vpn-00): tunnel 2 (203.0.113.2) is down", 0, "connections=1;;;0"),
    "down": ("2", "BOTHENDS CRITICAL - L'Aquila / 0 (vpn-00): no tunnel carries traffic (and 1 more)", 2, "connections=2;;;0"),
    "hundred": ("2", "BOTHENDS CRITICAL - L'Aquila / 0 (vpn-00): no tunnel carries traffic (and 99 more)", 30, "connections=100;;;0"),
    "rejects": ("1", "BOTHENDS WARNING - A sink rejects what it is sent (sink pager)", 0, "connections=1;;;0"),
    "one_of_rejects": ("0", "BOTHENDS OK - 1 connection, 2 tunnels", 0, "connections=1;;;0"),
    "stuck": ("3", "BOTHENDS UNKNOWN - the daemon's core is stuck", 0, "connections=1;;;0"),
    "one_of_stuck": ("3", "BOTHENDS UNKNOWN - the daemon's core is stuck", 0, "connections=1;;;0"),
    "garbage": ("3", "BOTHENDS UNKNOWN - unexpected response from the daemon", 0, ""),
    "gone": ("3", "BOTHENDS UNKNOWN - ", 0, ""),
    "wrong": ("3", "BOTHENDS UNKNOWN - ", 0, ""),
}


def daemon(answer):
    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer.encode())

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_address[1]


def configured(directory, plugin):
    ports = {name: daemon(answer) for name, answer in ANSWERS.items()}
    lines = {name: f"--url http://127.0.0.1:{port}" for name, port in ports.items()}
    lines |= {name: f"{lines[whose]} --vpn {vpn}" for name, (whose, vpn) in OF_ONE.items()}
    lines |= {"gone": "--url http://127.0.0.1:1", "wrong": "--jsn"}
    for name, options in lines.items():
        script = directory / f"{name}.sh"
        script.write_text(f"#!/bin/sh\nexec '{plugin}' status --nagios {options}\n")
        script.chmod(0o755)
    objects = ["define timeperiod {\n timeperiod_name always\n alias always\n"
               + "".join(f" {day} 00:00-24:00\n" for day in
                         ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")) + "}",
               "define command {\n command_name nothing\n command_line /bin/true\n}",
               "define contact {\n contact_name nobody\n host_notifications_enabled 0\n service_notifications_enabled 0\n"
               " host_notification_period always\n service_notification_period always\n host_notification_options n\n"
               " service_notification_options n\n host_notification_commands nothing\n service_notification_commands nothing\n}",
               "define host {\n host_name gateway\n address 127.0.0.1\n max_check_attempts 1\n check_period always\n}"]
    for name in lines:
        objects.append(f"define command {{\n command_name {name}\n command_line {directory}/{name}.sh\n}}")
        objects.append(f"define service {{\n host_name gateway\n service_description {name}\n check_command {name}\n"
                       " max_check_attempts 1\n check_interval 60\n retry_interval 60\n check_period always\n}")
    (directory / "objects.cfg").write_text("\n".join(objects) + "\n")
    (directory / "nagios.cfg").write_text("\n".join([
        f"cfg_file={directory}/objects.cfg", f"log_file={directory}/log", f"object_cache_file={directory}/objects.cache",
        f"status_file={directory}/status", "status_update_interval=1", f"lock_file={directory}/lock", f"temp_file={directory}/tmp",
        f"temp_path={directory}", f"check_result_path={directory}", f"query_socket={directory}/socket", "nagios_user=root",
        "nagios_group=root", "check_external_commands=0", "retain_state_information=0", "enable_notifications=0",
        "service_inter_check_delay_method=n", "use_syslog=0"]) + "\n")


def shown(directory):
    """Of each service: its state, its first line, its further lines and its performance data, as Nagios has them."""
    path = directory / "status"
    text = path.read_text() if path.exists() else ""
    found = {}
    for service in re.findall(r"servicestatus \{(.*?)\n\t\}", text, re.S):
        value = dict(re.findall(r"^\t(\w+)=(.*)$", service, re.M))
        if value["has_been_checked"] == "1":
            found[value["service_description"]] = (
                value["current_state"], value["plugin_output"], value["long_plugin_output"], value["performance_data"])
    return found


def main(directory, nagios, plugin):
    directory = pathlib.Path(directory)
    configured(directory, plugin)
    process = subprocess.Popen(["unshare", "--map-root-user", nagios, directory / "nagios.cfg"],
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=directory)
    try:
        until, found = time.monotonic() + 60, {}
        while len(found) < len(EXPECTED) and time.monotonic() < until:
            time.sleep(0.2)
            # It removes the file when it ends.
            found = shown(directory) or found
    finally:
        process.terminate()
        process.wait()
    wrong = []
    for name, (state, first, lines, numbers) in EXPECTED.items():
        got = found.get(name, ("not checked", "", "", ""))
        print(f"{name}: state {got[0]}, {len(got[2].split(chr(92) + 'n'))} further lines, {len(got[3])} bytes of numbers: {got[1][:100]}")
        further = [line for line in got[2].split("\\n") if line]
        if got[0] != state or not got[1].startswith(first) or len(further) < lines or not got[3].startswith(numbers):
            wrong.append((name, got))
        elif numbers and not re.search(r"(=U|;\d*)$", got[3]):
            wrong.append((name, "cut within a number", got[3][-60:]))
    for case in wrong:
        print("WRONG:", *case)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
