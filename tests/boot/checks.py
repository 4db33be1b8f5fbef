"""The checks of the package. Each check is a function of a machine and its site, named after the fact; it fails by an AssertionError.

The order within a list matters: a check finds the machine in the state that the earlier ones left. `FRESH` starts on a machine that
has never had the package, `UPGRADE` on one that has a configuration and gets the previous version.
"""

import contextlib
import json
import re
import sqlite3
import time

import stuck
from site_of_tunnels import CONFIG, CREDENTIALS, ENDPOINT, TUNNELS, VPN, config

UNIT = "bothends.service"
STATE = "/var/lib/bothends"
SYSCTL = "/etc/sysctl.d/10-bothends.conf"
RANGE = "/proc/sys/net/ipv4/ping_group_range"
DROP_INS = "/usr/share/bothends/drop-ins"
# From the moment the core is stuck until a new process is ready, as promised in docs/service.md.
WATCHED_AGAIN_WITHIN = 30

# The highest `systemd-analyze security` exposure of the unit as shipped, and with raw sockets.
EXPOSURE_MAX = 1.2
EXPOSURE_MAX_RAW = 1.5


def equal(found, wanted, what):
    assert found == wanted, f"{what}: {found!r}, not {wanted!r}"


def holds(text, *parts):
    for part in parts:
        assert part in text, f"{part!r} is missing from:\n{text[-3000:]}"


def show(machine, name):
    return machine.run("systemctl", "show", "--property", name, "--value", UNIT).output.strip()


def journal(machine, *fields, boot="0"):
    """The daemon's records, as dictionaries of their fields, oldest first."""
    listed = machine.run("journalctl", f"--boot={boot}", "--output=json", "--all", "--no-pager", f"_SYSTEMD_UNIT={UNIT}",
                         *fields).output
    return [json.loads(line) for line in listed.splitlines() if line.startswith("{")]


def of_kind(machine, name, **wanted):
    """Records of a kind, by its name in the source, with these fields."""
    found = journal(machine, f"MESSAGE_ID={MESSAGE_IDS[name]}")
    return [record for record in found if wanted.items() <= record.items()]


def install(machine, package, *options):
    machine.copy(package, "/var/tmp/package.deb")
    return machine.run("apt-get", "install", "--yes", "--quiet", *options, "/var/tmp/package.deb", timeout=120).output


def seconds(machine, name):
    """A monotonic stamp of the service."""
    return int(show(machine, name)) / 1e6


def status_line(machine):
    return show(machine, "StatusText")


def start(machine, check=True):
    """Starts the service again, whatever its state."""
    machine.run("systemctl", "reset-failed", UNIT, check=False)
    return machine.run("systemctl", "restart", UNIT, check=check)


def all_up(machine, problem=None):
    line = "2/2 tunnels up, 0 incidents" + (f"; {problem}" if problem else "")
    machine.wait("both tunnels are up", lambda: status_line(machine) == line, 60)


# --- a fresh machine ------------------------------------------------------------------------------------------------------


def an_installation_without_a_configuration_says_what_to_do_next(machine, site):
    printed = install(machine, site.package)
    holds(printed, "not started", f"bothends discover vpn-… --region REGION --write {CONFIG}", "systemctl start bothends")


def it_is_enabled_but_not_started_and_nothing_has_failed(machine, site):
    equal(machine.run("systemctl", "is-enabled", UNIT).output.strip(), "enabled", "is-enabled")
    equal(show(machine, "ActiveState"), "inactive", "ActiveState")
    equal(show(machine, "NRestarts"), "0", "restarts")
    equal(machine.run("systemctl", "--failed", "--no-legend", "--plain").output.strip(), "", "failed units")
    equal(journal(machine), [], "records of a daemon that was never started")


def icmp_is_open_only_to_the_group(machine, site):
    gid = machine.shell("getent group bothends | cut -d: -f3").output.strip()
    assert gid.isdigit(), gid
    equal(machine.run("cat", RANGE).output.split(), [gid, gid], "ping_group_range")
    holds(machine.path(SYSCTL).read_text(), f"net.ipv4.ping_group_range = {gid} {gid}\n")


def dpkg_asks_no_questions(machine, site):
    equal(machine.run("dpkg-query", "--show", "--showformat=${Conffiles}", "bothends").output.strip(), "", "conffiles")
    # New files here get the group through which the service reads them.
    equal(machine.run("stat", "-c", "%a %U %G", "/etc/bothends", "/etc/bothends/conf.d").output.splitlines(),
          ["2755 root bothends"] * 2, "the directories")
    assert not machine.path(CONFIG).exists(), "the package contains a configuration"


def the_promised_files_are_installed(machine, site):
    for path in ("/usr/bin/bothends", "/usr/share/bothends/bothends.toml", "/usr/lib/sysusers.d/bothends.conf",
                 "/usr/lib/systemd/catalog/bothends.catalog", "/usr/share/man/man1/bothends.1.gz",
                 "/usr/share/man/man5/bothends.toml.5.gz", "/usr/share/bash-completion/completions/bothends",
                 "/usr/share/zsh/vendor-completions/_bothends", "/usr/share/fish/vendor_completions.d/bothends.fish",
                 "/usr/share/bothends/prometheus/rules.yaml", "/usr/share/bothends/prometheus/alertmanager.yaml",
                 "/usr/share/bothends/prometheus/slo.yaml", "/usr/share/bothends/prometheus/alertmanager-hub.yaml",
                 "/usr/share/bothends/grafana/site.json", "/usr/share/bothends/grafana/fleet.json",
                 "/usr/share/bothends/aws/alarms.yaml",
                 "/usr/share/doc/bothends/copyright", "/usr/share/doc/bothends/changelog.Debian.gz",
                 "/usr/share/doc/bothends/changelog.gz", "/usr/share/doc/bothends/third-party.txt.gz"):
        listed = machine.run("dpkg-query", "--search", path, check=False)
        assert listed.code == 0, f"the package has no {path}"
    machine.run("bothends", "check", "--config", "/usr/share/bothends/bothends.toml")


def the_catalog_explains_every_record(machine, site):
    listed = machine.run("journalctl", "--list-catalog").output
    missing = [name for name, number in MESSAGE_IDS.items() if number not in listed]
    equal(missing, [], "records without an entry")


