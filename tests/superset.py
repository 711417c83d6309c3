"""Apache Superset itself against a running Vigil: a database added, its tables looked at, a data set made,
a chart's query answered, SQL Lab, and the import of `examples/superset`.

Not part of `make test`, as Superset is near a gigabyte. By hand, with a server on port 7432 that has a
source (`CREATE SOURCE boxes FROM LOAD GENERATOR MOVING_BOXES (objects = 5, frames = 500)` will do):

    python3 -m venv /tmp/superset
    /tmp/superset/bin/pip install apache-superset==6.1.0 'flask-caching<2.4' rich cachetools psycopg2-binary
    /tmp/superset/bin/python tests/superset.py 127.0.0.1 7432 [FOLDER]

Superset's own tables are made in FOLDER where it does not have them, which takes minutes, and every run has a copy
of them; without FOLDER they are made anew. (Superset 6.1.0 does not say that it needs `rich` and `cachetools`, and fails with
the `flask-caching` that it allows from 2.4 on.)
"""
import io
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import zipfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
HOST, PORT = sys.argv[1:3]
# This script has the name of the package that it needs, and its folder comes first.
sys.path = [path for path in sys.path if pathlib.Path(path).resolve() != ROOT / "tests"]
URI = f"postgresql+psycopg2://superset@{HOST}:{PORT}/vigil"
CONFIG = """
SECRET_KEY = "for this run alone, which keeps nothing"
SQLALCHEMY_DATABASE_URI = "sqlite:///{folder}/superset.db"
WTF_CSRF_ENABLED = False
TALISMAN_ENABLED = False
RATELIMIT_ENABLED = False
"""


def superset(*arguments):
    command = [pathlib.Path(sys.executable).parent / "superset", *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"superset {arguments[0]}: {done.stdout[-2000:]}{done.stderr[-4000:]}")


def configure(folder):
    """Has Superset keep its tables in `folder`."""
    config = folder / "superset_config.py"
    config.write_text(CONFIG.format(folder=folder))
    os.environ |= {"SUPERSET_CONFIG_PATH": str(config), "FLASK_APP": "superset", "SUPERSET_HOME": str(folder)}


def prepare(folder):
    """Superset's own tables, its roles and an administrator, in `folder`."""
    configure(folder)
    superset("db", "upgrade")
    superset(
        "fab", "create-admin", "--username", "admin", "--firstname", "A", "--lastname", "B", "--email", "a@example.org",
        "--password", "secret",
    )
    superset("init")
    (folder / "prepared").touch()


def axis(column, grain):
    """A column of times, cut to a grain, as the axis of a chart."""
    return {"timeGrain": grain, "columnType": "BASE_AXIS", "sqlExpression": column, "label": column, "expressionType": "SQL"}


def query_of(params):
    """What Superset's pages ask for a chart with these parameters."""
    kind = params["viz_type"]
    if kind == "big_number_total":
        return {"columns": [], "metrics": [params["metric"]]}
    if kind == "table" and params["query_mode"] == "raw":
        return {"columns": params["all_columns"], "metrics": None}
    if kind == "table":
        metrics = params["metrics"]
        return {
            "columns": params["groupby"], "metrics": metrics, "orderby": [[metrics[0], False]],
            "row_limit": params["row_limit"],
        }
    assert kind == "echarts_timeseries_line", kind
    return {
        "columns": [axis(params["x_axis"], params.get("time_grain_sqla")), *params["groupby"]], "metrics": params["metrics"],
        "series_columns": params["groupby"],
    }


