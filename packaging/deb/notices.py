#!/usr/bin/env python3
"""Prints the licences of the libraries that are linked into the program, as their terms ask of whoever passes it on.

The texts are those in the crates' own archives; equal ones are printed once, with the names of all that have them.
"""

import json
import pathlib
import re
import subprocess
import sys

NAMES = re.compile(r"(licen[cs]e|copying|notice|unlicense)", re.I)


def linked(metadata):
    """The packages that the program is linked with: no development dependencies, none that only build."""
    nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
    found, waiting = set(), [metadata["resolve"]["root"]]
    while waiting:
        for dependency in nodes[waiting.pop()]["deps"]:
            normal = any(kind["kind"] is None for kind in dependency["dep_kinds"])
            if normal and dependency["pkg"] not in found:
                found.add(dependency["pkg"])
                waiting.append(dependency["pkg"])
    return [package for package in metadata["packages"] if package["id"] in found]


def main():
    target = sys.argv[1]
    listed = subprocess.run(["cargo", "metadata", "--locked", "--format-version=1", f"--filter-platform={target}"],
                            capture_output=True, text=True, check=True)
    texts, without = {}, []
    for package in linked(json.loads(listed.stdout)):
        label = f"{package['name']} {package['version']} ({package['license']})"
        files = sorted(path for path in pathlib.Path(package["manifest_path"]).parent.iterdir()
                       if path.is_file() and NAMES.search(path.name))
        if not files:
            without.append(label)
        for path in files:
            text = "\n".join(line.rstrip() for line in path.read_text(errors="replace").strip().splitlines())
            texts.setdefault(text, []).append(label)
    print("bothends is linked with the following libraries.\n")
    for text, labels in sorted(texts.items(), key=lambda item: sorted(set(item[1]))):
        print("=" * 78, *sorted(set(labels)), "-" * 78, text, "", sep="\n")
    print("=" * 78, "Without a text of their own, under the licences that are named:", *sorted(without), sep="\n")


if __name__ == "__main__":
    main()
