"""psycopg 3: transactions, savepoints, server-side cursors, COPY, binary results, errors."""
import sys
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from uuid import UUID

import psycopg
from psycopg.types.json import Json, Jsonb

host, port = sys.argv[1:]
conninfo = f"host={host} port={port} user=tester dbname=vigil"

with psycopg.connect(conninfo) as connection:
    assert connection.execute("SELECT version()").fetchone()[0].startswith("PostgreSQL ")
    tables = connection.execute(
        "SELECT table_name FROM information_schema.tables WHERE table_schema = %s", ("public",)
    ).fetchall()
    assert ("detections",) in tables, tables
    # One transaction reads one cut, and so do its cursors.
    (count,) = connection.execute("SELECT count(*) FROM frames").fetchone()
    with connection.cursor(name="few") as cursor:
        cursor.itersize = 3
        cursor.execute("SELECT frame_number FROM frames WHERE frame_number < %s", (7,))
        assert [row[0] for row in cursor] == list(range(7))
    with connection.cursor(name="back", scrollable=True) as cursor:
        cursor.execute("SELECT frame_number FROM frames ORDER BY 1")
        assert cursor.fetchmany(3) == [(0,), (1,), (2,)]
        cursor.scroll(-2)
        assert cursor.fetchone() == (1,)
    assert connection.execute("SELECT count(*) FROM frames").fetchone() == (count,)
    try:
        with connection.transaction():
            connection.execute("SELECT * FROM nowhere")
        raise SystemExit("no error")
    except psycopg.errors.UndefinedTable as error:
        assert error.sqlstate == "42P01"
    # The savepoint was rolled back to; the transaction is good.
    assert connection.execute("SELECT 1, 1").fetchone() == (1, 1)
    for binary in (False, True):
        cursor = connection.cursor(binary=binary)
        cursor.execute("SELECT frame_number, ts, avg_confidence, keyframe, source FROM frames LIMIT 1")
        number, ts, confidence, keyframe, source = cursor.fetchone()
        assert (number, confidence, keyframe, source) == (0, 0.0, True, "lobby")
        assert ts.isoformat() == "2024-01-01T00:00:00+00:00", ts
        cursor.execute("SELECT '\\x00ff'::bytea, %s::float8, %s::bigint", (1.5, 2**40), binary=binary)
        assert cursor.fetchone() == (b"\x00\xff", 1.5, 2**40)
    # Values of every type go there and come back, in text and in binary, NULLs among them.
    moment = datetime(2026, 1, 2, 3, 4, 5, 600, tzinfo=timezone.utc)
    some = UUID(int=5)
    for kind, value in [
        ("json", Json({"a": [1, None]})), ("jsonb", Jsonb({"a": [1, None]})), ("uuid", some),
        ("timestamptz[]", [moment, None]), ("timestamptz[]", []),
        ("timestamp[]", [moment.replace(tzinfo=None), None]), ("date[]", [moment.date(), None]),
        ("time", moment.time()), ("time[]", [moment.time(), None]), ("uuid[]", [some, None]),
        ("numeric[]", [Decimal("1.5"), None]), ("bool[]", [True, None, False]),
        ("bytea[]", [b"\x00\x01a", None]), ("json[]", [Json({"a": 1}), None]),
        ("text[]", ["a", None, 'b"c,', "NULL", ""]), ("interval[]", [timedelta(days=1, hours=2)]),
    ]:
        plain = lambda value: value.obj if isinstance(value, (Json, Jsonb)) else value
        expected = [plain(one) for one in value] if isinstance(value, list) else plain(value)
        for binary in (False, True):
            for place in ("%t", "%b"):
                cursor = connection.cursor(binary=binary)
                try:
                    cursor.execute(f"SELECT {place}::{kind}, pg_typeof({place}::{kind})", (value, value))
                except psycopg.errors.Error as error:
                    raise SystemExit(f"{kind} {place} {binary}: {error}")
                got = cursor.fetchone()[0]
                assert got == expected, (kind, place, binary, got)
    assert connection.execute("SELECT %s", (Json({"a": 1}),)).fetchone() == ({"a": 1},)
    with connection.cursor().copy("COPY (SELECT frame_number, source FROM frames ORDER BY 1 LIMIT 2) TO STDOUT") as copy:
        assert list(copy.rows()) == [("0", "lobby"), ("1", "lobby")]
    with connection.cursor().copy("COPY (SELECT 7::int8) TO STDOUT (FORMAT binary)") as copy:
        copy.set_types(["int8"])
        assert list(copy.rows()) == [(7,)]
    # In the simple protocol, too, columns say where they come from and how long their values are.
    (frames,) = connection.execute("SELECT 'frames'::regclass::oid").fetchone()
    told = connection.pgconn.exec_(
        b"SELECT frame_number, keyframe, source, frame_number + 1, 1::int4, NULL::uuid, now() FROM frames LIMIT 1"
    )
    told = [(told.ftable(at), told.ftablecol(at), told.fsize(at), told.fmod(at)) for at in range(told.nfields)]
    keyframe = connection.execute(
        "SELECT attnum FROM pg_attribute WHERE attrelid = %s AND attname = 'keyframe'", (frames,)
    ).fetchone()[0]
    assert told == [
        (frames, 2, 8, -1), (frames, keyframe, 1, -1), (frames, 1, -1, -1), (0, 0, 8, -1), (0, 0, 4, -1),
        (0, 0, 16, -1), (0, 0, 8, -1),
    ], told
notices = []
with psycopg.connect(conninfo, autocommit=True) as connection:
    connection.add_notice_handler(lambda notice: notices.append(notice.sqlstate))
    connection.execute("COMMIT")
    assert notices == ["25P01"], notices
    connection.execute("PREPARE p (bigint) AS SELECT $1 + 1")
    assert connection.execute("EXECUTE p (41)").fetchone() == (42,)
    connection.execute("DEALLOCATE ALL")
# Views: temporary ones, one that changes under a prepared statement, and a string that fails.
with psycopg.connect(conninfo, autocommit=True) as connection:
    connection.execute("CREATE VIEW base AS SELECT 1 AS a")
    connection.execute("CREATE TEMP VIEW passing AS SELECT a FROM base")
    for number in (1, 2):
        connection.execute(f"CREATE OR REPLACE VIEW base AS SELECT {number} AS a")
        assert connection.execute("SELECT a + %s FROM passing", (10,), prepare=True).fetchone() == (10 + number,)
    try:
        connection.execute("SET application_name = 'inside'; CREATE VIEW gone AS SELECT 1 AS a; SELECT 1 / 0")
        raise AssertionError("divides by zero")
    except psycopg.errors.DivisionByZero:
        pass
    assert connection.info.parameter_status("application_name") != "inside"
    assert connection.execute("SELECT to_regclass('gone')").fetchone() == (None,)
    with psycopg.connect(conninfo) as other:
        assert other.execute("SELECT to_regclass('passing')").fetchone() == (None,)
    connection.execute("DROP VIEW base CASCADE")
    assert connection.execute("SELECT to_regclass('passing')").fetchone() == (None,)
print("ok")
