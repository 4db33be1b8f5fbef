#!/usr/bin/env bash
# cfn-lint passes alarms that cannot work: AlarmRule is a text to it, whatever functions and alarms it names,
# and DatapointsToAlarm may be above EvaluationPeriods (PutMetricAlarm: M out of N). A clean lint says nothing about alarms' logic.
#
# Needs python3 and pip.
set -euo pipefail
VERSION=1.58.0

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv venv
venv/bin/pip -q --disable-pip-version-check install "cfn-lint==$VERSION"
echo "version:   $(venv/bin/cfn-lint --version)"
echo "behaviour: rules that name no alarm and no function, and 5 datapoints out of 3, are clean"
cat >template.yaml <<'YAML'
AWSTemplateFormatVersion: "2010-09-09"
Resources:
  Down:
    Type: AWS::CloudWatch::Alarm
    Properties:
      AlarmName: tunnel-down
      Namespace: AWS/VPN
      MetricName: TunnelState
      Dimensions: [{ Name: VpnId, Value: vpn-0123456789abcdef0 }]
      Statistic: Maximum
      Period: 60
      EvaluationPeriods: 3
      DatapointsToAlarm: 5
      Threshold: 1
      ComparisonOperator: LessThanThreshold
  Page:
    Type: AWS::CloudWatch::CompositeAlarm
    Properties:
      AlarmName: page
      AlarmRule: ALRM("tunnel-dwon")
YAML
# The linter does look: a misspelt property is found.
sed 's/Threshold: 1/Treshold: 1/' template.yaml >misspelt.yaml
for template in template misspelt; do
    code=0
    venv/bin/cfn-lint --regions eu-west-1 -- "$template.yaml" >said 2>&1 || code=$?
    echo "seen:      $template: exit code $code, $(grep -cE '^[EW][0-9]{4}' said || true) findings"
    declare "code_$template=$code"
done
if [[ "$code_template" -eq 0 && "$code_misspelt" -ne 0 ]]; then
    echo "as found"
else
    echo "changed: see above" >&2
    exit 1
fi
