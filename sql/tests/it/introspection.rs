//! Queries of the catalog that no planner of DataFusion takes, and comments.

use crate::server::{Answer, Server, database, run};

async fn table(sql: &str) -> Vec<String> {
    let (_engine, database) = database();
    let mut session = database.session();
    run(&mut session, sql).await.unwrap_or_else(|error| panic!("{sql}: {error}")).table()
}

#[tokio::test]
async fn subqueries_name_columns_around_them() {
    for (sql, rows) in [
        (
            "SELECT c.relname, (SELECT count(*) FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0)
             FROM pg_class c WHERE c.relname = 'detections'",
            vec!["detections | 15"],
        ),
        (
            "SELECT c.relname, ARRAY(SELECT a.attname FROM pg_attribute a
                                     WHERE a.attrelid = c.oid AND a.attnum IN (1, 3) ORDER BY a.attnum)::text AS names
             FROM pg_class c WHERE c.relname = 'frames'",
            vec!["frames  | {source,ts}"],
        ),
        (
            "SELECT relname FROM pg_class c WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'
               AND EXISTS (SELECT 1 FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'embedding')
             ORDER BY 1",
            vec!["captions", "embeddings"],
        ),
        (
            "SELECT EXISTS (SELECT 1 FROM pg_class WHERE relname = 'nowhere'),
                    NOT EXISTS (SELECT 1 FROM pg_class WHERE relname = 'nowhere') AS missing",
            vec!["false  | true"],
        ),
        (
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 4)
             SELECT sum(i), string_agg(i::text, ',' ORDER BY i DESC) FROM n, pg_am WHERE amname = 'btree'",
            vec!["10  | 4,3,2,1"],
        ),
        (
            "SELECT a.attname, k.n FROM pg_constraint c
             CROSS JOIN LATERAL unnest(c.conkey) WITH ORDINALITY AS k(attnum, n)
             JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.attnum
             WHERE c.conname = 'tracks_pkey' ORDER BY n",
            vec!["source   | 1", "track_id | 2"],
        ),
        (
            "SELECT (information_schema._pg_expandarray(i.indkey)).n AS n,
                    (information_schema._pg_expandarray(i.indkey)).x AS x
             FROM pg_index i WHERE indexrelid = 'tracks_pkey'::regclass",
            vec!["1 | 1", "2 | 2"],
        ),
        (
            "SELECT 'public.frames'::regclass::text, to_regclass('nowhere') IS NULL AS gone,
                    'int8'::regtype, 'pg_catalog'::regnamespace::text FROM pg_am WHERE amname = 'btree'",
            vec!["frames | true | bigint  | pg_catalog"],
        ),
        (
            "SELECT relkind, count(*) FILTER (WHERE relhasindex) FROM pg_class
             WHERE relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = 'public')
             GROUP BY relkind HAVING count(*) > 1 ORDER BY count(*) DESC",
            vec!["r       | 3", "i       | 0"],
        ),
        (
            "SELECT relname, row_number() OVER (ORDER BY relname DESC) AS n FROM pg_class
             WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' ORDER BY n LIMIT 2",
            vec!["tracks  | 1", "frames  | 2"],
        ),
        (
            "SELECT pg_get_indexdef('captions_embedding_idx'::regclass, 1, true)
             UNION ALL SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'frames_pkey'",
            vec!["embedding", "PRIMARY KEY (source, frame_number)"],
        ),
        (
            "SELECT data_type, is_nullable, udt_name FROM information_schema.columns
             WHERE table_name = 'captions' AND column_name IN ('embedding', 'ts', 'caption') ORDER BY ordinal_position",
            vec![
                "timestamp with time zone | NO          | timestamptz",
                "text                     | YES         | text",
                "USER-DEFINED             | YES         | vector",
            ],
        ),
    ] {
        assert_eq!(table(sql).await, rows, "{sql}");
    }
}

#[tokio::test]
async fn exists_is_a_value() {
    let sql = "SELECT EXISTS (SELECT 1 FROM frames WHERE frame_number = 3) AS there,
                      NOT EXISTS (SELECT 1 FROM frames WHERE frame_number = 3) AS gone";
    assert_eq!(table(sql).await, ["true  | false"]);
    let sql = "SELECT track_id, EXISTS (SELECT 1 FROM detections d WHERE d.track_id = t.track_id AND d.class_id > 0)
               FROM tracks t ORDER BY 1";
    assert_eq!(table(sql).await, ["0        | false", "1        | true"]);
}

