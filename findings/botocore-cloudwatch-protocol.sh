#!/usr/bin/env bash
# CloudWatch's model in botocore names Smithy RPCv2 CBOR first, and as the protocol; botocore itself speaks JSON 1.0 to it. So what is
# recorded from botocore, or served to it, says nothing about clients that obey the model's order: they send CBOR to another path.
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
import sys
import botocore.session
from botocore.awsrequest import AWSResponse

class Body:
    def stream(self, **_):
        return iter([b"{}"])

session = botocore.session.Session()
session.set_credentials("AKIDEXAMPLE", "secret")
client = session.create_client("cloudwatch", region_name="eu-west-1")
sent = []

def instead_of_sending(request, **_):
    sent.append(request)
    return AWSResponse(request.url, 200, {"content-type": "application/x-amz-json-1.0"}, Body())

client.meta.events.register("before-send.cloudwatch", instead_of_sending)
client.list_metrics(Namespace="AWS/VPN")
metadata = client.meta.service_model.metadata
content_type = sent[0].headers["content-type"].decode()
print(f"version:   botocore {botocore.__version__}")
print("behaviour: the first protocol of the model is not the one that is spoken")
print(f"seen:      the model: {metadata['protocol']}, of {', '.join(metadata['protocols'])}")
print(f"           sent: POST {sent[0].url} as {content_type}")
as_found = (metadata["protocols"][0], metadata["protocol"], content_type) == (
    "smithy-rpc-v2-cbor", "smithy-rpc-v2-cbor", "application/x-amz-json-1.0")
sys.exit(0 if as_found else 1)
PY
# No file of the user's decides.
if env -u AWS_PROFILE AWS_CONFIG_FILE="$dir/none" AWS_SHARED_CREDENTIALS_FILE="$dir/none" venv/bin/python seen.py; then
    echo "as found"
else
    echo "changed: see above" >&2
    exit 1
fi