def main(prepared, folder):
    """The whole of it, in `folder`, with a copy of the tables that `prepared` has."""
    if not (prepared / "prepared").exists():
        prepare(prepared)
    shutil.copy(prepared / "superset.db", folder)
    configure(folder)

    from superset.app import create_app

    app = create_app()
    client = app.test_client()
    login = {"username": "admin", "password": "secret", "provider": "db", "refresh": True}
    token = client.post("/api/v1/security/login", json=login).json["access_token"]
    headers = {"Authorization": f"Bearer {token}"}

    def ask(method, path, **arguments):
        answer = client.open(f"/api/v1/{path}", method=method, headers=headers, **arguments)
        assert answer.status_code < 300, f"{method} {path}: {answer.status_code} {answer.get_data(as_text=True)[:3000]}"
        return answer.json

    database = {"database_name": "By hand", "sqlalchemy_uri": URI}
    ask("POST", "database/test_connection/", json=database)
    database = ask("POST", "database/", json={**database, "expose_in_sqllab": True})["id"]
    schemas = ask("GET", f"database/{database}/schemas/")["result"]
    assert {"public", "vigil_catalog"} <= set(schemas), schemas
    tables = ask("GET", f"database/{database}/tables/?q=(schema_name:public)")["result"]
    assert {"detections", "tracks"} <= {table["value"] for table in tables}, tables
    seen = ask("GET", f"database/{database}/table_metadata/?name=detections&schema=public")
    types = {column["name"]: column["type"] for column in seen["columns"]}
    assert types["frame_number"] == "BIGINT" and types["ts"].startswith("TIMESTAMP"), types
    print("tables and columns:", len(tables), types)

    table = {"database": database, "schema": "public", "table_name": "detections"}
    dataset = ask("POST", "dataset/", json=table)["id"]
    columns = {column["column_name"]: column for column in ask("GET", f"dataset/{dataset}")["result"]["columns"]}
    assert columns["ts"]["is_dttm"] and columns["class_name"]["groupby"], columns

    def chart(dataset, columns, metrics, **more):
        """The rows of a chart; without `metrics` it shows rows as they are."""
        query = {"columns": columns, "metrics": metrics, "row_limit": 100, "orderby": [], **more}
        asked = {"datasource": {"id": dataset, "type": "table"}, "queries": [query], "result_format": "json", "result_type": "full"}
        answer = ask("POST", "chart/data", json=asked)["result"][0]
        assert answer["status"] == "success" and answer["rowcount"] > 0, (answer["query"], answer["error"])
        return answer["data"]

    count = {"expressionType": "SQL", "sqlExpression": "COUNT(*)", "label": "n"}
    minute = axis("ts", "PT1M")
    rows = chart(dataset, [minute, "class_name"], [count], filters=[{"col": "confidence", "op": ">=", "val": 0.1}])
    assert all(row["n"] > 0 and row["ts"] is not None for row in rows), rows
    print("a chart's rows:", rows[:3])
    mean = {"expressionType": "SIMPLE", "aggregate": "AVG", "column": columns["confidence"], "label": "mean"}
    print("a metric:", chart(dataset, [], [mean]))
    from superset.db_engine_specs.postgres import PostgresEngineSpec

    with app.app_context():
        grains = [grain for grain in PostgresEngineSpec.get_time_grain_expressions() if grain]
    refused = {}

    def attempt(what, *arguments, **more):
        """The rows of a chart, or none where it is refused; what is refused fails the run at its end."""
        try:
            return chart(dataset, *arguments, **more)
        except AssertionError as error:
            refused[what] = str(error)
            return []

    for grain in grains:
        rows = attempt(grain, [axis("ts", grain)], [count])
        assert all(row["n"] > 0 and row["ts"] is not None for row in rows), (grain, rows)
    within = {"col": "ts", "op": "TEMPORAL_RANGE", "val": "1969-01-01 : 2100-01-01"}
    asked = [
        {"col": "class_name", "op": "IN", "val": ["car", "person"]},
        {"col": "class_name", "op": "NOT IN", "val": ["car"]},
        {"col": "class_name", "op": "ILIKE", "val": "P%"},
        {"col": "class_name", "op": "LIKE", "val": "p%"},
        {"col": "class_name", "op": "IS NOT NULL"},
        {"col": "frame_number", "op": ">=", "val": 1},
        {"col": "interpolated", "op": "IS FALSE"},
        within,
    ]
    for one in asked:
        attempt(one["op"], ["class_name"], [count], filters=[one])
    series = {"series_columns": ["class_name"], "series_limit": 1, "series_limit_metric": count}
    few = chart(dataset, [minute, "class_name"], [count], **series)
    assert len({row["class_name"] for row in few}) == 1, few
    least = chart(dataset, ["class_name"], [count], orderby=[[count, True]], row_limit=1)
    assert least[0]["n"] == min(row["n"] for row in chart(dataset, ["class_name"], [count])), least
    assert len(chart(dataset, ["source", "frame_number", "ts"], None, row_limit=7)) == 7
    values = ask("GET", f"datasource/table/{dataset}/column/class_name/values/")["result"]
    assert set(values) == {row["class_name"] for row in chart(dataset, ["class_name"], [count])}, values
    print("filters, series, orders, rows, values of a filter:", values)
    print("grains of time and filters:", len(grains) + len(asked), "of which refused:", sorted(refused))

    asked = {"database_id": database, "sql": "SELECT source, count(*) AS n FROM detections GROUP BY 1", "schema": "public", "runAsync": False}
    answer = ask("POST", "sqllab/execute/", json=asked)
    assert answer["status"] == "success" and answer["data"], answer
    print("SQL Lab:", answer["data"])

    bundle = io.BytesIO()
    with zipfile.ZipFile(bundle, "w") as files:
        for path in sorted((ROOT / "examples/superset").rglob("*.yaml")):
            text = path.read_text().replace("postgresql+psycopg2://superset@127.0.0.1:7432/vigil", URI)
            files.writestr(str(path.relative_to(ROOT / "examples")), text)
    bundle.seek(0)
    ask("POST", "chart/import/", data={"formData": (bundle, "vigil.zip"), "overwrite": "true"}, content_type="multipart/form-data")
    charts = ask("GET", "chart/")["result"]
    assert len(charts) == 5, charts
    for made in charts:
        print("imported:", made["slice_name"], chart(made["datasource_id"], **query_of(json.loads(made["params"])))[:1])
    assert not refused, refused


with tempfile.TemporaryDirectory(prefix="vigil-superset-") as folder:
    fresh, run = pathlib.Path(folder, "fresh"), pathlib.Path(folder, "run")
    run.mkdir()
    kept = pathlib.Path(sys.argv[3]).resolve() if len(sys.argv) > 3 else fresh
    kept.mkdir(parents=True, exist_ok=True)
    main(kept, run)
print("ok")