#[tokio::test]
async fn errors_of_the_catalog_are_postgresqls() {
    let (_engine, database) = database();
    let mut session = database.session();
    for (sql, sqlstate) in [
        // Also where no row is there that it could be asked of.
        ("SELECT oid FROM pg_class WHERE relname = 'nowhere' AND nothing(oid) > 1", "42883"),
        ("SELECT nothing FROM pg_class", "42703"),
        ("SELECT oid FROM pg_class, pg_namespace", "42702"),
        ("SELECT * FROM pg_catalog.pg_nothing", "42P01"),
        ("SELECT 'nowhere'::regclass FROM pg_am", "42P01"),
        ("SELECT (SELECT oid FROM pg_class)", "21000"),
        ("SELECT 1 / 0 FROM pg_am", "22012"),
        ("SELECT relname ~ '(' FROM pg_class", "2201B"),
    ] {
        let error = run(&mut session, sql).await.expect_err("is wrong");
        assert_eq!(error.sqlstate(), sqlstate, "{sql}: {error}");
    }
    run(&mut session, "SET statement_timeout = '300ms'").await.expect("runs");
    let sql = "SELECT count(*) FROM pg_proc a, pg_proc b WHERE a.proname || b.proname = 'x'";
    let error = run(&mut session, sql).await.expect_err("takes too long");
    assert_eq!(error.sqlstate(), "57014", "{error}");
}

#[tokio::test]
async fn settings_are_functions_too() {
    let (_engine, database) = database();
    let mut session = database.session();
    let sql = "SELECT current_setting('jit') AS cur, set_config('jit', 'off', false) AS new";
    run(&mut session, sql).await.expect("runs");
    assert_eq!(run(&mut session, "SHOW jit").await.expect("runs").table(), ["off"]);
    run(&mut session, "BEGIN; SELECT set_config('application_name', 'inside', true)")
        .await
        .expect("runs");
    let inside = run(&mut session, "SHOW application_name; ").await.expect("runs");
    assert_eq!(inside.table(), ["inside"]);
    run(&mut session, "COMMIT").await.expect("runs");
    assert_eq!(run(&mut session, "SHOW application_name").await.expect("runs").table(), [""]);
    let sql = "SELECT setting FROM pg_settings WHERE name = 'TimeZone'";
    assert_eq!(run(&mut session, sql).await.expect("runs").table(), ["UTC"]);
    let error = run(&mut session, "DEALLOCATE nothing").await.expect_err("is unknown");
    assert_eq!(
        (error.sqlstate(), error.to_string().as_str()),
        ("26000", "prepared statement \"nothing\" does not exist")
    );
    run(&mut session, "PREPARE p AS SELECT 1; DEALLOCATE p; DEALLOCATE ALL").await.expect("runs");
}

#[tokio::test]
async fn comments_are_said_and_taken_back() {
    let folder = std::env::temp_dir().join(format!("vigil-comments-{}", std::process::id()));
    let roles_file = Some(folder.join("roles.json"));
    let options = vigil_sql::DatabaseOptions { roles_file, ..Default::default() };
    let told = "SELECT obj_description('tracks'::regclass) AS t, col_description('tracks'::regclass, 2) AS c
                FROM pg_am WHERE amname = 'btree'";
    let open = || {
        let engine = std::sync::Arc::new(crate::engine::TestEngine::default());
        vigil_sql::Database::open(engine, &options).expect("can be opened")
    };
    let database = open();
    let mut session = database.session();
    let done =
        run(&mut session, "COMMENT ON TABLE tracks IS 'who went where'").await.expect("runs");
    assert_eq!(done.tag, "COMMENT");
    run(&mut session, "COMMENT ON COLUMN public.tracks.track_id IS 'it''s a number'")
        .await
        .expect("runs");
    let rows = run(&mut session, told).await.expect("runs").table();
    assert_eq!(rows, ["who went where | it's a number"]);
    run(&mut session, "CREATE VIEW v AS SELECT 1 AS a; COMMENT ON VIEW v IS 'a view'")
        .await
        .expect("runs");
    // They are there after the next start.
    drop((session, database));
    let database = open();
    let mut session = database.session();
    assert_eq!(run(&mut session, told).await.expect("runs").table(), rows);
    let of_view = "SELECT obj_description(oid) FROM pg_class WHERE relname = 'v'";
    assert_eq!(run(&mut session, of_view).await.expect("runs").table(), ["a view"]);
    run(&mut session, "COMMENT ON TABLE tracks IS ''").await.expect("runs");
    let rows = run(&mut session, told).await.expect("runs").table();
    assert_eq!(rows, ["| it's a number"]);
    for (sql, sqlstate) in [
        ("COMMENT ON TABLE nowhere IS 'x'", "42P01"),
        ("COMMENT ON COLUMN tracks.nothing IS 'x'", "42703"),
        ("COMMENT ON COLUMN tracks IS 'x'", "42601"),
        ("COMMENT ON DATABASE vigil IS 'x'", "0A000"),
        ("COMMENT ON TABLE tracks 'x'", "42601"),
    ] {
        let error = run(&mut session, sql).await.expect_err("is wrong");
        assert_eq!(error.sqlstate(), sqlstate, "{sql}: {error}");
    }
    drop((session, database));
    std::fs::remove_dir_all(folder).expect("is there");
    let server = Server::start().await;
    server
        .as_owner(
            "CREATE ROLE one LOGIN PASSWORD 'secret' IN ROLE vigil_reader;
             CREATE ROLE chief LOGIN PASSWORD 'secret' IN ROLE vigil_admin",
        )
        .await;
    let one = server.log_in("one", "secret").await.expect("may log in");
    let error = one.batch_execute("COMMENT ON TABLE tracks IS 'x'").await.expect_err("may not");
    assert_eq!(error.code().map(|code| code.code()), Some("42501"));
    server.as_owner("CREATE VIEW v AS SELECT 1 AS a").await;
    let error = one.batch_execute("COMMENT ON VIEW v IS 'x'").await.expect_err("may not");
    assert_eq!(error.code().map(|code| code.code()), Some("42501"));
    let chief = server.log_in("chief", "secret").await.expect("may log in");
    chief.batch_execute("COMMENT ON TABLE tracks IS 'x'").await.expect("may");
}