def systemd_analyze_accepts_the_unit_and_the_drop_ins(machine, site):
    verify = ("systemd-analyze", "verify", "--man=no", f"/usr/lib/systemd/system/{UNIT}")
    equal(machine.run(*verify).output.strip(), "", "systemd-analyze verify")
    directory = f"/etc/systemd/system/{UNIT}.d"
    names = machine.shell(f"ls {DROP_INS}").output.split()
    assert len(names) >= 4, names
    for name in names:
        machine.shell(f"mkdir -p {directory} && cp {DROP_INS}/{name} {directory}/")
        equal(machine.run(*verify).output.strip(), "", f"systemd-analyze verify with {name}")
        machine.run("rm", f"{directory}/{name}")


def the_unit_is_hardened(machine, site):
    figure = exposure(machine)
    assert figure <= EXPOSURE_MAX, f"exposure {figure}, promised {EXPOSURE_MAX}"
    site.figures.append(f"exposure {figure}")


def exposure(machine):
    output = machine.run("systemd-analyze", "security", "--no-pager", UNIT, check=False).output
    return float(re.search(r"Overall exposure level for \S+: ([0-9.]+)", output)[1])


def a_boot_without_a_configuration_is_no_failure(machine, site):
    machine.reboot()
    it_is_enabled_but_not_started_and_nothing_has_failed(machine, site)
    # This time systemd-sysctl has set it.
    icmp_is_open_only_to_the_group(machine, site)


def an_empty_file_left_by_a_failed_command_is_no_configuration(machine, site):
    # With output redirected to the file, the shell creates it before discover fails for lack of credentials.
    failed = machine.shell(f"bothends discover vpn-0123456789abcdef0 > {CONFIG}", check=False)
    equal(failed.code, 64, "exit code of discover without a Region")
    holds(failed.output, "--region")
    equal(machine.path(CONFIG).read_text(), "", "the configuration")
    machine.run("systemctl", "start", UNIT)
    it_is_enabled_but_not_started_and_nothing_has_failed(machine, site)
    holds(install(machine, site.package, "--reinstall"), "bothends")
    machine.run("apt-get", "remove", "--yes", "bothends")
    holds(install(machine, site.package), "there is no configuration")
    machine.reboot()
    it_is_enabled_but_not_started_and_nothing_has_failed(machine, site)
    machine.path(CONFIG).unlink()


def a_wider_distribution_sysctl_is_kept(machine, site):
    # As in Debian's linux-sysctl-defaults: `ping` needs it for every user.
    machine.write("/usr/lib/sysctl.d/50-default.conf", "-net.ipv4.ping_group_range = 0 2147483647\n")
    machine.reboot()
    equal(machine.run("cat", RANGE).output.split(), ["0", "2147483647"], "ping_group_range")
    machine.run("rm", "/usr/lib/sysctl.d/50-default.conf")
    machine.reboot()
    icmp_is_open_only_to_the_group(machine, site)


def an_administrators_sysctl_is_kept(machine, site):
    shipped = machine.path(SYSCTL).read_text()
    for theirs in (shipped.splitlines()[0] + "\nnet.ipv4.ping_group_range = 0 2147483647\n",
                   "net.ipv4.ping_group_range = 1 0\n", ""):
        machine.write(SYSCTL, theirs)
        holds(install(machine, site.package, "--reinstall"), "stays as it is")
        equal(machine.path(SYSCTL).read_text(), theirs, SYSCTL)
    # For a group that no longer exists, as after a restored backup of /etc.
    machine.write(SYSCTL, re.sub(r"= \d+ \d+", "= 4711 4711", shipped))
    install(machine, site.package, "--reinstall")
    equal(machine.path(SYSCTL).read_text(), shipped, SYSCTL)


def a_root_only_temporary_file_can_be_checked_offline(machine, site):
    file = "/var/tmp/ansible/source.toml"
    machine.shell(f"umask 077; mkdir /var/tmp/ansible && cp /usr/share/bothends/bothends.toml {file}")
    machine.run("bothends", "check", "--config", file)
    machine.shell(f"echo 'intervall = 1' >> {file}")
    wrong = machine.run("bothends", "check", "--config", file, check=False)
    equal(wrong.code, 78, "exit code")
    holds(wrong.output, f"{file}:", "intervall")


def it_starts_before_the_network_and_without_aws(machine, site):
    site.configure()
    machine.run("systemctl", "start", UNIT)
    equal(show(machine, "ActiveState"), "active", "ActiveState")
    # Sent when both tunnels had been probed, while the command was still waiting.
    equal(status_line(machine).split(",")[0], "0/2 tunnels up", "STATUS when READY was sent")
    machine.wait("the missing address is logged for each tunnel", lambda: {
        record["TUNNEL_IP"] for record in of_kind(machine, "PROBE_ADDRESS_MISSING", VPN_ID=VPN, END="local")
    } == {outside for outside, _, _ in TUNNELS.values()})


def a_boot_with_a_configuration_starts_it(machine, site):
    machine.reboot()
    machine.wait("it runs", lambda: show(machine, "ActiveState") == "active")
    equal(show(machine, "NRestarts"), "0", "restarts")
    equal(status_line(machine).split(",")[0], "0/2 tunnels up", "STATUS")


def it_recovers_by_itself_when_the_network_is_up(machine, site):
    pid = show(machine, "MainPID")
    site.start_network()
    site.start_aws()
    all_up(machine)
    equal(show(machine, "MainPID"), pid, "MainPID")


def it_gets_its_credentials_from_systemd(machine, site):
    # The stand-in checks signatures, and the key is only in that file.
    machine.wait("AWS has accepted a signed request",
                 lambda: [r for r in site.ask_aws("received") if r["result"] == "ok"])
    equal(machine.run("stat", "-c", "%a %U", CREDENTIALS).output.strip(), "600 root", "the file of the keys")
    capabilities = machine.shell(f"grep -h Cap /proc/{show(machine, 'MainPID')}/status").output
    equal(set(re.findall(r":\s+([0-9a-f]+)", capabilities)), {"0000000000000000"}, "capabilities")


def commands_run_by_root_use_the_services_credentials(machine, site):
    # Root's shell has neither: the key is in the service's file, and the AWS endpoint in its drop-in.
    checked = machine.run("bothends", "check", "--aws", check=False)
    holds(checked.output, "AWS is asked as bothends.service would", "cloudwatch:GetMetricData", "allowed")
    equal(checked.code, 0, f"the exit code of check --aws:\n{checked.output}\n")
    drilled = machine.run("bothends", "drill", "--yes", check=False)
    holds(drilled.output, "AWS is asked as bothends.service would", "DRILL")
    equal(drilled.code, 0, f"the exit code of drill:\n{drilled.output}\n")
    own = machine.run("bothends", "check", "--aws", "--own-credentials", check=False)
    equal(own.code, 77, f"the exit code without credentials:\n{own.output}\n")
    # A closed output pipe does not end the command half way.
    unread = machine.run("bash", "-c", "bothends check --aws | true; exit ${PIPESTATUS[0]}", check=False)
    equal(unread.code, 0, f"the exit code of check --aws with a closed output pipe:\n{unread.output}\n")
    a_command_leaves_nothing_behind(machine)
    equal(show(machine, "ActiveState"), "active", "ActiveState of the service")


