#!/usr/bin/env bash
# Nagios Core takes every exit code of a plugin but 0 to 3 for CRITICAL, and drops what the plugin said. A monitoring command that
# keeps sysexits.h (64 usage, 77 permission, 78 configuration) pages as an outage, without its words; "cannot tell" is 3 alone.
#
# Debian 12, amd64. Needs apt-get, dpkg-deb, unshare and python3; nothing is installed on the host.
set -euo pipefail
VERSION=4.4.6-4+deb12u2

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
apt-get -qq -o APT::Sandbox::User=root download "nagios4-core=$VERSION"
dpkg-deb -x nagios4-core_*.deb unpacked
nagios=$dir/unpacked/usr/sbin/nagios4
version=$("$nagios" --version | grep -m 1 Core)
echo "version:   $version"
echo "behaviour: exit codes above 3 are CRITICAL, and the plugin's text is lost"

# A semicolon in a command line would begin a comment, so the plugin is a file.
cat >plugin <<'SH'
#!/bin/sh
echo "cannot tell: the configuration is wrong"
exit "$1"
SH
chmod +x plugin
cat >nagios.cfg <<CFG
cfg_file=$dir/objects.cfg
log_file=$dir/log
object_cache_file=$dir/objects.cache
status_file=$dir/status
status_update_interval=1
lock_file=$dir/lock
temp_file=$dir/tmp
temp_path=$dir
check_result_path=$dir
query_socket=$dir/socket
nagios_user=root
nagios_group=root
check_external_commands=0
retain_state_information=0
enable_notifications=0
service_inter_check_delay_method=n
use_syslog=0
CFG
{
    printf 'define command {\n command_name plugin\n command_line %s $ARG1$\n}\n' "$dir/plugin"
    printf 'define timeperiod {\n timeperiod_name always\n alias always\n'
    printf ' %s 00:00-24:00\n' monday tuesday wednesday thursday friday saturday sunday
    printf '}\n'
    printf 'define contact {\n contact_name nobody\n host_notifications_enabled 0\n service_notifications_enabled 0\n'
    printf ' host_notification_period always\n service_notification_period always\n host_notification_options n\n'
    printf ' service_notification_options n\n host_notification_commands plugin\n service_notification_commands plugin\n}\n'
    printf 'define host {\n host_name gateway\n address 127.0.0.1\n max_check_attempts 1\n check_period always\n}\n'
    for code in 3 78; do
        printf 'define service {\n host_name gateway\n service_description %s\n check_command plugin!%s\n' "$code" "$code"
        printf ' max_check_attempts 1\n check_interval 60\n retry_interval 60\n check_period always\n}\n'
    done
} >objects.cfg

cat >seen.py <<'PY'
import os, re, subprocess, sys, time

nagios = subprocess.Popen(["unshare", "--map-root-user", sys.argv[1], "nagios.cfg"],
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
seen = {}
try:
    until = time.monotonic() + 30
    while len(seen) < 2 and time.monotonic() < until:
        time.sleep(0.2)
        status = open("status").read() if os.path.exists("status") else ""
        for service in re.findall(r"servicestatus \{(.*?)\n\t\}", status, re.S):
            value = dict(re.findall(r"^\t(\w+)=(.*)$", service, re.M))
            if value["has_been_checked"] == "1":
                seen[value["service_description"]] = (value["current_state"], value["plugin_output"])
finally:
    nagios.terminate()
    nagios.wait()
for code, (state, text) in sorted(seen.items()):
    print(f"seen:      exit code {code}: state {state}, {text!r}")
said = "cannot tell: the configuration is wrong"
as_found = seen.get("3") == ("3", said) and seen.get("78", ("", ""))[0] == "2" and said not in seen["78"][1]
sys.exit(0 if as_found else 1)
PY
if python3 seen.py "$nagios"; then
    echo "as found"
else
    echo "changed: see above" >&2
    exit 1
fi
