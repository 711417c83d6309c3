//! The simple query protocol.

use tokio_postgres::SimpleQueryMessage;
use tokio_postgres::error::SqlState;

use crate::server::Server;

/// The rows of the answers, columns joined with `|`; a command without rows is `done`.
fn texts(messages: &[SimpleQueryMessage]) -> Vec<String> {
    messages
        .iter()
        .filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => {
                let values: Vec<_> =
                    (0..row.len()).map(|at| row.get(at).unwrap_or("NULL")).collect();
                Some(values.join("|"))
            }
            SimpleQueryMessage::CommandComplete(rows) => Some(format!("({rows} rows)")),
            _ => None,
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_string_of_statements_is_answered_one_by_one() {
    let server = Server::start().await;
    let client = server.connect().await;
    let messages = client
        .simple_query(
            "CREATE SOURCE a FROM 'x.mp4'; WAIT FOR SOURCE a; SELECT 1, 'two', NULL, true;
             SELECT name, state FROM vigil_catalog.sources; DROP SOURCE a;",
        )
        .await
        .expect("all of them run");
    assert_eq!(
        texts(&messages),
        ["(0 rows)", "(0 rows)", "1|two|NULL|t", "(1 rows)", "a|ended", "(1 rows)", "(0 rows)"]
    );
    let messages = client.simple_query(" ; -- nothing\n ;").await.expect("is empty");
    assert!(texts(&messages).iter().all(|text| text == "(0 rows)"));
}

#[tokio::test(flavor = "multi_thread")]
async fn values_are_written_as_postgresql_writes_them() {
    let server = Server::start().await;
    let client = server.connect().await;
    let row = async |sql: &str| texts(&client.simple_query(sql).await.expect(sql)).remove(0);
    let sql = "SELECT ts, frame_number, avg_confidence, keyframe, frame_uri FROM frames LIMIT 1";
    assert_eq!(row(sql).await, "2024-01-01 00:00:00+00|0|0|t|NULL");
    client.batch_execute("SET TIME ZONE 'Asia/Tokyo'").await.expect("is a zone");
    let ts = row("SELECT ts FROM frames LIMIT 1").await;
    assert_eq!(ts, "2024-01-01 09:00:00+09");
    let embedding = row("SELECT embedding FROM captions LIMIT 1").await;
    assert!(embedding.starts_with("[0,0,") && embedding.ends_with(']'), "{embedding}");
    assert_eq!(row("SELECT '[1,2.5]'::vector").await, "[1,2.5]");
    assert_eq!(row("SELECT ARRAY[1, 2]").await, "{1,2}");
    assert_eq!(row("SELECT positions FROM tracks LIMIT 1").await, "{\"(0,0,0)\"}");
    assert_eq!(row("SELECT frame_image('lobby', 7)").await, "\\x4a5045472037");
    assert_eq!(row("SELECT 1.5::real, 1e300::float8, 'NaN'::float8").await, "1.5|1e+300|NaN");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_stops_the_string_and_says_all_it_knows() {
    let server = Server::start().await;
    let client = server.connect().await;
    let error = client
        .simple_query("SELECT 1; CREATE SOURCE a FROM 'x' WITH (detectr = 1); DROP SOURCE b")
        .await
        .expect_err("the second one fails");
    let report = error.as_db_error().expect("comes from the server");
    assert_eq!(report.severity(), "ERROR");
    assert_eq!(report.code(), &SqlState::INVALID_PARAMETER_VALUE);
    assert_eq!(report.message(), "unknown option \"detectr\"");
    assert_eq!(report.hint(), Some("Perhaps you meant \"detector\"."));
    let error = client.simple_query("SELECT 1;\nSELEC 2").await.expect_err("is no SQL");
    let report = error.as_db_error().expect("comes from the server");
    assert_eq!(report.code(), &SqlState::SYNTAX_ERROR);
    assert_eq!(report.position(), Some(&tokio_postgres::error::ErrorPosition::Original(11)));
    client.simple_query("SELECT 1").await.expect("the connection goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_while_rows_stream_is_an_error() {
    let server = Server::start().await;
    let client = server.connect().await;
    let error = client
        .simple_query("SELECT 10 / (frame_number - 3) FROM frames")
        .await
        .expect_err("row 3 divides by zero");
    assert_eq!(error.code(), Some(&SqlState::DIVISION_BY_ZERO));
    client.simple_query("SELECT 1").await.expect("the connection goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_concerns_one_client() {
    let server = Server::start().await;
    let (client, other) = (server.connect().await, server.connect().await);
    let error =
        client.simple_query("CREATE SOURCE a FROM 'panic'").await.expect_err("the engine panics");
    assert_eq!(error.code(), Some(&SqlState::INTERNAL_ERROR));
    client.simple_query("SELECT 1").await.expect("the connection goes on");
    other.simple_query("SELECT 1").await.expect("the other one never noticed");
}

/// As PostgreSQL 15 does it.
#[tokio::test(flavor = "multi_thread")]
async fn a_string_that_fails_takes_back_what_it_did() {
    let server = Server::start().await;
    let client = server.connect().await;
    let row = async |sql: &str| texts(&client.simple_query(sql).await.expect(sql)).remove(0);
    let fails = async |sql: &str| {
        let error = client.simple_query(sql).await.expect_err(sql);
        error.code().map(|code| code.code().to_owned()).unwrap_or_default()
    };
    client
        .simple_query(
            "CREATE ROLE guard; CREATE VIEW kept AS SELECT 1 AS a; SET application_name = 'me'",
        )
        .await
        .expect("runs");
    let comment = "SELECT obj_description(oid) FROM pg_class WHERE relname = 'tracks'";
    let (user, comment_before) = (row("SELECT current_user").await, row(comment).await);
    let work = "CREATE VIEW gone AS SELECT 1 AS a; CREATE OR REPLACE VIEW kept AS SELECT 2 AS a;
                COMMENT ON VIEW kept IS 'x'; COMMENT ON TABLE tracks IS 'x';
                CREATE TEMP VIEW passing AS SELECT 1 AS a; SET application_name = 'inside'; SET ROLE guard";
    for (wrong, sqlstate) in [
        ("SELECT 1 / 0", "22012"),
        ("SELECT nosuch", "42703"),
        ("SELECT source FROM frames", "42501"),
        ("RESET ROLE; SELECT 10 / (frame_number - 3) FROM frames", "22012"),
        ("DISCARD ALL", "25001"),
        ("SAVEPOINT s", "25P01"),
    ] {
        assert_eq!(fails(&format!("{work}; {wrong}")).await, sqlstate, "{wrong}");
        assert_eq!(row("SELECT a FROM kept").await, "1", "{wrong}");
        assert_eq!(row("SELECT current_user").await, user, "{wrong}");
        assert_eq!(row("SHOW application_name").await, "me", "{wrong}");
        assert_eq!(row(comment).await, comment_before, "{wrong}");
        assert_eq!(fails("SELECT a FROM gone").await, "42P01", "{wrong}");
        assert_eq!(fails("SELECT a FROM passing").await, "42P01", "{wrong}");
    }
    // COMMIT keeps what came before it, ROLLBACK takes it back, BEGIN makes a block of it.
    fails(
        "CREATE VIEW one AS SELECT 1 AS a; COMMIT; CREATE VIEW two AS SELECT 2 AS a; SELECT 1 / 0",
    )
    .await;
    assert_eq!(row("SELECT a FROM one").await, "1");
    assert_eq!(fails("SELECT a FROM two").await, "42P01");
    client.simple_query("DROP VIEW one; ROLLBACK; SELECT 1").await.expect("runs");
    client.simple_query("DROP VIEW one; BEGIN; DROP VIEW kept").await.expect("runs");
    assert_eq!(fails("SELECT a FROM one").await, "42P01");
    client.simple_query("ROLLBACK").await.expect("runs");
    assert_eq!(row("SELECT one.a + kept.a FROM one, kept").await, "2");
    // What is local is so to the string.
    assert_eq!(row("SET LOCAL application_name = 'here'; SHOW application_name").await, "(0 rows)");
    let answers = client
        .simple_query(
            "SET LOCAL ROLE guard; SET LOCAL application_name = 'here'; SELECT current_user;
             SHOW application_name; DECLARE c CURSOR FOR VALUES (1), (2); FETCH 1 FROM c",
        )
        .await
        .expect("runs");
    let rows = texts(&answers).into_iter().filter(|text| !text.starts_with('('));
    assert_eq!(rows.collect::<Vec<_>>(), ["guard", "here", "1"]);
    assert_eq!(row("SELECT current_user").await, user);
    assert_eq!(row("SHOW application_name").await, "me");
    assert_eq!(fails("FETCH 1 FROM c").await, "34000");
}