def a_command_leaves_nothing_behind(machine):
    left = machine.shell("ls /run /run/systemd/system | grep bothends-command", check=False).output
    equal(left, "", "leftovers of a command")
    units = machine.run("systemctl", "list-units", "--all", "--no-legend", "--plain", "bothends-command*").output
    equal(units.strip(), "", "leftover units of a command")


def a_check_by_root_finds_what_the_service_would(machine, site):
    def preflight(code, *says):
        done = machine.run("bothends", "check", "--to-run", check=False)
        equal(done.code, code, f"the exit code of check --to-run:\n{done.output}\n")
        holds(done.output, "start-up checks run as bothends.service would", *says)

    def warned(*says):
        done = machine.run("bothends", "check", check=False)
        equal(done.code, 0, f"the exit code of check:\n{done.output}\n")
        holds(done.output, *says)

    preflight(0)
    mode = machine.run("stat", "-c", "%a", CONFIG).output.strip()
    machine.run("chmod", "600", CONFIG)
    preflight(78, "Permission denied", f"chmod 640 {CONFIG}")
    warned(f"warning: {CONFIG}: cannot be read by the user bothends")
    machine.run("chmod", mode, CONFIG)
    sockets = machine.run("cat", RANGE).output.strip()
    machine.shell(f"echo 1 0 > {RANGE}")
    preflight(77, "ping_group_range")
    warned("warning: the user bothends cannot open ICMP sockets: net.ipv4.ping_group_range is")
    machine.shell(f"echo '{sockets}' > {RANGE}")
    drop_in = f"/etc/systemd/system/{UNIT}.d/group.conf"
    machine.write(drop_in, "[Service]\nSupplementaryGroups=no-such-group\n")
    machine.run("systemctl", "daemon-reload")
    preflight(70, "status 216, GROUP: ")
    machine.shell(f"rm {drop_in} && systemctl daemon-reload")
    preflight(0)
    a_command_leaves_nothing_behind(machine)


def leftovers_of_a_killed_command_are_named_and_then_removed(machine, site):
    profiles, drop_in = "/etc/bothends/profiles", f"/etc/systemd/system/{UNIT}.d/profile.conf"
    machine.write(profiles, "[profile site]\ncredential_process = sleep 4711\n")
    machine.write(drop_in, f"[Service]\nEnvironment=AWS_CONFIG_FILE={profiles} AWS_PROFILE=site\n")
    machine.run("systemctl", "daemon-reload")
    machine.run("systemd-run", "--quiet", "--unit=killed.service", "bothends", "check", "--aws")
    machine.wait("its helper runs", lambda: machine.run("pgrep", "-c", "-f", "^sleep 4711", check=False).output.strip() == "1")
    machine.run("systemctl", "kill", "--signal=KILL", "--kill-whom=main", "killed.service")
    machine.wait("it is dead", lambda: machine.run("systemctl", "is-failed", "killed.service", check=False).output.strip() == "failed")
    machine.run("systemctl", "reset-failed", "killed.service")
    checked = machine.run("bothends", "check", "--to-run", check=False)
    holds(checked.output, "a command that was killed still runs as bothends-command-")
    machine.shell(f"rm {profiles} {drop_in} && systemctl daemon-reload && pkill -f '^sleep 4711'")
    machine.wait("it has ended", lambda: machine.run("pgrep", "-f", "bothends check --aws", check=False).code != 0)
    machine.run("bothends", "check", "--to-run", check=False)
    a_command_leaves_nothing_behind(machine)


def commands_run_by_root_run_as_the_service_user_and_end_with_their_children(machine, site):
    profiles = "/etc/bothends/profiles"
    drop_in = f"/etc/systemd/system/{UNIT}.d/profile.conf"

    def with_helper(helper):
        machine.write(profiles, f"[profile site]\ncredential_process = {helper}\n")
        machine.write(drop_in, f"[Service]\nEnvironment=AWS_CONFIG_FILE={profiles} AWS_PROFILE=site\n")
        machine.run("systemctl", "daemon-reload")

    with_helper("sh -c 'id -un >&2; exit 3'")
    asked = machine.run("bothends", "check", "--aws", check=False)
    holds(asked.output, 'credential_process failed with exit code 3, saying "bothends"')
    # As if AWS was behind a black hole.
    with_helper("sh -c 'sleep 4711 & exec sleep 4711'")
    for number, arguments in enumerate((["check", "--aws"], ["drill", "--yes"])):
        waits = f"waits-{number}.service"
        machine.run("systemd-run", "--quiet", f"--unit={waits}", "bothends", *arguments)
        machine.wait("its helper runs", lambda: machine.run("pgrep", "-c", "-f", "^sleep 4711", check=False).output.strip() == "2")
        machine.run("systemctl", "kill", "--signal=INT", "--kill-whom=main", waits)
        machine.wait("it has ended", lambda: machine.run("systemctl", "is-failed", waits, check=False).output.strip() == "failed")
        equal(machine.run("pgrep", "-a", "-f", "^sleep 4711", check=False).output, "", "leftovers of the helper")
        equal(machine.run("systemctl", "show", "--property=ExecMainCode,ExecMainStatus", waits).output.split(),
              ["ExecMainCode=1", "ExecMainStatus=1"], f"how {arguments} ended")
        holds(machine.run("journalctl", "--boot", "--no-pager", f"--unit={waits}").output, "interrupted")
        machine.run("systemctl", "reset-failed", waits)
        a_command_leaves_nothing_behind(machine)
    machine.shell(f"rm {profiles} {drop_in} && systemctl daemon-reload")
    equal(show(machine, "ActiveState"), "active", "ActiveState of the service")


