"""Proof that the checks can fail: each sabotage breaks the package in one way, and names the check that must turn red."""

import pathlib
import shutil
import subprocess

import checks

EXISTS = "ConditionPathExists=/etc/bothends/bothends.toml\n"
UNIT = "usr/lib/systemd/system/bothends.service"


def edit(path, *changes):
    """Replaces text in a file of the package; fails if the text is missing."""
    text = path.read_text()
    for old, new in changes:
        assert old in text, f"{path.name} has no {old!r}"
        text = text.replace(old, new)
    path.write_text(text)


def unit(*changes):
    return lambda root: edit(root / UNIT, *changes)


def script(name, *changes):
    return lambda root: edit(root / "DEBIAN" / name, *changes)


def without_catalog(root):
    (root / "usr/lib/systemd/catalog/bothends.catalog").unlink()


def with_a_conffile(root):
    path = root / "etc/bothends/bothends.toml"
    path.parent.mkdir(parents=True)
    shutil.copy(root / "usr/share/bothends/bothends.toml", path)
    (root / "DEBIAN/conffiles").write_text("/etc/bothends/bothends.toml\n")


def with_a_program_that_never_asks_as_the_service(root):
    """As if the command used root's own credentials, and claimed otherwise."""
    program, real = root / "usr/bin/bothends", root / "usr/lib/bothends/bothends"
    real.parent.mkdir()
    program.rename(real)
    program.write_text("""#!/bin/sh
case " $* " in
*" check --aws "* | *" drill "*) echo "AWS is asked as bothends.service would"; exec /usr/lib/bothends/bothends "$@" --own-credentials ;;
*) exec /usr/lib/bothends/bothends "$@" ;;
esac
""")
    program.chmod(0o755)


def the_network_is_there(_, site):
    site.start_network()
    site.start_aws()


INSTALL = checks.an_installation_without_a_configuration_says_what_to_do_next
START = checks.it_starts_before_the_network_and_without_aws
SETTLE = checks.it_recovers_by_itself_when_the_network_is_up
CONFIGURED = [checks.an_installation_with_a_configuration_starts_it]
UPGRADED = CONFIGURED + [checks.it_is_upgraded]

