#!/usr/bin/env bash
# SQLite's URI parameter immutable=1, which looks right for a database on a disk that cannot be written, does not read the
# write-ahead log beside it. What was committed there and not yet checkpointed, as after a crash, is missing, without an error. A
# connection with the VFS unix-none (no locks) in exclusive locking mode reads file and log.
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
import os, sys
import apsw

print(f"version:   SQLite {apsw.sqlite_lib_version()}, by apsw {apsw.apsw_version()}")
print("behaviour: immutable=1 does not read the log, and says nothing of it")
if os.fork() == 0:
    writer = apsw.Connection("db")
    writer.execute("PRAGMA journal_mode = wal; CREATE TABLE incident (n INTEGER)").fetchall()
    writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    writer.execute("INSERT INTO incident VALUES (1)")
    os._exit(0)  # as a process that is killed: the log stays
os.wait()
log = os.path.getsize("db-wal")


def rows(uri, vfs=None, pragma=""):
    flags = apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI
    connection = apsw.Connection(uri, flags=flags, vfs=vfs)
    connection.execute(pragma).fetchall()
    check = connection.execute("PRAGMA integrity_check").fetchall()[0][0]
    return connection.execute("SELECT count(*) FROM incident").fetchall()[0][0], check


immutable = rows("file:db?immutable=1")
without_locks = rows("file:db?mode=ro", "unix-none", "PRAGMA locking_mode = exclusive")
print(f"seen:      a log of {log} bytes with 1 row; immutable=1 reads {immutable[0]} (integrity_check: {immutable[1]}), "
      f"unix-none reads {without_locks[0]}")
sys.exit(0 if log > 0 and immutable == (0, "ok") and without_locks == (1, "ok") else 1)
PY
if venv/bin/python seen.py; then
    echo "as found"
else
    echo "changed: see above" >&2
    exit 1
fi
