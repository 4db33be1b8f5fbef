"""A check that cannot fail is no check: each sabotage breaks the package in one way, and names the checks that must turn red."""

import pathlib
import shutil
import subprocess

import checks

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
    ("a unit without a watchdog", unit(("WatchdogSec=30s", "")),
     [INSTALL, START, SETTLE], checks.a_stuck_core_is_killed_within_the_watchdogs_interval),
    ("a reload that does nothing", unit(("ExecReload=/usr/bin/bothends reload", "ExecReload=/bin/true")),
     [INSTALL, START, SETTLE], checks.a_reload_returns_when_the_configuration_is_in_force),
    ("a reload that waits for nothing", unit(("ExecReload=/usr/bin/bothends reload", "ExecReload=/bin/kill -HUP $MAINPID")),
     [INSTALL, START, SETTLE], checks.a_wrong_configuration_fails_the_reload_with_its_reason),
    ("a unit that is never started again", unit(("Restart=on-failure", "Restart=no")),
     [INSTALL, START, SETTLE], checks.a_killed_daemon_is_started_again),
    ("a unit that is started again and again, in vain", unit(("RestartPreventExitStatus=64 77 78", "")),
     [INSTALL, START], checks.a_credentials_file_that_others_may_read_is_refused),
    ("a unit that fails where there is no configuration", unit(("ConditionPathExists=/etc/bothends/bothends.toml\n", "")),
     [INSTALL], checks.a_boot_without_a_configuration_is_no_failure),
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
    ("a purge that forgets the store", script("postrm", ("in /etc/bothends /var/lib/bothends", "in /etc/bothends")),
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
