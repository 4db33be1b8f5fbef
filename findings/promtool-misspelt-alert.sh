#!/usr/bin/env bash
# `promtool test rules` passes a test of an alert that no rule has: "TunelDown does not fire" is true. So each test that expects
# silence is empty as soon as a name is mistyped or a rule is renamed, and promtool says SUCCESS.
#
# Debian 12, amd64. Needs apt-get and dpkg-deb; nothing is installed on the host.
set -euo pipefail
VERSION=2.42.0+ds-5+deb12u1

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
apt-get -qq -o APT::Sandbox::User=root download "prometheus=$VERSION"
dpkg-deb -x prometheus_*.deb root
promtool=root/usr/bin/promtool
echo "version:   $($promtool --version 2>&1 | head -n 1)"
echo "behaviour: a test that expects an alert not to fire passes for an alert that does not exist"

cat >rules.yaml <<'YAML'
groups:
  - name: tunnels
    rules:
      - alert: TunnelDown
        expr: tunnel_up == 0
YAML
test_of() {
    cat <<YAML
rule_files: [rules.yaml]
evaluation_interval: 1m
tests:
  - interval: 1m
    input_series: [{ series: 'tunnel_up{vpn="a"}', values: "0x5" }]
    alert_rule_test: [{ eval_time: 5m, alertname: $1, exp_alerts: [] }]
YAML
}
# The tunnel is down, and the alert fires: the test fails, and without the n it does not.
for name in TunnelDown TunelDown; do
    test_of "$name" >test.yaml
    code=0
    $promtool test rules test.yaml >said 2>&1 || code=$?
    echo "seen:      $name: exit code $code, $(grep -oE 'SUCCESS|FAILED' said | head -n 1)"
    declare "code_$name=$code"
done
if [[ "$code_TunnelDown" -ne 0 && "$code_TunelDown" -eq 0 ]]; then
    echo "as found"
else
    echo "changed: see above" >&2
    exit 1
fi