# What is broken, how, the preparation, and the check that must fail.
SABOTAGES = [
    ("a unit without the daemon's ready notification", unit(("Type=notify", "Type=simple")), [INSTALL], START),
    ("a unit without a watchdog", unit(("WatchdogSec=20s", "")),
     [INSTALL, START, SETTLE], checks.a_stuck_core_is_killed_and_restarted_in_time),
    ("a unit with a slow restart", unit(("RestartSec=2s", "RestartSec=15s")),
     [INSTALL, START, SETTLE], checks.a_stuck_core_is_killed_and_restarted_in_time),
    ("a unit that gives up after five starts", unit(("StartLimitIntervalSec=0", "StartLimitIntervalSec=1h")),
     [INSTALL, START, SETTLE], checks.a_daemon_that_ends_at_once_is_restarted_without_limit),
    ("a reload that does nothing", unit(("ExecReload=/usr/bin/bothends reload", "ExecReload=/bin/true")),
     [INSTALL, START, SETTLE], checks.a_reload_returns_when_the_configuration_is_in_force),
    ("a reload that does not wait", unit(("ExecReload=/usr/bin/bothends reload", "ExecReload=/bin/kill -HUP $MAINPID")),
     [INSTALL, START, SETTLE], checks.a_wrong_configuration_fails_the_reload_with_its_reason),
    ("a unit that is never restarted", unit(("Restart=on-failure", "Restart=no")),
     [INSTALL, START, SETTLE], checks.a_killed_daemon_is_restarted),
    ("a unit that is restarted although it cannot start", unit(("RestartPreventExitStatus=64 77 78 216 226 243", "")),
     [INSTALL, START], checks.a_credentials_file_that_others_can_read_is_refused),
    ("a unit that waits for a credential for ever", unit(("216 226 243", "216 226")), [INSTALL, START, SETTLE],
     checks.a_missing_credential_file_stops_the_restarts),
    ("a unit that waits for a group for ever", unit(("216 226 243", "226 243")), [INSTALL, START, SETTLE],
     checks.a_missing_group_stops_the_restarts),
    ("a unit that waits for a sandbox for ever", unit(("216 226 243", "216 243")), [INSTALL, START, SETTLE],
     checks.an_unavailable_sandbox_stops_the_restarts),
    ("a sandbox without access to interfaces", unit((" AF_NETLINK", "")), [INSTALL, START, SETTLE],
     checks.interfaces_can_be_listed_within_the_sandbox),
    *((f"a unit without {limit}", unit((f"{limit}\n", "")), [INSTALL, START], checks.its_limits_are_those_that_check_prints)
      for limit in ("LimitNOFILE=8192", "MemoryMax=512M", "TasksMax=256", "OOMPolicy=continue", "LimitCORE=0")),
    ("a command of root with root's credentials", with_a_program_that_never_asks_as_the_service, [INSTALL, START, SETTLE],
     checks.commands_run_by_root_use_the_services_credentials),
    ("an upgrade that does not report an unavailable sandbox", script("postinst", ('[ "$exit" = 226 ]', "false")), UPGRADED,
     checks.an_upgrade_with_an_invalid_file_does_not_stop_the_running_daemon),
    ("a removal that does not report a running daemon's records", script("prerm", ("bothends status", "true")), UPGRADED,
     checks.stopping_it_in_an_incident_names_the_record_that_stays_open),
    ("a removal that does not report a stopped daemon's records", script("prerm", ('_SYSTEMD_INVOCATION_ID="$run"', "_PID=0")), UPGRADED,
     checks.stopping_it_in_an_incident_names_the_record_that_stays_open),
    ("an installation without a needrestart rule", script("postinst", ("\tleave_restarts_to_us\n", "")), [INSTALL],
     checks.needrestart_leaves_it_alone),
    ("a unit that fails without a configuration",
     unit(*((line, "") for line in (EXISTS, "ConditionFileNotEmpty=|/etc/bothends/bothends.toml\n",
                                    "ConditionDirectoryNotEmpty=|/etc/bothends/conf.d\n"))),
     [INSTALL], checks.a_boot_without_a_configuration_is_no_failure),
    ("a unit that accepts an empty configuration",
     unit(("ConditionFileNotEmpty=|/etc/bothends/bothends.toml\n", ""), ("ConditionDirectoryNotEmpty=|/etc/bothends/conf.d\n", "")),
     [INSTALL], checks.an_empty_file_left_by_a_failed_command_is_no_configuration),
    ("an installation that accepts an empty configuration", script("postinst", ('[ -s "$CONFIG" ]', '[ -e "$CONFIG" ]')),
     [INSTALL], checks.an_empty_file_left_by_a_failed_command_is_no_configuration),
    ("an upgrade that overwrites an administrator's sysctl", script("postinst", ("if is_our_sysctl; then", "if true; then")),
     [INSTALL], checks.an_administrators_sysctl_is_kept),
    ("an upgrade that keeps the sysctl of a deleted group", script("postinst", ('[ "$(cat "$SYSCTL")" =', '[ "$(cat "$SYSCTL")" !=')),
     [INSTALL], checks.an_administrators_sysctl_is_kept),
    ("a unit with privileges", unit(("NoNewPrivileges=yes", ""), ("PrivateUsers=yes", "")), [INSTALL], checks.the_unit_is_hardened),
    ("a unit without credentials", unit(("LoadCredential=aws-credentials:/etc/bothends/credentials\n", "")),
     [INSTALL, START, the_network_is_there], checks.it_gets_its_credentials_from_systemd),
    ("an invalid unit", unit(("StateDirectoryMode=0700", "StateDirectoryMode=many")), [INSTALL],
     checks.systemd_analyze_accepts_the_unit_and_the_drop_ins),
    ("a package without its catalog", without_catalog, [INSTALL], checks.the_catalog_explains_every_record),
    ("a package with a configuration of its own", with_a_conffile, [], INSTALL),
    ("an installation that opens no ICMP socket", script("postinst", ("\topen_icmp\n", "\ttrue\n")), [INSTALL],
     checks.icmp_is_open_only_to_the_group),
    ("an upgrade that starts what was stopped", script("postinst", ('if [ ! -e "$INSTALLING" ]; then', "if false; then")), CONFIGURED,
     checks.an_upgrade_does_not_start_a_stopped_daemon),
    ("an upgrade that restarts with any configuration", script("postinst", ("would_start() {\n", "would_start() {\n\treturn 0\n")),
     UPGRADED, checks.an_upgrade_with_an_invalid_file_does_not_stop_the_running_daemon),
    ("an upgrade that checks without --to-run", script("postinst", ("check --to-run", "check")),
     UPGRADED, checks.an_upgrade_with_an_invalid_file_does_not_stop_the_running_daemon),
    ("an upgrade that checks without the drop-ins", script("postinst", ('systemctl cat "$UNIT"', 'cat "/usr/lib/systemd/system/$UNIT"')),
     UPGRADED, checks.an_upgrade_checks_with_the_drop_ins),
    ("an upgrade that removes the running daemon's directory", script("postinst", ("\t\t\tRuntimeDirectory=\n", "")),
     UPGRADED, checks.an_upgrade_with_an_invalid_file_does_not_stop_the_running_daemon),
    ("an upgrade that takes a skipped start for a success", script("postinst", ("\t\t\tConditionPathExists=\n", "")),
     UPGRADED, checks.an_upgrade_with_an_invalid_file_does_not_stop_the_running_daemon),
    ("an upgrade that restarts nothing", script("postinst", ('deb-systemd-invoke restart "$UNIT"', "true")), UPGRADED,
     checks.an_upgrade_restarts_it_and_the_incident_continues),
    ("a store that is two versions ahead", lambda _: None,
     UPGRADED + [checks.the_store_is_from_the_next_release], checks.a_downgrade_by_one_version_works),
    ("a purge that forgets drop-ins", script("postrm", (' "/etc/systemd/system/$UNIT.d"', "")), UPGRADED,
     checks.a_purge_leaves_nothing),
    ("a purge that leaves a failed unit", script("postrm", ("systemctl reset-failed", "true")), UPGRADED,
     checks.a_purge_leaves_nothing),
    ("a purge that forgets the store", script("postrm", (" /var/lib/bothends /run", " /run")),
     UPGRADED + [checks.a_removal_keeps_the_state], checks.a_purge_leaves_nothing),
    ("a removal that deletes the store", script("postrm", ('if [ "$1" = purge ]', "if true")), UPGRADED,
     checks.a_removal_keeps_the_state),
]


def package(break_it, source, directory):
    """The package, broken."""
    root = pathlib.Path(directory, "broken")
    subprocess.run(["dpkg-deb", "--raw-extract", source, root], check=True)
    break_it(root)
    made = pathlib.Path(directory, "broken.deb")
    subprocess.run(["dpkg-deb", "--root-owner-group", "-Znone", "--build", root, made], check=True, stdout=subprocess.DEVNULL)
    shutil.rmtree(root)
    return made
