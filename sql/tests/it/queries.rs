//! Queries over the standard and the system tables.

use crate::server::{database, run};

#[tokio::test]
async fn all_tables_of_a_query_are_read_at_one_cut() {
    let (engine, database) = database();
    let mut session = database.session();
    let answer = run(
        &mut session,
        "SELECT (SELECT count(*) FROM frames) AS frames, count(*) AS detections FROM detections",
    )
    .await
    .expect("runs");
    assert_eq!(answer.table(), ["10     | 10"]);
    assert_eq!(engine.cuts(), 1);
    let answer = run(&mut session, "SELECT count(*) FROM frames, captions").await.expect("runs");
    assert_eq!(answer.table(), ["33"], "the next query sees the next cut");
}

#[tokio::test]
async fn a_prepared_statement_sees_the_cut_of_each_execution() {
    let (engine, database) = database();
    let mut session = database.session();
    let statements = session.parse("SELECT count(*) FROM frames").expect("is valid");
    let prepared = session.prepare(&statements[0], &[]).await.expect("can be planned");
    assert_eq!(engine.cuts(), 0, "planning takes no cut");
    for frames in [10, 11] {
        let outcome = session.execute_prepared(&prepared, Vec::new()).await.expect("runs");
        let vigil_sql::Outcome::Rows { batches, .. } = outcome else { panic!("a query has rows") };
        let rows = futures::TryStreamExt::try_collect(batches).await.expect("has rows");
        let answer = crate::server::Answer { rows, ..Default::default() };
        assert_eq!(answer.table(), [frames.to_string()]);
    }
}

#[tokio::test]
async fn system_tables_tell_what_the_engine_tells() {
    let (_engine, database) = database();
    let mut session = database.session();
    run(&mut session, "CREATE SOURCE a FROM 'a.mp4'; CREATE SOURCE b FROM 'b.mp4'")
        .await
        .expect("can be created");
    let answer = run(
        &mut session,
        "SELECT id, name, url, s.frames_processed, created_at FROM vigil_catalog.sources
         JOIN vigil_catalog.source_statistics s ON s.source = name ORDER BY id",
    )
    .await
    .expect("runs");
    assert_eq!(
        answer.table(),
        [
            "1  | a    | a.mp4 | 10               | 2024-01-01T00:00:00Z",
            "2  | b    | b.mp4 | 10               | 2024-01-01T00:00:00Z",
        ]
    );
    for table in ["frontiers", "models", "operators", "source_errors"] {
        let sql = format!("SELECT * FROM vigil_catalog.{table}");
        run(&mut session, &sql).await.unwrap_or_else(|error| panic!("{table}: {error}"));
    }
}

#[tokio::test]
async fn captions_are_ordered_by_meaning() {
    let (_engine, database) = database();
    let mut session = database.session();
    let answer = run(
        &mut session,
        "SELECT caption FROM captions ORDER BY embedding <=> embed('two persons walk') LIMIT 1",
    )
    .await
    .expect("runs");
    assert_eq!(answer.table(), ["two people walk"]);
}

#[tokio::test]
async fn people_are_counted_in_windows_of_time() {
    let (_engine, database) = database();
    let mut session = database.session();
    let answer = run(
        &mut session,
        "SELECT date_bin('200 milliseconds', ts) AS slice, count(DISTINCT track_id) AS people
         FROM detections WHERE source = 'lobby' AND class_name = 'person' GROUP BY 1 ORDER BY 1",
    )
    .await
    .expect("runs");
    assert_eq!(
        answer.table(),
        ["2024-01-01T00:00:00Z     | 3", "2024-01-01T00:00:00.200Z | 3"],
        "{answer:?}"
    );
}

