#!/usr/bin/env bash
# SQLite's busy_timeout does not help a transaction that has read before it writes. In WAL mode, if another connection has committed
# in between, the write fails at once with SQLITE_BUSY (SQLITE_BUSY_SNAPSHOT), whatever the timeout, and again each time until
# the transaction is rolled back. A transaction that will write begins with BEGIN IMMEDIATE.
#
# Needs python3 and pip.
set -euo pipefail
VERSION=3.46.1.0

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv venv
venv/bin/pip -q --disable-pip-version-check install --only-binary :all: "apsw==$VERSION"
cat >seen.py <<'PY'
import sys, time
import apsw

print(f"version:   SQLite {apsw.sqlite_lib_version()}, by apsw {apsw.apsw_version()}")
print("behaviour: a write after a read fails at once where another connection has written, in spite of busy_timeout")
reader, writer = apsw.Connection("db"), apsw.Connection("db")
reader.execute("PRAGMA journal_mode = wal; CREATE TABLE minute (n INTEGER); INSERT INTO minute VALUES (0)").fetchall()
TIMEOUT = 60
reader.set_busy_timeout(TIMEOUT * 1000)
reader.execute("BEGIN; SELECT n FROM minute").fetchall()
writer.execute("UPDATE minute SET n = 1")
codes = []
began = time.monotonic()
for _ in range(2):
    try:
        reader.execute("UPDATE minute SET n = 2")
        codes.append("done")
    except apsw.BusyError as error:
        codes.append(apsw.mapping_extended_result_codes[error.extendedresult])
waited = time.monotonic() - began
print(f"seen:      {codes[0]}, then {codes[1]}; waited {'not at all' if waited < TIMEOUT / 2 else f'{waited:.0f} s'}")
sys.exit(0 if codes == ["SQLITE_BUSY_SNAPSHOT"] * 2 and waited < TIMEOUT / 2 else 1)
PY
if venv/bin/python seen.py; then
    echo "as found"
else
    echo "changed: see above" >&2
    exit 1
fi
