//! What BI tools ask when they start, when somebody browses schemas, and for a panel: statements of
//! the form that Grafana, Metabase and DBeaver send, with what they need to find in the answers.

use tokio_postgres::{Client, SimpleQueryMessage};

use crate::server::Server;

/// The rows of an answer as texts.
async fn rows(client: &Client, sql: &str) -> Vec<Vec<String>> {
    let messages =
        client.simple_query(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    let rows = messages.into_iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => {
            Some((0..row.len()).map(|at| row.get(at).unwrap_or("∅").to_owned()).collect())
        }
        _ => None,
    });
    rows.collect()
}

fn column(rows: &[Vec<String>], at: usize) -> Vec<&str> {
    rows.iter().map(|row| row[at].as_str()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn grafana_finds_tables_columns_and_series() {
    let server = Server::start().await;
    let client = server.connect().await;
    assert_eq!(rows(&client, "SELECT 1").await, [["1"]]);
    let version =
        rows(&client, "SELECT current_setting('server_version_num')::int / 100 AS version").await;
    assert_eq!(version, [["1600"]]);
    let timescale = "SELECT extversion FROM pg_extension WHERE extname = 'timescaledb'";
    assert!(rows(&client, timescale).await.is_empty());
    let in_path = "quote_ident(table_schema) IN (
        SELECT CASE WHEN trim(path[i]) = '\"$user\"' THEN user ELSE trim(path[i]) END
        FROM generate_series(
            array_lower(string_to_array(current_setting('search_path'), ','), 1),
            array_upper(string_to_array(current_setting('search_path'), ','), 1)) AS i,
        string_to_array(current_setting('search_path'), ',') path)";
    let tables = rows(
        &client,
        &format!(
            "SELECT CASE WHEN {in_path} THEN quote_ident(table_name)
                         ELSE quote_ident(table_schema) || '.' || quote_ident(table_name) END AS \"table\"
             FROM information_schema.tables
             WHERE quote_ident(table_schema) NOT IN ('information_schema', 'pg_catalog')
             ORDER BY CASE WHEN {in_path} THEN 0 ELSE 1 END, 1"
        ),
    )
    .await;
    let tables = column(&tables, 0);
    assert_eq!(tables[..3], ["captions", "detections", "embeddings"]);
    assert!(tables.contains(&"vigil_catalog.sources"), "{tables:?}");
    let columns = rows(
        &client,
        &format!(
            "SELECT quote_ident(column_name) AS \"column\", data_type AS \"type\"
             FROM information_schema.columns
             WHERE CASE WHEN array_length(parse_ident('detections'), 1) = 2
                   THEN quote_ident(table_schema) = (parse_ident('detections'))[1]
                        AND quote_ident(table_name) = (parse_ident('detections'))[2]
                   ELSE quote_ident(table_name) = 'detections' AND {in_path} END"
        ),
    )
    .await;
    assert!(columns.contains(&vec!["ts".into(), "timestamp with time zone".into()]), "{columns:?}");
    assert!(columns.contains(&vec!["confidence".into(), "real".into()]), "{columns:?}");
    let series = rows(
        &client,
        "SELECT floor(extract(epoch FROM ts) / 60) * 60 AS \"time\", class_name AS metric,
                count(DISTINCT track_id) AS value
         FROM detections
         WHERE ts BETWEEN '2024-01-01T00:00:00Z' AND '2024-01-01T01:00:00Z'
         GROUP BY 1, 2 ORDER BY 1, 2",
    )
    .await;
    assert_eq!(column(&series, 1), ["car", "person"]);
    assert!(series[0][0].starts_with("1704067200"), "{series:?}");
    let macros = "SELECT ts AS \"time\", avg_confidence FROM frames
                  WHERE extract(epoch FROM ts) BETWEEN 1704067200 AND 1704067201 ORDER BY 1 LIMIT 3";
    assert_eq!(rows(&client, macros).await.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn metabase_syncs_tables_fields_and_keys() {
    let server = Server::start().await;
    let client = server.connect().await;
    rows(&client, "SHOW timezone").await;
    let schemas = rows(
        &client,
        "SELECT nspname FROM pg_namespace
         WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'
           AND pg_catalog.has_schema_privilege(nspname, 'USAGE') ORDER BY nspname",
    )
    .await;
    assert_eq!(column(&schemas, 0), ["public", "vigil_catalog"]);
    let tables = rows(
        &client,
        "SELECT n.nspname AS schema, c.relname AS name,
                CASE c.relkind WHEN 'r' THEN 'TABLE' WHEN 'p' THEN 'PARTITIONED TABLE'
                               WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW' END AS type,
                d.description AS description, stat.n_live_tup AS estimated_row_count
         FROM pg_catalog.pg_class AS c
         INNER JOIN pg_catalog.pg_namespace AS n ON c.relnamespace = n.oid
         LEFT JOIN pg_catalog.pg_description AS d
                ON c.oid = d.objoid AND d.objsubid = 0 AND d.classoid = 'pg_class'::regclass
         LEFT JOIN pg_stat_user_tables AS stat
                ON n.nspname = stat.schemaname AND c.relname = stat.relname
         WHERE c.relnamespace = n.oid AND (n.nspname !~ '^pg_') AND (n.nspname <> 'information_schema')
           AND c.relkind IN ('r', 'p', 'v', 'f', 'm') AND n.nspname IN ('public')
         ORDER BY type, schema, name",
    )
    .await;
    assert_eq!(column(&tables, 1), ["captions", "detections", "embeddings", "frames", "tracks"]);
    assert_eq!(tables[1][3], "Objects in frames, one row for each box");
    let fields = rows(
        &client,
        "SELECT c.column_name AS name,
                CASE WHEN c.udt_schema IN ('public', 'pg_catalog') THEN format('%s', c.udt_name)
                     ELSE format('\"%s\".\"%s\"', c.udt_schema, c.udt_name) END AS \"database-type\",
                c.ordinal_position - 1 AS \"database-position\", c.table_name AS \"table-name\",
                pk.column_name IS NOT NULL AS \"pk?\",
                col_description(CAST(CAST(format('%I.%I', CAST(c.table_schema AS text),
                                                 CAST(c.table_name AS text)) AS regclass) AS oid),
                                c.ordinal_position) AS \"field-comment\",
                (column_default IS NULL OR LOWER(column_default) = 'null')
                    AND is_nullable = 'NO' AS \"database-required\"
         FROM information_schema.columns AS c
         LEFT JOIN (
             SELECT tc.table_schema, tc.table_name, kc.column_name
             FROM information_schema.table_constraints AS tc
             INNER JOIN information_schema.key_column_usage AS kc
                ON tc.constraint_name = kc.constraint_name AND tc.table_schema = kc.table_schema
               AND tc.table_name = kc.table_name
             WHERE tc.constraint_type = 'PRIMARY KEY') AS pk
           ON c.table_schema = pk.table_schema AND c.table_name = pk.table_name
          AND c.column_name = pk.column_name
         WHERE c.table_schema !~ '^information_schema|catalog_history|pg_'
           AND c.table_schema IN ('public') AND c.table_name IN ('frames')
         ORDER BY \"table-name\", \"database-position\"",
    )
    .await;
    assert_eq!(fields[0][..5], ["source", "text", "0", "frames", "t"]);
    assert_eq!(fields[0][5], "name of the source");
    assert_eq!(fields[2][..5], ["ts", "timestamptz", "2", "frames", "f"]);
    let keys = rows(
        &client,
        "SELECT fk_ns.nspname AS \"fk-table-schema\", fk_table.relname AS \"fk-table-name\",
                fk_column.attname AS \"fk-column-name\", pk_table.relname AS \"pk-table-name\",
                pk_column.attname AS \"pk-column-name\"
         FROM pg_constraint AS c
         INNER JOIN pg_class AS fk_table ON c.conrelid = fk_table.oid
         INNER JOIN pg_namespace AS fk_ns ON c.connamespace = fk_ns.oid
         INNER JOIN pg_attribute AS fk_column ON c.conrelid = fk_column.attrelid
         INNER JOIN pg_class AS pk_table ON c.confrelid = pk_table.oid
         INNER JOIN pg_attribute AS pk_column ON c.confrelid = pk_column.attrelid
         WHERE c.contype = 'f'::char AND fk_column.attnum = ANY (c.conkey)
           AND pk_column.attnum = ANY (c.confkey) AND fk_ns.nspname !~ '^information_schema|pg_'
           AND fk_column.attname = pk_column.attname
         ORDER BY 1, 2, 4, 5",
    )
    .await;
    assert!(
        keys.contains(
            &["public", "detections", "track_id", "tracks", "track_id"].map(String::from).into()
        ),
        "{keys:?}"
    );
    let question = rows(
        &client,
        "SELECT DATE_TRUNC('minute', \"public\".\"detections\".\"ts\") AS \"ts\",
                COUNT(DISTINCT \"public\".\"detections\".\"track_id\") AS \"count\"
         FROM \"public\".\"detections\"
         WHERE \"public\".\"detections\".\"class_name\" = 'person'
         GROUP BY DATE_TRUNC('minute', \"public\".\"detections\".\"ts\")
         ORDER BY DATE_TRUNC('minute', \"public\".\"detections\".\"ts\") ASC",
    )
    .await;
    assert_eq!(question.len(), 1);
    assert_eq!(question[0][0], "2024-01-01 00:00:00+00");
    let fingerprint = "SELECT SUBSTRING(\"public\".\"frames\".\"source\", 1, 1234) AS \"s\",
                              \"public\".\"frames\".\"ts\" AS \"ts\" FROM \"public\".\"frames\" LIMIT 10000";
    assert!(rows(&client, fingerprint).await.len() >= 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn dbeaver_browses_schemas_tables_and_types() {
    let server = Server::start().await;
    let client = server.connect().await;
    let setup = "SET application_name = 'DBeaver 24.2 - Main'; SET extra_float_digits = 3";
    client.batch_execute(setup).await.expect("runs");
    let who = rows(&client, "SELECT current_schema(), session_user").await;
    assert_eq!(who, [["public", "tester"]]);
    assert!(rows(&client, "SELECT version()").await[0][0].starts_with("PostgreSQL"));
    let databases = "SELECT db.oid, db.* FROM pg_catalog.pg_database db
                     WHERE NOT datistemplate AND datallowconn OR db.datname = 'vigil' ORDER BY db.datname";
    let databases = rows(&client, databases).await;
    assert!(databases.iter().any(|row| row.contains(&"vigil".to_owned())), "{databases:?}");
    let schemas = rows(
        &client,
        "SELECT n.oid, n.*, d.description FROM pg_catalog.pg_namespace n
         LEFT OUTER JOIN pg_catalog.pg_description d
              ON d.objoid = n.oid AND d.objsubid = 0 AND d.classoid = 'pg_namespace'::regclass
         ORDER BY nspname",
    )
    .await;
    let public = schemas.iter().find(|row| row.contains(&"public".to_owned())).expect("is there");
    let types = rows(
        &client,
        "SELECT t.oid, t.*, c.relkind, format_type(nullif(t.typbasetype, 0), t.typtypmod) AS base_type_name,
                d.description
         FROM pg_catalog.pg_type t
         LEFT OUTER JOIN pg_catalog.pg_type et ON et.oid = t.typelem
         LEFT OUTER JOIN pg_catalog.pg_class c ON c.oid = t.typrelid
         LEFT OUTER JOIN pg_catalog.pg_description d ON t.oid = d.objoid
         WHERE t.typname IS NOT NULL AND (c.relkind IS NULL OR c.relkind = 'c')
           AND (et.typcategory IS NULL OR et.typcategory <> 'C')",
    )
    .await;
    assert!(types.len() > 50 && types.iter().any(|row| row.contains(&"float8".to_owned())));
    let tables = rows(
        &client,
        &format!(
            "SELECT c.oid, c.*, d.description,
                    pg_catalog.pg_get_expr(c.relpartbound, c.oid) AS partition_expr,
                    pg_catalog.pg_get_partkeydef(c.oid) AS partition_key
             FROM pg_catalog.pg_class c
             LEFT OUTER JOIN pg_catalog.pg_description d
                  ON d.objoid = c.oid AND d.objsubid = 0 AND d.classoid = 'pg_class'::regclass
             WHERE c.relnamespace = {} AND c.relkind NOT IN ('i', 'I', 'c')",
            public[0]
        ),
    )
    .await;
    let detections =
        tables.iter().find(|row| row.contains(&"detections".to_owned())).expect("is a table");
    assert_eq!(tables.len(), 5, "{tables:?}");
    let columns = rows(
        &client,
        &format!(
            "SELECT c.relname, a.*, pg_catalog.pg_get_expr(ad.adbin, ad.adrelid, true) AS def_value,
                    dsc.description, dep.objid
             FROM pg_catalog.pg_attribute a
             INNER JOIN pg_catalog.pg_class c ON (a.attrelid = c.oid)
             LEFT OUTER JOIN pg_catalog.pg_attrdef ad ON (a.attrelid = ad.adrelid AND a.attnum = ad.adnum)
             LEFT OUTER JOIN pg_catalog.pg_description dsc
                  ON (c.oid = dsc.objoid AND a.attnum = dsc.objsubid)
             LEFT OUTER JOIN pg_depend dep ON dep.refobjid = a.attrelid AND dep.deptype = 'i'
                  AND dep.refobjsubid = a.attnum AND dep.classid = dep.refclassid
             WHERE NOT a.attisdropped AND a.attrelid = {} ORDER BY a.attnum",
            detections[0]
        ),
    )
    .await;
    assert_eq!(columns.len(), 15, "{columns:?}");
    assert!(columns[6].contains(&"the detector's score, 0..1".to_owned()), "{:?}", columns[6]);
    let constraints = rows(
        &client,
        &format!(
            "SELECT c.oid, c.*, t.relname AS tabrelname, rt.relnamespace AS refnamespace,
                    d.description, pg_catalog.pg_get_constraintdef(c.oid) AS definition
             FROM pg_catalog.pg_constraint c
             INNER JOIN pg_catalog.pg_class t ON t.oid = c.conrelid
             LEFT OUTER JOIN pg_catalog.pg_class rt ON rt.oid = c.confrelid
             LEFT OUTER JOIN pg_catalog.pg_description d
                  ON d.objoid = c.oid AND d.objsubid = 0 AND d.classoid = 'pg_constraint'::regclass
             WHERE c.conrelid = {} ORDER BY c.oid",
            detections[0]
        ),
    )
    .await;
    assert!(constraints[0].iter().any(|value| value.starts_with("FOREIGN KEY")), "{constraints:?}");
    let indexes = rows(
        &client,
        "SELECT i.*, i.indkey AS keys, c.relname, c.relnamespace, c.relam, c.reltablespace,
                tc.relname AS tabrelname, dsc.description,
                pg_catalog.pg_get_expr(i.indpred, i.indrelid) AS pred_expr,
                pg_catalog.pg_get_indexdef(i.indexrelid, 0, true) AS definition
         FROM pg_catalog.pg_index i
         INNER JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
         INNER JOIN pg_catalog.pg_class tc ON tc.oid = i.indrelid
         LEFT OUTER JOIN pg_catalog.pg_description dsc ON i.indexrelid = dsc.objoid
         WHERE i.indrelid = 'public.captions'::regclass ORDER BY tabrelname, c.relname",
    )
    .await;
    assert_eq!(indexes.len(), 2);
    assert!(indexes[0].iter().any(|value| value.contains("USING hnsw (embedding")), "{indexes:?}");
    let settings = "SELECT * FROM pg_catalog.pg_settings WHERE name = 'search_path'";
    assert_eq!(rows(&client, settings).await.len(), 1);
    let roles = "SELECT a.oid, a.*, pd.description FROM pg_catalog.pg_roles a
                 LEFT JOIN pg_catalog.pg_shdescription pd ON a.oid = pd.objoid ORDER BY a.rolname";
    assert!(rows(&client, roles).await.len() >= 3);
    for sql in [
        "SELECT e.oid, e.* FROM pg_catalog.pg_extension e ORDER BY e.oid",
        "SELECT t.oid, t.* FROM pg_catalog.pg_tablespace t ORDER BY t.oid",
        "SELECT l.oid, l.* FROM pg_catalog.pg_language l ORDER BY l.oid",
        "SELECT i.*, c.relnamespace FROM pg_catalog.pg_inherits i, pg_catalog.pg_class c
         WHERE i.inhrelid = c.oid",
        "SELECT am.oid, am.* FROM pg_catalog.pg_am am ORDER BY am.oid",
        "SELECT * FROM pg_catalog.pg_enum ORDER BY enumsortorder",
        "SELECT x.oid, x.* FROM pg_catalog.pg_event_trigger x",
        "SHOW search_path",
    ] {
        rows(&client, sql).await;
    }
    let data = "SELECT * FROM public.detections LIMIT 200";
    assert!(rows(&client, data).await.len() >= 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn pgadmin_and_adbc_find_what_they_ask_for() {
    let server = Server::start().await;
    let client = server.connect().await;
    for sql in [
        "SELECT pid, locktype, page, tuple, virtualxid, granted, fastpath FROM pg_catalog.pg_locks",
        "SELECT sl.label, sl.provider FROM pg_catalog.pg_seclabels sl WHERE sl.objsubid = 0",
        "SELECT null_frac, n_distinct FROM pg_catalog.pg_stats WHERE schemaname = 'public'",
        "SELECT gid, database, owner FROM pg_catalog.pg_prepared_xacts",
        "SELECT count(*) FROM pg_catalog.pg_stat_replication HAVING count(*) > 0",
    ] {
        assert!(rows(&client, sql).await.is_empty(), "{sql}");
    }
    let types = rows(
        &client,
        "SELECT oid, typname, typreceive, typbasetype, typrelid, typarray FROM pg_catalog.pg_type
         WHERE (typreceive != 0 OR typsend != 0) AND typtype != 'r'
           AND typreceive::TEXT != 'array_recv'",
    )
    .await;
    let names = column(&types, 1);
    assert!(names.contains(&"bool") && !names.contains(&"trigger"), "{names:?}");
}