def all_metrics_are_there_under_the_hardened_unit(machine, site):
    metrics = site.fetch("http://127.0.0.1:9846/metrics") or ""
    holds(metrics, "bothends_build_info{", "process_start_time_seconds ", "process_open_fds ", "process_resident_memory_bytes ",
          f'bothends_tunnel_verdict{{vpn="{VPN}",tunnel="203.0.113.2",end="aws",verdict="up"}} 1')
    equal(site.fetch("http://127.0.0.1:9846/readyz") is not None, True, "/readyz answers 200")


def an_outage_is_logged_with_its_fields(machine, site):
    for number in TUNNELS:
        site.cut(number)
    machine.wait("an incident is open", lambda: site.incidents("outage", "OPEN"), 60)
    for outside, _, _ in TUNNELS.values():
        assert of_kind(machine, "END_DOWN", TUNNEL_IP=outside, VPN_ID=VPN, END="local", VERDICT="down"), outside
        assert of_kind(machine, "END_DOWN", TUNNEL_IP=outside, VPN_ID=VPN, END="aws", VERDICT="down"), outside
        agreed = of_kind(machine, "BOTH_ENDS_DOWN", TUNNEL_IP=outside, VPN_ID=VPN, ASSESSMENT="down")
        assert agreed and agreed[0]["PRIORITY"] == "4", agreed
        holds(agreed[0]["MESSAGE"], "boot: Demo office: tunnel", outside)
    opened = of_kind(machine, "INCIDENT_OPENED", VPN_ID=VPN, KIND="outage")
    equal(len(opened), 1, "INCIDENT_OPENED records")
    equal(opened[0]["_SYSTEMD_UNIT"], UNIT, "_SYSTEMD_UNIT")
    equal(opened[0]["SYSLOG_IDENTIFIER"], "bothends", "SYSLOG_IDENTIFIER")


def journalctl_explains_the_outage_from_the_catalog(machine, site):
    text = machine.run("journalctl", "--boot", "-x", "--no-pager", f"--unit={UNIT}").output
    site.screen = text
    entries = re.findall(r"^░░ Subject: (.*)$", text, re.M)
    assert len(set(entries)) >= 4, f"too few records are explained: {entries}"
    left_over = re.findall(r"@[A-Z][A-Z_]+@", text)
    equal(left_over, [], "fields that the record does not have")
    holds(text, "bothends status")


def a_recovered_tunnel_ends_the_incident(machine, site):
    for number in TUNNELS:
        site.mend(number)
    machine.wait("the incident is resolved", lambda: not site.incidents("outage", "OPEN"), 60)
    equal(len(site.incidents("outage")), 1, "records of the outage")
    all_up(machine)


def a_reload_returns_when_the_configuration_is_in_force(machine, site):
    pid = show(machine, "MainPID")
    # Without a name the site gets the host's.
    machine.write(CONFIG, config().replace('"Demo office"', '"Demo office, renamed"').replace('name = "boot"\n', ""))
    machine.run("systemctl", "reload", UNIT)
    # No waiting here: it must be in force when the command returns.
    holds(site.fetch("http://127.0.0.1:9846/status") or "", "Demo office, renamed", '"gateway"')
    equal(len(of_kind(machine, "CONFIGURATION_RELOADED")), 1, "CONFIGURATION_RELOADED records")
    equal(show(machine, "MainPID"), pid, "MainPID")
    equal(show(machine, "ActiveState"), "active", "ActiveState")


def a_wrong_configuration_fails_the_reload_with_its_reason(machine, site):
    pid = show(machine, "MainPID")
    machine.write(CONFIG, config().replace('poll_interval = "5s"', 'poll_interval = "5 parsecs"', 1))
    failed = machine.run("systemctl", "reload", UNIT, check=False)
    assert failed.code != 0, "systemctl reload succeeded"
    status = machine.run("systemctl", "status", "--no-pager", "--full", UNIT).output
    holds(status, "active (running)", "5 parsecs", f"{CONFIG}:")
    holds(status_line(machine), "reload refused", "poll_interval")
    holds(site.fetch("http://127.0.0.1:9846/status") or "", "Demo office, renamed")
    equal(show(machine, "MainPID"), pid, "MainPID")
    machine.write(CONFIG, config())
    machine.run("systemctl", "reload", UNIT)
    all_up(machine)


def a_killed_daemon_is_restarted(machine, site):
    pid = show(machine, "MainPID")
    machine.run("systemctl", "kill", "--signal=KILL", UNIT)
    machine.wait("it runs again", lambda: show(machine, "MainPID") not in (pid, "0")
                 and show(machine, "ActiveState") == "active", 20)
    all_up(machine)


def a_stuck_core_is_killed_and_restarted_in_time(machine, site):
    # As shipped.
    interval = 20
    equal(show(machine, "WatchdogUSec"), f"{interval}s", "WatchdogSec=")
    restarts, pid = int(show(machine, "NRestarts")), show(machine, "MainPID")
    # It was fed for longer than the interval, so the restart below is not due to a watchdog that is never fed.
    began = seconds(machine, "ExecMainStartTimestampMonotonic")
    machine.wait("it has run for longer than the interval", lambda: float(
        machine.run("cat", "/proc/uptime").output.split()[0]) > began + interval + 2, 2 * interval)
    equal(show(machine, "MainPID"), pid, "MainPID while the core works")
    # Only the core's thread is stopped, until systemd notices; the I/O thread runs on, and does not feed the watchdog in its
    # place.
    held = time.monotonic()
    with stuck.held(machine.host_pid(pid)):
        machine.wait("systemd notices", lambda: "Watchdog timeout" in machine.run(
            "journalctl", "--boot", "--no-pager", f"--unit={UNIT}").output, WATCHED_AGAIN_WITHIN)
    machine.wait("it is started again", lambda: int(show(machine, "NRestarts")) == restarts + 1
                 and show(machine, "MainPID") != pid and show(machine, "ActiveState") == "active",
                 held + WATCHED_AGAIN_WITHIN - time.monotonic())
    site.figures.append(f"{time.monotonic() - held:.0f} s from the hold to active again")
    all_up(machine)