#[tokio::test]
async fn numbers_that_do_not_fit_are_errors() {
    let (_engine, database) = database();
    let mut session = database.session();
    for (sql, message) in [
        ("SELECT 9223372036854775807 + 1", "bigint out of range"),
        ("SELECT 9223372036854775807 + frame_number FROM frames", "bigint out of range"),
        ("SELECT frame_number * 9223372036854775807 FROM frames", "bigint out of range"),
        ("SELECT -9223372036854775807 - frame_number FROM frames", "bigint out of range"),
        ("SELECT 2147483647::int + width FROM frames", "integer out of range"),
        ("SELECT 32767::smallint * 2::smallint", "smallint out of range"),
        (
            "SELECT count(*) FROM frames WHERE frame_number + 9223372036854775807 > 0",
            "bigint out of range",
        ),
        ("SELECT sum(frame_number * 9223372036854775807) FROM frames", "bigint out of range"),
    ] {
        let error = run(&mut session, sql).await.expect_err("does not fit");
        assert_eq!((error.sqlstate(), error.to_string().as_str()), ("22003", message), "{sql}");
    }
    let fits: Answer = run(
        &mut session,
        "SELECT 9223372036854775806 + 1 AS a, 2147483647::int - 1::int AS b, -frame_number AS c,
                frame_number + NULL AS d, 1.5 + frame_number AS e
         FROM frames WHERE frame_number * 2 = 4",
    )
    .await
    .expect("fits");
    assert_eq!(fits.table(), ["9223372036854775807 | 2147483646 | -2 |   | 3.5"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn times_of_sessions_have_spans_between_them() {
    let sql =
        "SELECT now() - query_start < interval '1 hour' AND query_start - interval '1 day' < now()
                      AND extract(epoch FROM now() - backend_start) >= 0
               FROM pg_stat_activity WHERE pid = pg_backend_pid()";
    assert_eq!(table(sql).await, ["true"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_and_functions_that_psql_asks_are_there() {
    for (sql, rows) in [
        (
            "SELECT p.proname FROM pg_amproc a JOIN pg_proc p ON a.amproc = p.oid WHERE a.amprocfamily = 423 ORDER BY 1",
            vec!["bitcmp", "btequalimage"],
        ),
        ("SELECT oprname FROM pg_operator o JOIN pg_namespace n ON n.oid = oprnamespace WHERE nspname = 'public' AND pg_operator_is_visible(o.oid)
          AND format_type(oprleft, NULL) = 'vector' ORDER BY 1", vec!["<#>", "<+>", "<->", "<=>"]),
        ("SELECT proargnames[2] FROM pg_proc WHERE proname = 'pg_get_keywords' AND 25 = ANY (proallargtypes)", vec!["catcode"]),
        ("SELECT count(*) FROM pg_parameter_acl", vec!["0"]),
        ("SELECT count(*) FROM pg_sequences WHERE last_value > 1", vec!["0"]),
        ("SELECT ssl FROM pg_stat_ssl", vec!["false"]),
        (
            "SELECT pg_get_userbyid(nspowner) FROM pg_namespace WHERE nspname = 'public'",
            vec!["vigil_admin"],
        ),
        (
            "SELECT pg_describe_object(2615, oid, 0) FROM pg_namespace WHERE nspname = 'public'",
            vec!["schema public"],
        ),
        ("SELECT name FROM pg_settings WHERE source <> 'default' AND name = 'work_mem'", vec![]),
        (
            "SELECT pg_get_function_result(oid) || ' of ' || pg_get_function_arguments(oid) FROM pg_proc WHERE oid = 1171",
            vec!["double precision of text, timestamp with time zone"],
        ),
        ("SELECT c FROM pg_listening_channels() AS c", vec![]),
    ] {
        assert_eq!(table(sql).await, rows, "{sql}");
    }
}
