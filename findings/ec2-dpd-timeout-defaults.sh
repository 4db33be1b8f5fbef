#!/usr/bin/env bash
# AWS's own model of EC2 gives two defaults for the DPD timeout of a VPN tunnel: 30 s where a connection is created, 40 s where a tunnel
# is modified; and the second says that a timeout of 40 s means 30 s after the first keep-alive that failed. What a tunnel has is in
# DescribeVpnConnections, and nowhere else.
#
# Needs python3 and pip.
set -euo pipefail
VERSION=1.44.8

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv venv
venv/bin/pip -q --disable-pip-version-check install "botocore==$VERSION"
cat >seen.py <<'PY'
import re, sys
import botocore, botocore.session

model = botocore.session.Session().get_service_model("ec2")
print(f"version:   botocore {botocore.__version__}, EC2 {model.api_version}")
print("behaviour: two defaults are documented for the same setting")
defaults = {}
for shape in ["VpnTunnelOptionsSpecification", "ModifyVpnTunnelOptionsSpecification"]:
    words = re.sub(r"<[^>]+>", "", model.shape_for(shape).members["DPDTimeoutSeconds"].documentation)
    defaults[shape] = re.search(r"Default: (\d+)", words).group(1)
    print(f"seen:      {shape}: {words.strip()}")
sys.exit(0 if list(defaults.values()) == ["30", "40"] else 1)
PY
if venv/bin/python seen.py; then
    echo "as found"
else
    echo "changed: see above" >&2
    exit 1
fi
