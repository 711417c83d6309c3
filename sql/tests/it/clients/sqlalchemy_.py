"""SQLAlchemy 2 over psycopg 3: reflection of tables, columns, keys and indexes, queries, pandas."""
import sys

import pandas
import sqlalchemy
from sqlalchemy import MetaData, Table, func, inspect, select, text

host, port = sys.argv[1:]
engine = sqlalchemy.create_engine(f"postgresql+psycopg://tester@{host}:{port}/vigil")
inspector = inspect(engine)
assert "public" in inspector.get_schema_names()
assert {"frames", "detections", "tracks", "captions", "embeddings"} <= set(inspector.get_table_names())
columns = {column["name"]: column for column in inspector.get_columns("detections")}
assert str(columns["track_id"]["type"]) == "BIGINT", columns["track_id"]
assert columns["class_name"]["comment"] or columns["confidence"]["comment"], columns
assert inspector.get_pk_constraint("detections")["constrained_columns"] == []
assert inspector.get_foreign_keys("detections") == []
assert inspector.get_indexes("detections") == []
frames = Table("frames", MetaData(), autoload_with=engine)
with engine.connect() as connection:
    query = select(func.count()).select_from(frames).where(frames.c.frame_number < 4)
    assert connection.execute(query).scalar_one() == 4
    with connection.begin_nested():
        assert connection.execute(text("SELECT :a + 1"), {"a": 1}).scalar_one() == 2
    try:
        connection.execute(text("SELECT * FROM nowhere"))
        raise SystemExit("no error")
    except sqlalchemy.exc.ProgrammingError as error:
        assert error.orig.sqlstate == "42P01"
data = pandas.read_sql("SELECT frame_number, ts, source FROM frames ORDER BY 1 LIMIT 3", engine)
assert list(data["frame_number"]) == [0, 1, 2] and str(data["ts"].dtype).startswith("datetime64")
print("ok")
