"""psycopg 3: transactions, savepoints, server-side cursors, COPY, binary results, errors."""
import sys

import psycopg

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
    with connection.cursor().copy("COPY (SELECT frame_number, source FROM frames ORDER BY 1 LIMIT 2) TO STDOUT") as copy:
        assert list(copy.rows()) == [("0", "lobby"), ("1", "lobby")]
    with connection.cursor().copy("COPY (SELECT 7::int8) TO STDOUT (FORMAT binary)") as copy:
        copy.set_types(["int8"])
        assert list(copy.rows()) == [(7,)]
notices = []
with psycopg.connect(conninfo, autocommit=True) as connection:
    connection.add_notice_handler(lambda notice: notices.append(notice.sqlstate))
    connection.execute("COMMIT")
    assert notices == ["25P01"], notices
    connection.execute("PREPARE p (bigint) AS SELECT $1 + 1")
    assert connection.execute("EXECUTE p (41)").fetchone() == (42,)
    connection.execute("DEALLOCATE ALL")
print("ok")