#[tokio::test]
async fn a_plan_is_explained_as_postgresql_explains() {
    let (_engine, database) = database();
    let mut session = database.session();
    for sql in [
        "EXPLAIN SELECT count(*) FROM frames",
        "EXPLAIN ANALYZE SELECT count(*) FROM frames",
        "EXPLAIN (ANALYZE, VERBOSE) SELECT count(*) FROM frames",
        "EXPLAIN VERBOSE SELECT count(*) FROM frames",
    ] {
        let answer = run(&mut session, sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        assert_eq!(answer.tag, "EXPLAIN");
        assert_eq!(answer.rows[0].schema().field(0).name(), "QUERY PLAN");
        let plan = answer.table().join("\n");
        assert!(plan.contains("AggregateExec") || plan.contains("ProjectionExec"), "{plan}");
    }
}

#[tokio::test]
async fn frame_image_waits_for_the_engine() {
    let (_engine, database) = database();
    let mut session = database.session();
    let sql = "SELECT frame_number, octet_length(encode(frame_image(source, frame_number), 'hex'))
               FROM frames WHERE frame_number < 2 ORDER BY 1";
    let answer = run(&mut session, sql).await.expect("runs");
    assert_eq!(answer.table().len(), 2);
    let error =
        run(&mut session, "SELECT frame_image('nowhere', 1)").await.expect_err("is unknown");
    assert_eq!(error.sqlstate(), "42704");
    assert_eq!(error.to_string(), "source \"nowhere\" does not exist");
    let answer = run(&mut session, "SELECT frame_image(NULL, 1) IS NULL AS missing").await;
    assert_eq!(answer.expect("runs").table(), ["true"]);
}

#[tokio::test]
async fn the_version_is_postgresqls_and_vigils() {
    let (_engine, database) = database();
    let mut session = database.session();
    let answer = run(&mut session, "SELECT version()").await.expect("runs");
    let version = answer.table().remove(0);
    assert!(version.starts_with("PostgreSQL 16.") && version.contains("Vigil"), "{version}");
    let answer = run(&mut session, "SHOW server_version_num").await.expect("runs");
    assert_eq!(answer.table(), ["160006"]);
}

#[tokio::test]
async fn columns_of_subqueries_have_postgresqls_names() {
    let (_engine, database) = database();
    let mut session = database.session();
    for (sql, value) in [
        ("SELECT count FROM (SELECT count(*) FROM frames) x", "10"),
        ("SELECT max + min FROM (SELECT max(a), min(a) FROM (VALUES (1), (2)) v (a)) x", "3"),
        ("WITH x AS (SELECT lower('A')) SELECT lower FROM x", "a"),
        ("SELECT \"?column?\" FROM (SELECT 1 + 1) x", "2"),
        ("SELECT int4 FROM (SELECT '7'::int) x", "7"),
        ("SELECT x.case FROM (SELECT CASE WHEN true THEN 5 END) x", "5"),
        (
            "SELECT sum(coalesce) FROM (SELECT coalesce(a, 1) FROM (VALUES (NULL), (2)) v (a)) x",
            "3",
        ),
        ("SELECT a FROM (SELECT a::text FROM (VALUES (1)) v (a) ORDER BY a) x", "1"),
        ("SELECT count FROM (SELECT a, count(*) FROM (VALUES (1), (1)) v (a) GROUP BY a) x", "2"),
        ("SELECT upper FROM upper('a')", "A"),
        ("SELECT current_schema FROM current_schema()", "public"),
        ("SELECT date('2024-05-06 07:08:09'::timestamp)::text", "2024-05-06"),
    ] {
        let answer = run(&mut session, sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        assert_eq!(answer.table(), [value], "{sql}");
    }
    let answer = run(&mut session, "SELECT current_user").await.expect("runs");
    assert_eq!(answer.rows[0].schema().field(0).name(), "current_user");
}

#[tokio::test]
async fn what_postgresql_refuses_is_refused_as_it_does() {
    let (_engine, database) = database();
    let mut session = database.session();
    for (sql, sqlstate) in [
        ("PREPARE TRANSACTION 'x'".to_owned(), "55000"),
        ("SELECT $0".to_owned(), "42P02"),
        (format!("SELECT {}", vec!["1"; 100_000].join(",")), "54011"),
    ] {
        let error = run(&mut session, &sql).await.map(|_| ()).expect_err("is refused");
        assert_eq!(error.sqlstate(), sqlstate, "{}", &sql[..10]);
    }
    run(&mut session, "SET TIME ZONE INTERVAL '+02:00' HOUR TO MINUTE").await.expect("is known");
}
