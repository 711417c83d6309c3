"""SQLAlchemy 2 over psycopg: reflection of schemas, tables, columns, keys, indexes and comments, a
query over reflected tables, pandas."""
import sys
import warnings

import pandas
import sqlalchemy as sa
# pgvector-python makes the type known to SQLAlchemy, as it does for PostgreSQL.
from pgvector.sqlalchemy import VECTOR

host, port = sys.argv[1:]
engine = sa.create_engine(f"postgresql+psycopg://tester@{host}:{port}/vigil", connect_args={"connect_timeout": 20})
warnings.simplefilter("error", sa.exc.SAWarning)
# `tracks.positions` is a list of records, which have no type of their own.
warnings.filterwarnings("ignore", message="Did not recognize type 'record'")
inspector = sa.inspect(engine)
assert inspector.default_schema_name == "public"
assert {"public", "vigil_catalog"} <= set(inspector.get_schema_names()), inspector.get_schema_names()
tables = inspector.get_table_names()
assert sorted(tables) == ["captions", "detections", "embeddings", "frames", "tracks"], tables
assert "sources" in inspector.get_table_names(schema="vigil_catalog")
assert inspector.has_table("frames") and not inspector.has_table("nowhere")
assert inspector.get_view_names() == []

columns = {column["name"]: column for column in inspector.get_columns("detections")}
assert isinstance(columns["track_id"]["type"], sa.BIGINT) and columns["track_id"]["nullable"], columns["track_id"]
assert isinstance(columns["ts"]["type"], sa.TIMESTAMP) and columns["ts"]["type"].timezone
assert isinstance(columns["confidence"]["type"], sa.REAL), columns["confidence"]
assert isinstance(columns["interpolated"]["type"], sa.BOOLEAN) and not columns["interpolated"]["nullable"]
assert columns["confidence"]["comment"] == "the detector's score, 0..1", columns["confidence"]
assert inspector.get_table_comment("detections")["text"].startswith("Objects in frames")
key = inspector.get_pk_constraint("frames")
assert key["name"] == "frames_pkey" and key["constrained_columns"] == ["source", "frame_number"], key
keys = inspector.get_foreign_keys("detections")
frame = next(key for key in keys if key["name"] == "detections_frame_fkey")
assert frame["referred_table"] == "frames" and frame["referred_columns"] == ["source", "frame_number"], frame
vectors = {column["name"]: column["type"] for column in inspector.get_columns("captions")}
assert isinstance(vectors["embedding"], VECTOR) and vectors["embedding"].dim == 384, vectors
(index,) = inspector.get_indexes("captions")
assert index["name"] == "captions_embedding_idx" and index["column_names"] == ["embedding"], index
assert index["dialect_options"]["postgresql_using"] == "hnsw", index
assert inspector.get_unique_constraints("frames") == [] and inspector.get_check_constraints("frames") == []

metadata = sa.MetaData()
metadata.reflect(engine)
frames, detections = metadata.tables["frames"], metadata.tables["detections"]
with engine.connect() as connection:
    counted = connection.execute(
        sa.select(detections.c.class_name, sa.func.count())
        .join(frames)
        .where(frames.c.frame_number < sa.bindparam("n"))
        .group_by(detections.c.class_name)
        .order_by(detections.c.class_name),
        {"n": 6},
    ).all()
    assert counted == [("car", 2), ("person", 4)], counted
    with connection.begin_nested():
        assert connection.scalar(sa.select(sa.exists().where(frames.c.frame_number == 3))) is True
        assert connection.scalar(sa.select(sa.exists().where(frames.c.frame_number == -3))) is False
    captions = metadata.tables["captions"]
    near = captions.c.embedding.cosine_distance(captions.c.embedding)
    nearest = connection.execute(sa.select(captions.c.caption, captions.c.embedding).order_by(near).limit(1)).one()
    assert len(nearest.embedding) == 384, nearest
    frame = pandas.read_sql(
        sa.text("SELECT class_name, count(*) AS n, avg(confidence) AS c FROM detections GROUP BY 1 ORDER BY 1"), connection
    )
    assert list(frame.columns) == ["class_name", "n", "c"] and list(frame["class_name"]) == ["car", "person"], frame
    whole = pandas.read_sql_table("detections", connection, parse_dates=["ts"])
    assert len(whole) >= 10 and str(whole["ts"].dtype).startswith("datetime64"), whole.dtypes
engine.dispose()
print("ok")
