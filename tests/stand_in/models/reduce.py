#!/usr/bin/env python3
"""Reduce botocore's service models to the operations that the stand-in answers.

    pip download --no-deps botocore==1.44.5 && python3 reduce.py botocore-1.44.5-py3-none-any.whl

Kept: metadata, the operations below, and every shape that they refer to (types, members, constraints, the location of
members). Left out: all documentation text. The result lies next to this script, one file per service.
"""

import gzip
import json
import pathlib
import sys
import zipfile

OPERATIONS = {
    "cloudwatch/2010-08-01": ["PutMetricData", "GetMetricData", "ListMetrics"],
    "ec2/2016-11-15": ["DescribeVpnConnections", "GetVpnTunnelReplacementStatus"],
    "sns/2010-03-31": ["GetTopicAttributes", "Publish"],
    "ssm/2014-11-06": ["CreateOpsItem", "DescribeOpsItems", "GetOpsItem", "UpdateOpsItem"],
    "ssm-incidents/2018-05-10": [
        "CreateTimelineEvent",
        "GetIncidentRecord",
        "GetReplicationSet",
        "GetResponsePlan",
        "GetTimelineEvent",
        "ListIncidentRecords",
        "ListRelatedItems",
        "ListReplicationSets",
        "ListTimelineEvents",
        "StartIncident",
        "UpdateIncidentRecord",
        "UpdateRelatedItems",
    ],
    "sts/2011-06-15": ["AssumeRole", "GetCallerIdentity"],
}
METADATA = ["apiVersion", "endpointPrefix", "protocol", "serviceId", "signingName", "targetPrefix", "xmlNamespace"]
OPERATION = ["name", "http", "input", "output", "errors"]


def without_documentation(value, inside_members=False):
    """A copy of `value` without documentation; a member that is itself called `documentation` stays."""
    if isinstance(value, list):
        return [without_documentation(v) for v in value]
    if not isinstance(value, dict):
        return value
    return {
        k: without_documentation(v, inside_members=(k == "members"))
        for k, v in value.items()
        if inside_members or k != "documentation"
    }


def reachable(model, names):
    """All shapes that the shapes called `names` refer to, themselves included."""
    seen, todo = {}, list(names)
    while todo:
        name = todo.pop()
        if name in seen:
            continue
        shape = seen[name] = model["shapes"][name]
        todo += [m["shape"] for m in shape.get("members", {}).values()]
        todo += [shape[k]["shape"] for k in ("member", "key", "value") if k in shape]
    return seen


def reduced(model, operations):
    kept = {n: {k: v for k, v in model["operations"][n].items() if k in OPERATION} for n in operations}
    roots = [o[k]["shape"] for o in kept.values() for k in ("input", "output") if k in o]
    roots += [e["shape"] for o in kept.values() for e in o.get("errors", [])]
    return without_documentation(
        {
            "metadata": {k: v for k, v in model["metadata"].items() if k in METADATA},
            "operations": kept,
            "shapes": reachable(model, roots),
        }
    )


def main(wheel):
    here = pathlib.Path(__file__).parent
    with zipfile.ZipFile(wheel) as archive:
        for service, operations in OPERATIONS.items():
            packed = archive.read(f"botocore/data/{service}/service-2.json.gz")
            model = reduced(json.loads(gzip.decompress(packed)), operations)
            target = here / (service.split("/")[0] + ".json")
            target.write_text(json.dumps(model, indent=1, sort_keys=True) + "\n")
        info = next(n for n in archive.namelist() if n.endswith(".dist-info/NOTICE"))
        for name in ("NOTICE", "LICENSE.txt"):
            (here / name).write_bytes(archive.read(info.replace("NOTICE", name)))


if __name__ == "__main__":
    main(sys.argv[1])