def a_journald_that_does_not_read_blocks_nothing(machine, site):
    pid = show(machine, "MainPID")
    journald = machine.run("systemctl", "show", "--property=MainPID", "--value", "systemd-journald").output.strip()
    # While journald is stopped systemctl still answers; journald's own watchdog is longer than this.
    machine.run("kill", "-STOP", journald)
    try:
        # Until its socket is full: writers block.
        machine.shell("n=0; while timeout 0.5 sh -c 'echo filling | logger --journald' 2>/dev/null; do "
                      "n=$((n + 1)); [ $n -lt 5000 ] || { echo 'the socket was never full'; exit 1; }; done")
        for number in TUNNELS:
            site.cut(number)
        machine.wait("an incident is open", lambda: site.incidents("outage", "OPEN"), 60)
        for number in TUNNELS:
            site.mend(number)
        machine.wait("the incident is resolved", lambda: not site.incidents("outage", "OPEN"), 60)
        equal(site.fetch("http://127.0.0.1:9846/healthz") is not None, True, "/healthz answers")
    finally:
        machine.run("kill", "-CONT", journald)
    equal(show(machine, "MainPID"), pid, "MainPID")
    machine.wait("the queued records are logged", lambda: len(of_kind(machine, "INCIDENT_RESOLVED")) >= 2)


def a_daemon_that_ends_at_once_is_restarted_without_limit(machine, site):
    directory = f"/etc/systemd/system/{UNIT}.d"
    machine.write(f"{directory}/ends.conf", "[Service]\nType=exec\nExecStart=\nExecStart=/bin/sh -c 'exit 70'\n")
    machine.run("systemctl", "daemon-reload")
    # Whether systemctl sees the first start before its end is random.
    start(machine, check=False)
    # By default systemd gives up after some starts within some time.
    machine.wait("the seventh start", lambda: int(show(machine, "NRestarts")) >= 7)
    # Between two starts; during one there is nothing to report.
    machine.wait("status says how it ends and that it starts again", lambda: re.search(
        "has failed with status 70: .*; systemd starts it again after 2s, as it has done [0-9]+ times before",
        machine.run("bothends", "status", check=False).output))
    machine.shell(f"rm {directory}/ends.conf && systemctl daemon-reload")
    start(machine)
    all_up(machine)


# --- bad input ------------------------------------------------------------------------------------------------------------


def refused(machine, code, *says):
    """The service does not start, is not retried, and has this exit code and these texts in its journal."""
    since = machine.run("date", "+%Y-%m-%d %H:%M:%S.%6N").output.strip()
    failed = start(machine, check=False)
    assert failed.code != 0, "systemctl start succeeded"
    equal(show(machine, "ExecMainStatus"), str(code), "exit code")
    # Neither running nor waiting for a restart.
    equal(show(machine, "ActiveState"), "failed", "ActiveState")

    def logged():
        records = journal(machine, f"--since={since}")
        holds("\n".join(record["MESSAGE"] for record in records if record.get("PRIORITY") == "3"), *says)
        return True

    # journald may not have read it yet.
    machine.wait("the texts are in the journal", logged, 10)


def a_long_refusal_is_complete_in_the_journals_json(machine, site):
    """A field of 4,096 bytes or more would be null there, and `refused` would not find its texts."""
    machine.write(CONFIG, config() + "".join(f"unknown_key_number_{number} = 1\n" for number in range(90)))
    refused(machine, 78, "unknown_key_number_1:", "unknown_key_number_89:", "(part 1 of ")
    machine.write(CONFIG, config())


def a_credentials_file_that_others_can_read_is_refused(machine, site):
    machine.run("chmod", "644", CREDENTIALS)
    refused(machine, 78, CREDENTIALS, f"chmod 600 {CREDENTIALS}")
    machine.run("chmod", "600", CREDENTIALS)


def a_configuration_that_another_user_can_replace_is_refused(machine, site):
    machine.run("useradd", "--system", "somebody")
    machine.run("chown", "somebody", "/etc/bothends")
    refused(machine, 78, "/etc/bothends", "chown root")
    machine.run("chown", "root", "/etc/bothends")


def a_secret_in_a_configuration_that_others_can_read_is_refused(machine, site):
    secret = "https://ops:sesame-opens@wiki.example.com/vpn"
    machine.write(CONFIG, config().replace('name = "Demo office"', f'name = "Demo office"\nrunbook_url = "{secret}"'))
    refused(machine, 78, CONFIG, "chmod")
    journal_text = machine.run("journalctl", "--boot", "--no-pager", f"--unit={UNIT}").output
    assert "sesame" not in journal_text, "the secret is in the journal"
    machine.write(CONFIG, config())


def missing_certificates_are_named(machine, site):
    machine.shell(f"mv {ENDPOINT} /var/tmp/; mv /etc/ssl/certs /etc/ssl/certs.away; systemctl daemon-reload")
    try:
        refused(machine, 78, "ca-certificates")
    finally:
        machine.shell(f"mv /var/tmp/{ENDPOINT.rsplit('/', 1)[1]} {ENDPOINT}; mv /etc/ssl/certs.away /etc/ssl/certs; "
                      "systemctl daemon-reload")


def without_icmp_sockets_the_start_names_the_drop_in_that_helps(machine, site):
    machine.shell(f"echo 1 0 > {RANGE}")
    refused(machine, 77, "ping_group_range", "CAP_NET_RAW")
    directory = f"/etc/systemd/system/{UNIT}.d"
    machine.shell(f"cp {DROP_INS}/cap-net-raw.conf {directory}/ && systemctl daemon-reload")
    start(machine)
    all_up(machine, "degraded: probe: ICMP probes use raw sockets")
    figure = exposure(machine)
    assert figure <= EXPOSURE_MAX_RAW, figure
    site.figures.append(f"with raw sockets {figure}")
    machine.shell(f"rm {directory}/cap-net-raw.conf && systemctl daemon-reload && systemctl restart systemd-sysctl")


def a_proxy_password_is_not_visible(machine, site):
    directory = f"/etc/systemd/system/{UNIT}.d"
    machine.write("/etc/bothends/proxy.env", "HTTPS_PROXY=http://ops:sesame@127.0.0.1:3128\n", 0o600)
    machine.shell(f"cp {DROP_INS}/https-proxy.conf {directory}/ && systemctl daemon-reload")
    start(machine)
    environment = machine.shell(f"tr '\\0' '\\n' < /proc/{show(machine, 'MainPID')}/environ").output
    holds(environment, "HTTPS_PROXY=http://ops:sesame@")
    seen = machine.shell(f"runuser -u somebody -- sh -c 'systemctl show {UNIT}; systemctl cat {UNIT}'; "
                         "journalctl --boot --no-pager", check=False).output
    assert "sesame" not in seen, "the password is visible"
    machine.shell(f"rm {directory}/https-proxy.conf /etc/bothends/proxy.env && systemctl daemon-reload")


