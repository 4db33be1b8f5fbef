"""A check that cannot fail is no check: each sabotage breaks the package in one way, and names the checks that must turn red."""

import pathlib
import shutil
import subprocess

import checks

EXISTS = "ConditionPathExists=/etc/bothends/bothends.toml\n"
UNIT = "usr/lib/systemd/system/bothends.service"


def edit(path, *changes):
    """Replaces text in a file of the package; what is not there cannot be sabotaged."""
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
    """As if the command took root's own credentials, and said otherwise."""
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
SETTLE = checks.it_settles_by_itself_when_the_network_is_there
CONFIGURED = [checks.an_installation_with_a_configuration_starts_it]
UPGRADED = CONFIGURED + [checks.it_is_upgraded]

# What is broken, how, what is done before, and the check that must fail.
SABOTAGES = [
    ("a unit that is not told when the daemon is ready", unit(("Type=notify", "Type=simple")), [INSTALL], START),
    ("a unit without a watchdog", unit(("WatchdogSec=20s", "")),
     [INSTALL, START, SETTLE], checks.a_stuck_core_is_killed_and_started_again_in_time),
    ("a unit that takes its time before it starts again", unit(("RestartSec=2s", "RestartSec=15s")),
     [INSTALL, START, SETTLE], checks.a_stuck_core_is_killed_and_started_again_in_time),
    ("a unit that is given up after five starts", unit(("StartLimitIntervalSec=0", "StartLimitIntervalSec=1h")),
     [INSTALL, START, SETTLE], checks.what_ends_at_once_is_started_again_and_again),
    ("a reload that does nothing", unit(("ExecReload=/usr/bin/bothends reload", "ExecReload=/bin/true")),
     [INSTALL, START, SETTLE], checks.a_reload_returns_when_the_configuration_is_in_force),
    ("a reload that waits for nothing", unit(("ExecReload=/usr/bin/bothends reload", "ExecReload=/bin/kill -HUP $MAINPID")),
     [INSTALL, START, SETTLE], checks.a_wrong_configuration_fails_the_reload_with_its_reason),
    ("a unit that is never started again", unit(("Restart=on-failure", "Restart=no")),
     [INSTALL, START, SETTLE], checks.a_killed_daemon_is_started_again),
    ("a unit that is started again and again, in vain", unit(("RestartPreventExitStatus=64 77 78 216 226 243", "")),
     [INSTALL, START], checks.a_credentials_file_that_others_may_read_is_refused),
    ("a unit that waits for a credential without end", unit(("216 226 243", "216 226")), [INSTALL, START, SETTLE],
     checks.a_credential_without_its_file_is_not_waited_for),
    ("a unit that waits for a group without end", unit(("216 226 243", "226 243")), [INSTALL, START, SETTLE],
     checks.a_group_that_is_not_there_is_not_waited_for),
    ("a unit that waits for a sandbox without end", unit(("216 226 243", "216 243")), [INSTALL, START, SETTLE],
     checks.a_sandbox_that_cannot_be_had_is_not_waited_for),
    ("a sandbox in which no interface can be asked for", unit((" AF_NETLINK", "")), [INSTALL, START, SETTLE],
     checks.interfaces_can_be_asked_for_within_the_sandbox),
    *((f"a unit without {limit}", unit((f"{limit}\n", "")), [INSTALL, START], checks.what_it_may_use_is_what_check_says)
      for limit in ("LimitNOFILE=8192", "MemoryMax=512M", "TasksMax=256", "OOMPolicy=continue", "LimitCORE=0")),
    ("a command of root's with root's credentials", with_a_program_that_never_asks_as_the_service, [INSTALL, START, SETTLE],
     checks.commands_of_root_have_the_services_credentials),
    ("an upgrade that says nothing of a sandbox that cannot be had", script("postinst", ('[ "$exit" = 226 ]', "false")), UPGRADED,
     checks.an_upgrade_does_not_give_up_what_runs_for_a_file_that_is_wrong),
    ("a removal that is silent about what runs", script("prerm", ("bothends status", "true")), UPGRADED,
     checks.whoever_ends_it_in_an_incident_hears_which_record_stays_open),
    ("a removal that is silent about what has been stopped", script("prerm", ('_SYSTEMD_INVOCATION_ID="$run"', "_PID=0")), UPGRADED,
     checks.whoever_ends_it_in_an_incident_hears_which_record_stays_open),
    ("an installation that says nothing to needrestart", script("postinst", ("\tleave_restarts_to_us\n", "")), [INSTALL],
     checks.needrestart_is_told_to_leave_it_alone),
    ("a unit that fails where there is no configuration",
     unit(*((line, "") for line in (EXISTS, "ConditionFileNotEmpty=|/etc/bothends/bothends.toml\n",
                                    "ConditionDirectoryNotEmpty=|/etc/bothends/conf.d\n"))),
     [INSTALL], checks.a_boot_without_a_configuration_is_no_failure),
    ("a unit that takes an empty file for a configuration",
     unit(("ConditionFileNotEmpty=|/etc/bothends/bothends.toml\n", ""), ("ConditionDirectoryNotEmpty=|/etc/bothends/conf.d\n", "")),
     [INSTALL], checks.a_file_that_a_failed_command_left_empty_is_no_configuration),
    ("an installation that takes an empty file for a configuration", script("postinst", ('[ -s "$CONFIG" ]', '[ -e "$CONFIG" ]')),
     [INSTALL], checks.a_file_that_a_failed_command_left_empty_is_no_configuration),
    ("an upgrade that writes an administrator's sysctl anew", script("postinst", ("if is_our_sysctl; then", "if true; then")),
     [INSTALL], checks.an_administrators_sysctl_stays),
    ("an upgrade that leaves the sysctl of a group that is no more", script("postinst", ('[ "$(cat "$SYSCTL")" =', '[ "$(cat "$SYSCTL")" !=')),
     [INSTALL], checks.an_administrators_sysctl_stays),
    ("a unit with privileges", unit(("NoNewPrivileges=yes", ""), ("PrivateUsers=yes", "")), [INSTALL], checks.the_unit_is_hardened),
    ("a unit without credentials", unit(("LoadCredential=aws-credentials:/etc/bothends/credentials\n", "")),
     [INSTALL, START, the_network_is_there], checks.it_has_its_credentials_from_systemd),
    ("a unit that is wrong", unit(("StateDirectoryMode=0700", "StateDirectoryMode=many")), [INSTALL],
     checks.systemd_finds_no_fault_with_the_unit_and_the_drop_ins),
    ("a package without its catalog", without_catalog, [INSTALL], checks.the_catalog_explains_every_record),
    ("a package with a configuration of its own", with_a_conffile, [], INSTALL),
    ("an installation that opens no ICMP socket", script("postinst", ("\topen_icmp\n", "\ttrue\n")), [INSTALL],
     checks.icmp_is_open_to_the_group_alone),
    ("an upgrade that starts what was stopped", script("postinst", ('if [ ! -e "$INSTALLING" ]; then', "if false; then")), CONFIGURED,
     checks.an_upgrade_leaves_alone_what_was_stopped),
    ("an upgrade that restarts whatever the configuration", script("postinst", ("would_start() {\n", "would_start() {\n\treturn 0\n")),
     UPGRADED, checks.an_upgrade_does_not_give_up_what_runs_for_a_file_that_is_wrong),
    ("an upgrade that judges as check does", script("postinst", ("check --to-run", "check")),
     UPGRADED, checks.an_upgrade_does_not_give_up_what_runs_for_a_file_that_is_wrong),
    ("an upgrade that judges without the drop-ins", script("postinst", ('systemctl cat "$UNIT"', 'cat "/usr/lib/systemd/system/$UNIT"')),
     UPGRADED, checks.an_upgrade_judges_by_what_the_drop_ins_say),
    ("an upgrade that takes what runs its directory away", script("postinst", ("\t\t\tRuntimeDirectory=\n", "")),
     UPGRADED, checks.an_upgrade_does_not_give_up_what_runs_for_a_file_that_is_wrong),
    ("an upgrade that takes a start that is passed over for one that succeeds", script("postinst", ("\t\t\tConditionPathExists=\n", "")),
     UPGRADED, checks.an_upgrade_does_not_give_up_what_runs_for_a_file_that_is_wrong),
    ("an upgrade that restarts nothing", script("postinst", ('deb-systemd-invoke restart "$UNIT"', "true")), UPGRADED,
     checks.an_upgrade_restarts_it_and_goes_on_with_the_incident),
    ("a store that is two versions ahead", lambda _: None,
     UPGRADED + [checks.the_store_is_of_the_next_release], checks.a_downgrade_by_one_version_works_too),
    ("a purge that forgets drop-ins", script("postrm", (' "/etc/systemd/system/$UNIT.d"', "")), UPGRADED,
     checks.a_purge_leaves_nothing),
    ("a purge that forgets what has failed", script("postrm", ("systemctl reset-failed", "true")), UPGRADED,
     checks.a_purge_leaves_nothing),
    ("a purge that forgets the store", script("postrm", (" /var/lib/bothends /run", " /run")),
     UPGRADED + [checks.a_removal_keeps_the_state], checks.a_purge_leaves_nothing),
    ("a removal that takes the store along", script("postrm", ('if [ "$1" = purge ]', "if true")), UPGRADED,
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
