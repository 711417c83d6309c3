"""psqlODBC through unixODBC and pyodbc: SQLTables, SQLColumns and their like, parameters, errors."""
import sys

import pyodbc

host, port = sys.argv[1:]
driver = next(name for name in pyodbc.drivers() if name.startswith("PostgreSQL Unicode"))
connection = pyodbc.connect(
    f"DRIVER={{{driver}}};SERVER={host};PORT={port};DATABASE=vigil;UID=tester;PWD=x;SSLmode=disable", timeout=20
)
cursor = connection.cursor()
tables = {row.table_name for row in cursor.tables(schema="public", tableType="TABLE")}
assert {"captions", "detections", "frames", "tracks"} <= tables, tables
columns = {row.column_name: row for row in cursor.columns(table="detections", schema="public")}
assert columns["track_id"].type_name == "int8" and columns["ts"].type_name == "timestamptz", columns
assert columns["track_id"].nullable == 1 and columns["source"].nullable == 0, columns
key = [row.column_name for row in cursor.primaryKeys(table="frames", schema="public")]
assert sorted(key) == ["frame_number", "source"], key
indexes = [(row.index_name, row.column_name, row.non_unique) for row in cursor.statistics("frames", schema="public") if row.index_name]
assert ("frames_pkey", "source", 0) in indexes and ("frames_pkey", "frame_number", 0) in indexes, indexes
cursor.execute("SELECT frame_number, ts, keyframe, source FROM frames WHERE frame_number < ? AND source = ? ORDER BY 1", 3, "lobby")
rows = cursor.fetchall()
assert [int(row[0]) for row in rows] == [0, 1, 2] and rows[0].ts.year == 2024 and rows[0].source == "lobby", rows
cursor.execute("SELECT count(*) FROM detections WHERE class_name = ?", "person")
assert int(cursor.fetchval()) > 0
try:
    cursor.execute("SELECT nothing FROM frames")
    raise SystemExit("no error")
except pyodbc.Error as error:
    assert error.args[0] in ("42703", "42S22"), error.args
connection.rollback()
connection.close()
print("ok")