def a_missing_credential_file_stops_the_restarts(machine, site):
    directory = f"/etc/systemd/system/{UNIT}.d"
    machine.shell(f"cp {DROP_INS}/signing-helper.conf {directory}/ && systemctl daemon-reload")
    refused(machine, 243)
    holds(machine.run("systemctl", "status", "--no-pager", "--full", UNIT, check=False).output, "243/CREDENTIALS")
    machine.shell(f"rm {directory}/signing-helper.conf && systemctl daemon-reload")


def a_missing_group_stops_the_restarts(machine, site):
    directory = f"/etc/systemd/system/{UNIT}.d"
    machine.write(f"{directory}/group.conf", "[Service]\nSupplementaryGroups=nobody-has-made-it\n")
    machine.run("systemctl", "daemon-reload")
    refused(machine, 216)
    machine.shell(f"rm {directory}/group.conf && systemctl daemon-reload")


def an_unavailable_sandbox_stops_the_restarts(machine, site):
    """As in an LXC container without nesting."""
    directory = f"/etc/systemd/system/{UNIT}.d"
    machine.write(f"{directory}/sandbox.conf", "[Service]\nReadWritePaths=/nobody/has/made/it\n")
    machine.run("systemctl", "daemon-reload")
    refused(machine, 226)
    machine.shell(f"rm {directory}/sandbox.conf && systemctl daemon-reload")


def interfaces_can_be_listed_within_the_sandbox(machine, site):
    families = show(machine, "RestrictAddressFamilies")
    asked = machine.run("systemd-run", "--quiet", "--wait", "--pipe", f"--property=RestrictAddressFamilies={families}",
                        "ip", "-o", "address", "show", "dev", "lo", check=False)
    holds(asked.output, "127.0.0.1/8")


def its_limits_are_those_that_check_prints(machine, site):
    limits = machine.shell(f"cat /proc/{show(machine, 'MainPID')}/limits").output
    files = re.search(r"Max open files\s+(\d+)\s+(\d+)", limits).groups()
    equal(files, ("8192", "8192"), "open files")
    equal(re.search(r"Max core file size\s+(\S+)\s+(\S+)", limits).groups(), ("0", "0"), "core files")
    for setting, value in (("MemoryMax", str(512 * 1024 * 1024)), ("TasksMax", "256"), ("OOMPolicy", "continue")):
        equal(show(machine, setting), value, setting)
    holds(machine.run("bothends", "check", "--config", CONFIG).output, "unit grants 512 MiB and 8192")


def needrestart_leaves_it_alone(machine, site):
    theirs = "/etc/needrestart/conf.d/bothends.conf"
    # As needrestart.conf reads its directory.
    action = machine.run("perl", "-e", f'our %nrconf = (override_rc => {{}}); defined(do "{theirs}") or die "$@ $!"; '
                       'print grep({ "bothends.service" =~ /$_/ && !$nrconf{override_rc}{$_} } keys %{$nrconf{override_rc}}) '
                       '? "left alone" : "restarted"').output
    equal(action, "left alone", "needrestart's action")
    machine.write(theirs, "# changed by an administrator\n")
    install(machine, site.package, "--reinstall")
    equal(machine.path(theirs).read_text(), "# changed by an administrator\n", theirs)


def a_missing_proxy_file_is_named(machine, site):
    directory = f"/etc/systemd/system/{UNIT}.d"
    machine.shell(f"cp {DROP_INS}/https-proxy.conf {directory}/ && systemctl daemon-reload")
    assert start(machine, check=False).code != 0, "it started without its proxy"
    holds(machine.run("systemctl", "status", "--no-pager", "--full", UNIT, check=False).output, "/etc/bothends/proxy.env")
    # Not waiting for a restart, either.
    equal(show(machine, "ActiveState"), "inactive", "ActiveState")
    machine.shell(f"rm {directory}/https-proxy.conf && systemctl daemon-reload")


def a_fixed_configuration_starts(machine, site):
    start(machine)
    all_up(machine)


# --- an upgrade -----------------------------------------------------------------------------------------------------------


def an_installation_with_a_configuration_starts_it(machine, site):
    site.start_network()
    site.start_aws()
    machine.shell("mkdir -p /etc/bothends")
    site.configure()
    install(machine, site.package_before)
    equal(show(machine, "ActiveState"), "active", "ActiveState")
    all_up(machine)


def it_is_upgraded(machine, site):
    install(machine, site.package)


def an_upgrade_restarts_it_and_the_incident_continues(machine, site):
    for number in TUNNELS:
        site.cut(number)
    machine.wait("an incident is open", lambda: site.incidents("outage", "OPEN"), 60)
    before = (machine.path(CONFIG).read_bytes(), show(machine, "MainPID"))
    install(machine, site.package)
    assert show(machine, "MainPID") not in (before[1], "0"), "not restarted"
    equal(show(machine, "ActiveState"), "active", "ActiveState")
    equal(machine.path(CONFIG).read_bytes(), before[0], "the configuration")
    the_incident_is_still_the_same(machine, site)


def the_store_is_from_the_next_release(machine, site):
    """The store as left by a release that has added a table."""
    # Nobody else may open the store while the daemon runs.
    machine.shell(f"systemctl stop {UNIT}")
    with contextlib.closing(sqlite3.connect(machine.path(f"{STATE}/bothends.db"), timeout=10)) as store:
        version = store.execute("PRAGMA user_version").fetchone()[0]
        store.execute("CREATE TABLE IF NOT EXISTS of_the_next_release (anything TEXT)")
        store.execute(f"PRAGMA user_version = {version + 1}")
        store.commit()
    start(machine)
    return version + 1


def a_downgrade_by_one_version_works(machine, site):
    version = the_store_is_from_the_next_release(machine, site)
    pid = show(machine, "MainPID")
    install(machine, site.package_before, "--allow-downgrades")
    equal(show(machine, "ActiveState"), "active", "ActiveState")
    assert show(machine, "MainPID") not in (pid, "0"), "not restarted"
    the_incident_is_still_the_same(machine, site)
    machine.shell(f"systemctl stop {UNIT}")
    with contextlib.closing(sqlite3.connect(machine.path(f"{STATE}/bothends.db"), timeout=10)) as store:
        equal(store.execute("PRAGMA user_version").fetchone()[0], version, "the version of the store")
    start(machine)
    install(machine, site.package)
    the_incident_is_still_the_same(machine, site)


def the_incident_is_still_the_same(machine, site, before=0):
    machine.wait("it has resumed the incident", lambda: status_line(machine).endswith(", 1 incident"), 60)
    records = site.incidents("outage")
    equal([record["status"] for record in records], ["RESOLVED"] * before + ["OPEN"], "records of the outage")


