"""Every query in examples/grafana and examples/superset, as these tools send them."""
import json
import pathlib
import re
import sys

import psycopg
import yaml

host, port = sys.argv[1:]
examples = pathlib.Path(__file__).parents[4] / "examples"
times = "BETWEEN '2024-01-01T00:00:00Z' AND '2024-01-01T01:00:00Z'"
connection = psycopg.connect(host=host, port=port, user="tester", dbname="vigil", autocommit=True)
connection.execute("CREATE SOURCE lobby FROM 'lobby.mp4'")


def run(sql):
    sql = re.sub(r"\$__timeFilter\((\w+)\)", rf"\1 {times}", sql).replace("$source", "'lobby'")
    cursor = connection.execute(sql)
    return [column.name for column in cursor.description], cursor.fetchall()


dashboard = json.loads((examples / "grafana/dashboards/vigil.json").read_text())
for variable in dashboard["templating"]["list"]:
    assert run(variable["query"]) == (["name"], [("lobby",)])
answers = {}
for panel in dashboard["panels"]:
    for target in panel["targets"]:
        names, rows = run(target["rawSql"])
        if target["format"] == "time_series":
            assert names[0] == "time" and names[1] == "metric" and rows, (panel["title"], names, rows)
        answers[panel["title"]] = (names, rows)
objects = {(metric, count) for _, metric, count in answers["Objects per class and minute"][1]}
assert {metric for metric, _ in objects} == {"person", "car"}, objects
assert answers["People now"][0] == ["people"] and len(answers["People now"][1]) == 1
assert len(answers["Longest tracks"][1]) == 2 and "seconds" in answers["Longest tracks"][0]
assert answers["Source health"][1][0][:2] == ("lobby", "ended"), answers["Source health"]
source = yaml.safe_load((examples / "grafana/provisioning/datasources/vigil.yaml").read_text())["datasources"][0]
assert source["type"] == "grafana-postgresql-datasource" and source["uid"] == dashboard["panels"][0]["datasource"]["uid"]

sets = {}
for path in sorted((examples / "superset/datasets").rglob("*.yaml")):
    dataset = yaml.safe_load(path.read_text())
    names, rows = run(dataset["sql"])
    assert names == [column["column_name"] for column in dataset["columns"]], (path.name, names)
    for metric in dataset["metrics"]:
        # As Superset asks: the query as a table, a metric over it.
        inner = f"SELECT {metric['expression']} AS \"{metric['metric_name']}\" FROM ({dataset['sql']}) AS virtual_table"
        assert run(inner)[0] == [metric["metric_name"]]
    sets[dataset["uuid"]] = dataset
assert len(sets) == 5
for path in sorted((examples / "superset/charts").glob("*.yaml")):
    chart = yaml.safe_load(path.read_text())
    dataset = sets[chart["dataset_uuid"]]
    parameters = chart["params"]
    known = {column["column_name"] for column in dataset["columns"]}
    metrics = {metric["metric_name"]: metric["expression"] for metric in dataset["metrics"]}
    groups = parameters.get("groupby", []) + parameters.get("all_columns", [])
    groups += [parameters["x_axis"]] if "x_axis" in parameters else []
    assert set(groups) <= known, (path.name, groups)
    wanted = parameters.get("metrics", []) + ([parameters["metric"]] if "metric" in parameters else [])
    items = [f'"{name}"' for name in groups] + [f'{metrics[name]} AS "{name}"' for name in wanted]
    group_by = " GROUP BY " + ", ".join(f'"{name}"' for name in groups) if groups and wanted else ""
    run(f"SELECT {', '.join(items)} FROM ({dataset['sql']}) AS virtual_table{group_by} LIMIT 1000")
connection.close()
print("ok")
