"""psycopg 2: parameters by its own quoting, named cursors, copy_expert, errors."""
import io
import sys

import psycopg2

host, port = sys.argv[1:]
connection = psycopg2.connect(host=host, port=port, user="tester", dbname="vigil")
cursor = connection.cursor()
cursor.execute("SELECT count(*) FROM pg_catalog.pg_class WHERE relname = %s", ("frames",))
assert cursor.fetchone() == (1,)
cursor.execute(
    "SELECT frame_number, ts, source FROM frames WHERE frame_number = %s AND source = %s", (1, "lobby")
)
number, ts, source = cursor.fetchone()
assert (number, source) == (1, "lobby") and ts.microsecond == 40000, (number, ts, source)
cursor.execute("SELECT %s, %s, %s::bytea", (None, [1, 2], psycopg2.Binary(b"\x00\xff'\\")))
nothing, numbers, raw = cursor.fetchone()
assert nothing is None and list(numbers) == [1, 2] and bytes(raw) == b"\x00\xff'\\", (numbers, bytes(raw))
named = connection.cursor("named")
named.itersize = 2
named.execute("SELECT frame_number FROM frames WHERE frame_number < 5 ORDER BY 1")
assert [row[0] for row in named] == [0, 1, 2, 3, 4]
named.close()
text = io.StringIO()
cursor.copy_expert("COPY (SELECT 1 AS a, NULL AS b) TO STDOUT WITH CSV HEADER", text)
assert text.getvalue() == "a,b\n1,\n", text.getvalue()
try:
    cursor.execute("SELECT nothing FROM frames")
    raise SystemExit("no error")
except psycopg2.Error as error:
    assert error.pgcode == "42703", error.pgcode
connection.rollback()
connection.set_session(isolation_level="REPEATABLE READ", readonly=True)
cursor.execute("SHOW transaction_isolation")
assert cursor.fetchone() == ("repeatable read",)
connection.commit()
print("ok")