def the_incident_ends_once(machine, site):
    for number in TUNNELS:
        site.mend(number)
    machine.wait("the incident is resolved", lambda: not site.incidents("outage", "OPEN"), 60)
    equal(len(site.incidents("outage")), 1, "records of the outage")


def an_upgrade_with_an_invalid_file_does_not_stop_the_running_daemon(machine, site):
    # The state after a refused reload.
    refused_by_reload = config().replace('"vpn-0123456789abcdef0"', '"vpn-1"', 1)
    machine.write(CONFIG, refused_by_reload)
    assert machine.run("systemctl", "reload", UNIT, check=False).code != 0, "the reload was not refused"
    keeps_running(machine, site, f"{CONFIG}:", "vpn[0].id")
    equal(machine.path(CONFIG).read_text(), refused_by_reload, "the configuration")
    machine.write(CONFIG, "")
    keeps_running(machine, site, CONFIG)
    machine.path(CONFIG).unlink()
    keeps_running(machine, site, CONFIG)
    machine.write(CONFIG, config())
    # A problem that check only warns about.
    machine.run("chmod", "664", CONFIG)
    keeps_running(machine, site, f"chmod g-w {CONFIG}")
    machine.run("chmod", "644", CONFIG)
    # A problem that systemd meets before it starts the program.
    drop_in = f"/etc/systemd/system/{UNIT}.d/missing.conf"
    for setting, expected in (("LoadCredential=key:/etc/bothends/no-key.pem", "243"), ("EnvironmentFile=/etc/bothends/no.env", "exit code"),
                          ("ReadWritePaths=/nobody/has/made/it", "pct set ID --features nesting=1")):
        machine.write(drop_in, f"[Service]\n{setting}\n")
        keeps_running(machine, site, expected)
    machine.shell(f"rm {drop_in} && systemctl daemon-reload")
    # Fixed as the message says.
    pid = show(machine, "MainPID")
    start(machine)
    assert show(machine, "MainPID") != pid, "not restarted"
    all_up(machine)


def keeps_running(machine, site, *says):
    """An upgrade succeeds, does not restart the daemon, and says this."""
    pid = show(machine, "MainPID")
    holds(install(machine, site.package, "--reinstall"), "NOT RESTARTED", "systemctl restart bothends", *says)
    equal(machine.run("dpkg-query", "--show", "--showformat=${db:Status-Status}", "bothends").output, "installed", "dpkg")
    equal(show(machine, "ActiveState"), "active", "ActiveState")
    equal(show(machine, "MainPID"), pid, "MainPID")
    # The files of the pre-upgrade check are gone, the service's own are not.
    equal(machine.run("systemctl", "list-units", "--all", "--no-legend", "--plain", "bothends-*").output.strip(), "", "units")
    machine.shell("test -S /run/bothends/control.sock && test ! -e /run/bothends-check")
    # It still monitors; after a refused reload the status line continues with that.
    machine.wait("both tunnels are up", lambda: status_line(machine).startswith("2/2 tunnels up, 0 incidents"))


def an_upgrade_checks_with_the_drop_ins(machine, site):
    drop_in, file = f"/etc/systemd/system/{UNIT}.d/overrides.conf", "/etc/bothends/overrides.env"
    # The configuration is valid only with them; the name has characters that a shell would interpret.
    machine.write(file, "BOTHENDS_AWS__POLL_INTERVAL=5s\n", 0o600)
    machine.write(CONFIG, config().replace('name = "boot"', "").replace('poll_interval = "5s"', 'poll_interval = "5 parsecs"', 1))
    name = "it's \"milan\" $1"
    quoted = name.replace('"', '\\"')
    for setting in (f'Environment="BOTHENDS_SITE__NAME={quoted}" BOTHENDS_AWS__POLL_INTERVAL=5s',
                    f'Environment="BOTHENDS_SITE__NAME={quoted}"\nEnvironmentFile={file}'):
        machine.write(drop_in, f"[Service]\n{setting}\n")
        pid = show(machine, "MainPID")
        install(machine, site.package, "--reinstall")
        assert show(machine, "MainPID") not in (pid, "0"), "not restarted"
        equal(json.loads(site.fetch("http://127.0.0.1:9846/status"))["site"], name, "the site's name")
    machine.shell(f"rm {drop_in} {file} && systemctl daemon-reload")
    machine.write(CONFIG, config())
    start(machine)
    all_up(machine)


def an_upgrade_says_if_the_daemon_does_not_run_afterwards(machine, site):
    # Another program's file: a problem that the check does not see while a daemon has the store open.
    machine.shell(f"systemctl stop {UNIT}; mv {STATE}/bothends.db /var/tmp/; echo other > {STATE}/bothends.db")
    start(machine, check=False)
    equal(show(machine, "ActiveState"), "failed", "ActiveState")
    holds(install(machine, site.package, "--reinstall"), "does NOT run after this upgrade")
    machine.shell(f"mv /var/tmp/bothends.db {STATE}/")
    start(machine)
    all_up(machine)


def an_upgrade_does_not_start_a_stopped_daemon(machine, site):
    machine.run("systemctl", "stop", UNIT)
    equal(show(machine, "Result"), "success", "Result of a stop")
    for package in (site.package_before, site.package):
        install(machine, package, "--allow-downgrades")
        equal(show(machine, "ActiveState"), "inactive", "ActiveState")


def an_installation_reports_an_invalid_configuration(machine, site):
    machine.run("apt-get", "remove", "--yes", "bothends")
    machine.write(CONFIG, config().replace('"vpn-0123456789abcdef0"', '"vpn-1"', 1))
    printed = install(machine, site.package)
    holds(printed, "not started", f"{CONFIG}:", "vpn[0].id")
    equal(show(machine, "ActiveState"), "inactive", "ActiveState")
    machine.write(CONFIG, config())
    start(machine)


