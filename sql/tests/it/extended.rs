//! The extended query protocol: parameters, binary results, portals.

use std::pin::pin;
use std::time::SystemTime;

use futures::TryStreamExt;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::Type;

use crate::server::Server;

#[tokio::test(flavor = "multi_thread")]
async fn parameters_are_typed_by_what_they_are_compared_with() {
    let server = Server::start().await;
    let client = server.connect().await;
    let statement = client
        .prepare(
            "SELECT frame_number, ts, avg_confidence, keyframe, source FROM frames
             WHERE source = $1 AND frame_number < $2 AND avg_confidence >= $3
             ORDER BY frame_number LIMIT $4",
        )
        .await
        .expect("can be prepared");
    assert_eq!(statement.params(), [Type::TEXT, Type::INT8, Type::FLOAT4, Type::INT8]);
    let types: Vec<_> = statement.columns().iter().map(|column| column.type_().clone()).collect();
    assert_eq!(types, [Type::INT8, Type::TIMESTAMPTZ, Type::FLOAT4, Type::BOOL, Type::TEXT]);
    for limit in [1_i64, 2] {
        let rows = client
            .query(&statement, &[&"lobby", &5_i64, &1.0_f32, &limit])
            .await
            .expect("can be executed again and again");
        assert_eq!(rows.len(), usize::try_from(limit).expect("is small"));
        assert_eq!(rows[0].get::<_, i64>(0), 2);
        assert_eq!(rows[0].get::<_, f32>(2), 1.0);
        assert!(!rows[0].get::<_, bool>(3));
        let seconds = rows[0].get::<_, SystemTime>(1).duration_since(SystemTime::UNIX_EPOCH);
        assert_eq!(seconds.expect("is after 1970").as_millis(), 1_704_067_200_080);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parameter_that_does_not_fit_is_refused() {
    let server = Server::start().await;
    let client = server.connect().await;
    let far = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(253_370_764_800);
    let error = client
        .query("SELECT $1::timestamptz", &[&far])
        .await
        .expect_err("the year 9999 is out of range");
    assert_eq!(error.code(), Some(&SqlState::DATETIME_FIELD_OVERFLOW));
    let near = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_704_067_200);
    let row = client.query_one("SELECT $1::timestamptz", &[&near]).await.expect("fits");
    assert_eq!(row.get::<_, SystemTime>(0), near);
}

#[tokio::test(flavor = "multi_thread")]
async fn parameters_are_arguments_of_functions_in_from() {
    let server = Server::start().await;
    let client = server.connect().await;
    let sql = "SELECT n * $3 FROM generate_series($1, $2) AS s(n) WHERE n <> $4 ORDER BY 1";
    let statement = client.prepare(sql).await.expect("can be prepared");
    assert_eq!(statement.params()[..2], [Type::INT8, Type::INT8]);
    for (first, last, expected) in [(1_i64, 4_i64, vec![10_i64, 20, 40]), (-1, 1, vec![-10, 0, 10])]
    {
        let rows = client.query(&statement, &[&first, &last, &10_i64, &3_i64]).await.expect("runs");
        let found: Vec<i64> = rows.iter().map(|row| row.get(0)).collect();
        assert_eq!(found, expected);
    }
    let found = client
        .query(
            "SELECT caption, distance FROM vector_search('captions', $1, $2)",
            &[&"two people walk", &1_i64],
        )
        .await
        .expect("runs");
    assert_eq!(found[0].get::<_, &str>(0), "two people walk");
    let quoted = client
        .query("SELECT caption FROM vector_search('captions', $1)", &[&"it's'); DROP SOURCE lobby"])
        .await;
    assert!(!quoted.expect("is a text as any other").is_empty());
    let error =
        client.prepare("SELECT * FROM vector_search($1, 'a')").await.expect_err("no columns");
    assert_eq!(error.code(), Some(&SqlState::INVALID_PARAMETER_VALUE));
}

#[tokio::test(flavor = "multi_thread")]
async fn parameters_are_arguments_of_functions_and_operators() {
    let server = Server::start().await;
    let client = server.connect().await;
    let row = client
        .query_one(
            "SELECT caption, 1 - (embedding <=> embed($1)) AS similarity FROM captions
             ORDER BY embedding <=> embed($1) LIMIT $2",
            &[&"two people walk", &1_i64],
        )
        .await
        .expect("runs");
    assert_eq!(row.get::<_, &str>(0), "two people walk");
    assert!((row.get::<_, f64>(1) - 1.0).abs() < 1e-6);
    let row = client.query_one("SELECT $1::bigint + 1, $2::text", &[&41_i64, &"a"]).await;
    let row = row.expect("runs");
    assert_eq!((row.get::<_, i64>(0), row.get::<_, &str>(1)), (42, "a"));
    let row = client.query_one("SELECT $1", &[&"text"]).await.expect("is text");
    assert_eq!(row.get::<_, &str>(0), "text");
    let row = client.query_one("SELECT $1::bigint IS NULL", &[&None::<i64>]).await.expect("runs");
    assert!(row.get::<_, bool>(0));
    let row = client
        .query_one(
            "SELECT count(*) FROM frames WHERE ts < $1 AND source = ANY($2)",
            &[
                &(SystemTime::UNIX_EPOCH + std::time::Duration::from_millis(1_704_067_200_080)),
                &vec!["lobby", "yard"],
            ],
        )
        .await
        .expect("runs");
    assert_eq!(row.get::<_, i64>(0), 2);
    let numbers = "SELECT count(*) FROM frames f WHERE f.frame_number = ANY($1)";
    let row = client.query_one(numbers, &[&vec![0_i64, 1, -1]]).await.expect("runs");
    assert!(row.get::<_, i64>(0) > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_tell_which_column_of_a_table_they_are() {
    let server = Server::start().await;
    let client = server.connect().await;
    client
        .batch_execute("CREATE VIEW seen AS SELECT ts, source AS camera FROM frames")
        .await
        .expect("is made");
    let oid = async |name: &str| -> Option<u32> {
        let sql = format!("SELECT '{name}'::regclass::oid");
        Some(client.query_one(&sql, &[]).await.expect("is there").get(0))
    };
    let (frames, captions, seen) = (oid("frames").await, oid("captions").await, oid("seen").await);
    let class = "SELECT oid::oid FROM pg_class WHERE relname = 'pg_class'";
    let class = Some(client.query_one(class, &[]).await.expect("is there").get::<_, u32>(0));
    for (sql, expected) in [
        ("SELECT ts, source AS s, 1 FROM frames", vec![(frames, 3), (frames, 1), (None, 0)]),
        ("SELECT * FROM seen AS v", vec![(seen, 1), (seen, 2)]),
        (
            "WITH a AS (SELECT ts AS t FROM frames) SELECT t, t + INTERVAL '1 s' FROM (SELECT * FROM a) b ORDER BY 1",
            vec![(frames, 3), (None, 0)],
        ),
        (
            "SELECT f.ts, c.source FROM frames f LEFT JOIN captions c USING (frame_number) LIMIT 1",
            vec![(frames, 3), (captions, 1)],
        ),
        (
            "SELECT DISTINCT source, count(*) FROM frames WHERE frame_number > 0 GROUP BY source",
            vec![(frames, 1), (None, 0)],
        ),
        ("SELECT source FROM frames UNION SELECT source FROM tracks", vec![(None, 0)]),
        (
            "SELECT relname AS n, oid::int8, oid FROM pg_class c",
            vec![(class, 2), (None, 0), (class, 1)],
        ),
    ] {
        let statement = client.prepare(sql).await.expect("can be prepared");
        let told = statement.columns().iter();
        let told: Vec<_> =
            told.map(|column| (column.table_oid(), column.column_id().unwrap_or(0))).collect();
        assert_eq!(told, expected, "{sql}");
    }
    let statement =
        client.prepare("SELECT embedding, caption FROM captions").await.expect("is one");
    let modifiers = statement.columns().iter().map(|column| column.type_modifier());
    let known = "SELECT atttypmod FROM pg_attribute WHERE attname = 'embedding' AND attrelid = 'captions'::regclass";
    let known: i32 = client.query_one(known, &[]).await.expect("is there").get(0);
    assert_eq!(modifiers.collect::<Vec<_>>(), [known, -1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn our_statements_work_in_this_protocol_too() {
    let server = Server::start().await;
    let client = server.connect().await;
    client.execute("CREATE SOURCE a FROM 'x.mp4' WITH (fps = 5)", &[]).await.expect("runs");
    client.execute("WAIT FOR SOURCE a TIMEOUT '1 minute'", &[]).await.expect("runs");
    let rows = client.query("SHOW SOURCES", &[]).await.expect("runs");
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].get::<_, &str>("name"), "a");
    assert_eq!(rows[0].get::<_, i64>("frames"), 10);
    let zone = client.query_one("SHOW TimeZone", &[]).await.expect("runs");
    assert_eq!(zone.get::<_, &str>(0), "UTC");
    let plan = client.query("EXPLAIN SELECT * FROM frames", &[]).await.expect("runs");
    assert_eq!(plan[0].columns()[0].name(), "QUERY PLAN");
    let error = client.execute("DROP SOURCE nowhere", &[]).await.expect_err("is unknown");
    assert_eq!(error.code(), Some(&SqlState::UNDEFINED_OBJECT));
    client.execute("DROP SOURCE a", &[]).await.expect("runs");
    let empty = client.query("", &[]).await.expect("is empty");
    assert!(empty.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_portal_gives_some_rows_at_a_time() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let transaction = client.transaction().await.expect("begins");
    let portal = transaction
        .bind("SELECT frame_number FROM frames ORDER BY 1", &[])
        .await
        .expect("can be bound");
    let mut numbers: Vec<i64> = Vec::new();
    for expected in [4, 4, 2, 0] {
        let rows = transaction.query_portal(&portal, 4).await.expect("gives rows");
        assert_eq!(rows.len(), expected);
        numbers.extend(rows.iter().map(|row| row.get::<_, i64>(0)));
    }
    assert_eq!(numbers, (0..10).collect::<Vec<_>>());
    transaction.batch_execute("COMMIT; BEGIN").await.expect("the portal ends with its transaction");
    let error = transaction.query_portal(&portal, 4).await.expect_err("is gone");
    assert_eq!(error.code(), Some(&SqlState::INVALID_CURSOR_NAME));
    transaction.rollback().await.expect("ends");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_rows_stream() {
    let server = Server::start().await;
    let client = server.connect().await;
    let rows = client
        .query_raw("SELECT * FROM generate_series(1, 100000)", std::iter::empty::<i32>())
        .await
        .expect("runs");
    let sum = pin!(rows)
        .try_fold(0, async |sum, row| Ok(sum + row.get::<_, i64>(0)))
        .await
        .expect("all of them come");
    assert_eq!(sum, 5_000_050_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_block_is_told_to_the_client() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let transaction = client.transaction().await.expect("begins");
    let error = transaction.query("SELECT 1 / $1::int", &[&0]).await.expect_err("divides by zero");
    assert_eq!(error.code(), Some(&SqlState::DIVISION_BY_ZERO));
    let error = transaction.query("SELECT 1", &[]).await.expect_err("the block has failed");
    assert_eq!(error.code(), Some(&SqlState::IN_FAILED_SQL_TRANSACTION));
    transaction.rollback().await.expect("ends");
    client.query("SELECT 1", &[]).await.expect("is good again");
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_statements_and_values_are_refused() {
    let server = Server::start().await;
    let client = server.connect().await;
    let error = client.prepare("SELECT 1; SELECT 2").await.expect_err("is two");
    assert_eq!(error.code(), Some(&SqlState::SYNTAX_ERROR));
    let error = client.prepare("SELECT nothing FROM frames").await.expect_err("is unknown");
    assert_eq!(error.code(), Some(&SqlState::UNDEFINED_COLUMN));
    let statement = client.prepare("SELECT $1::int").await.expect("is fine");
    client.batch_execute("DEALLOCATE ALL").await.expect("runs");
    let error = client.query(&statement, &[&1]).await.expect_err("is forgotten");
    assert_eq!(error.code(), Some(&SqlState::INVALID_SQL_STATEMENT_NAME));
    client.query("SELECT 1", &[]).await.expect("the connection goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn whole_numbers_of_a_select_list_are_integers() {
    let server = Server::start().await;
    let client = server.connect().await;
    let sql = "SELECT 1, 2147483648, (1 + 1) * -2 AS a, frame_number + 1 FROM frames LIMIT 1";
    let statement = client.prepare(sql).await.expect("can be prepared");
    let types: Vec<_> = statement.columns().iter().map(|column| column.type_().clone()).collect();
    assert_eq!(types, [Type::INT4, Type::INT8, Type::INT4, Type::INT8]);
    let row = client.query_one(&statement, &[]).await.expect("runs");
    assert_eq!((row.get::<_, i32>(0), row.get::<_, i32>(2)), (1, -4));
    let row = client.query_one("SELECT 1", &[]).await.expect("runs");
    assert_eq!(row.get::<_, i32>(0), 1);
    let error = client.query_one("SELECT 2147483647 + 1", &[]).await.expect_err("does not fit");
    assert_eq!(error.code(), Some(&SqlState::NUMERIC_VALUE_OUT_OF_RANGE));
}