def stopping_it_in_an_incident_names_the_record_that_stays_open(machine, site):
    before = len(site.incidents("outage"))
    for number in TUNNELS:
        site.cut(number)
    machine.wait("an incident is open", lambda: site.incidents("outage", "OPEN"), 60)
    arn = site.incidents("outage", "OPEN")[0]["arn"]
    machine.wait("it has the record", lambda: arn in machine.run("bothends", "status", check=False).output)
    # A removal of a running daemon.
    printed = machine.run("apt-get", "remove", "--yes", "bothends").output
    holds(printed, "these records stay open", "outage on", "record at incident_manager:", arn)
    # A removal of a stopped daemon.
    install(machine, site.package)
    the_incident_is_still_the_same(machine, site, before)
    machine.run("systemctl", "stop", UNIT)
    stays_open = [record["MESSAGE"] for record in of_kind(machine, "RECORD_STAYS_OPEN", VPN_ID=VPN, KIND="outage", PRIORITY="4")]
    stays_open = [message for message in stays_open if arn in message]
    equal(len(stays_open), 2, f"RECORD_STAYS_OPEN records of two stops: {stays_open}")
    holds(stays_open[-1], "close it by hand")
    printed = machine.run("apt-get", "remove", "--yes", "bothends").output
    holds(printed, "these records stay open", arn)
    # A resolved incident is not named.
    install(machine, site.package)
    the_incident_is_still_the_same(machine, site, before)
    for number in TUNNELS:
        site.mend(number)
    machine.wait("the incident is resolved", lambda: not site.incidents("outage", "OPEN"), 60)
    all_up(machine)
    printed = machine.run("apt-get", "remove", "--yes", "bothends").output
    assert "stay open" not in printed, printed
    install(machine, site.package)


def a_removal_keeps_the_state(machine, site):
    machine.run("apt-get", "remove", "--yes", "bothends")
    equal(machine.run("systemctl", "is-active", UNIT, check=False).output.strip(), "inactive", "is-active")
    assert machine.path(f"{STATE}/bothends.db").exists(), "the store is gone"
    assert machine.path(CONFIG).exists(), "the configuration is gone"
    assert not machine.path("/usr/bin/bothends").exists(), "the program is still installed"


def a_purge_leaves_nothing(machine, site):
    # With the files that docs/service.md has an administrator create, and the service failed at the removal.
    install(machine, site.package)
    machine.write("/etc/bothends/proxy.env", "HTTPS_PROXY=http://127.0.0.1:3128\n", 0o600)
    for name in machine.shell(f"ls {DROP_INS}").output.split():
        machine.shell(f"install -D -m 644 {DROP_INS}/{name} /etc/systemd/system/{UNIT}.d/{name}")
    machine.run("systemctl", "daemon-reload")
    start(machine, check=False)
    equal(show(machine, "ActiveState"), "failed", "ActiveState")
    machine.run("apt-get", "purge", "--yes", "bothends")
    left = machine.shell("find /etc /usr /var /run /lib -xdev -path /var/lib/dpkg -prune -o -path /var/log -prune -o "
                         "-iname '*bothends*' -print; getent passwd bothends; getent group bothends", check=False).output
    equal(left.strip(), "", "leftovers")
    equal(machine.run("cat", RANGE).output.split(), ["1", "0"], "ping_group_range")
    equal(machine.run("systemctl", "list-units", "--all", "--no-legend", "--plain", "bothends*").output.strip(), "", "units")
    listed = machine.run("journalctl", "--list-catalog").output
    equal([name for name, number in MESSAGE_IDS.items() if number in listed], [], "leftover catalog entries")


FRESH = [
    an_installation_without_a_configuration_says_what_to_do_next,
    it_is_enabled_but_not_started_and_nothing_has_failed,
    icmp_is_open_only_to_the_group,
    dpkg_asks_no_questions,
    needrestart_leaves_it_alone,
    the_promised_files_are_installed,
    the_catalog_explains_every_record,
    systemd_analyze_accepts_the_unit_and_the_drop_ins,
    the_unit_is_hardened,
    a_boot_without_a_configuration_is_no_failure,
    an_empty_file_left_by_a_failed_command_is_no_configuration,
    an_administrators_sysctl_is_kept,
    a_wider_distribution_sysctl_is_kept,
    a_root_only_temporary_file_can_be_checked_offline,
    it_starts_before_the_network_and_without_aws,
    a_boot_with_a_configuration_starts_it,
    it_recovers_by_itself_when_the_network_is_up,
    it_gets_its_credentials_from_systemd,
    commands_run_by_root_use_the_services_credentials,
    a_check_by_root_finds_what_the_service_would,
    leftovers_of_a_killed_command_are_named_and_then_removed,
    commands_run_by_root_run_as_the_service_user_and_end_with_their_children,
    all_metrics_are_there_under_the_hardened_unit,
    interfaces_can_be_listed_within_the_sandbox,
    its_limits_are_those_that_check_prints,
    an_outage_is_logged_with_its_fields,
    journalctl_explains_the_outage_from_the_catalog,
    a_recovered_tunnel_ends_the_incident,
    a_reload_returns_when_the_configuration_is_in_force,
    a_wrong_configuration_fails_the_reload_with_its_reason,
    a_killed_daemon_is_restarted,
    a_stuck_core_is_killed_and_restarted_in_time,
    a_daemon_that_ends_at_once_is_restarted_without_limit,
    a_journald_that_does_not_read_blocks_nothing,
    a_long_refusal_is_complete_in_the_journals_json,
    a_credentials_file_that_others_can_read_is_refused,
    a_configuration_that_another_user_can_replace_is_refused,
    a_secret_in_a_configuration_that_others_can_read_is_refused,
    missing_certificates_are_named,
    without_icmp_sockets_the_start_names_the_drop_in_that_helps,
    a_proxy_password_is_not_visible,
    a_missing_credential_file_stops_the_restarts,
    a_missing_group_stops_the_restarts,
    an_unavailable_sandbox_stops_the_restarts,
    a_missing_proxy_file_is_named,
    a_fixed_configuration_starts,
]

UPGRADE = [
    an_installation_with_a_configuration_starts_it,
    an_upgrade_restarts_it_and_the_incident_continues,
    a_downgrade_by_one_version_works,
    the_incident_ends_once,
    an_upgrade_with_an_invalid_file_does_not_stop_the_running_daemon,
    an_upgrade_checks_with_the_drop_ins,
    an_upgrade_says_if_the_daemon_does_not_run_afterwards,
    an_upgrade_does_not_start_a_stopped_daemon,
    an_installation_reports_an_invalid_configuration,
    stopping_it_in_an_incident_names_the_record_that_stays_open,
    a_removal_keeps_the_state,
    a_purge_leaves_nothing,
]

MESSAGE_IDS = {}


def read_message_ids(*sources):
    """The ids declared by the program."""
    for source in sources:
        MESSAGE_IDS.update(re.findall(r'^\s+([A-Z_]+) = "([0-9a-f]{32})"', source.read_text(), re.M))
    assert len(MESSAGE_IDS) > 30, MESSAGE_IDS
