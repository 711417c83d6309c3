//! Views over the wire, between sessions.

use tokio_postgres::{Client, SimpleQueryMessage};

use crate::server::Server;

/// The first columns of the rows.
async fn rows(client: &Client, sql: &str) -> Vec<String> {
    let answer = client.simple_query(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    let text = |message: &SimpleQueryMessage| match message {
        SimpleQueryMessage::Row(row) => Some(row.get(0).unwrap_or("NULL").to_owned()),
        _ => None,
    };
    answer.iter().filter_map(text).collect()
}

/// SQLSTATE and message of an error.
async fn refused(client: &Client, sql: &str) -> (String, String) {
    let error = client.simple_query(sql).await.expect_err(sql);
    let report = error.as_db_error().unwrap_or_else(|| panic!("{sql}: {error:?}"));
    (report.code().code().to_owned(), report.message().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_temporary_view_is_its_sessions_own() {
    let server = Server::start().await;
    let (one, other) = (server.connect().await, server.connect().await);
    rows(&one, "CREATE VIEW base AS SELECT 1 AS a").await;
    rows(&one, "CREATE TEMP VIEW passing AS SELECT a FROM base").await;
    assert_eq!(rows(&one, "SELECT a FROM passing").await, ["1"]);
    let missing = ("42P01".to_owned(), "relation \"passing\" does not exist".to_owned());
    assert_eq!(refused(&other, "SELECT a FROM passing").await, missing);
    let schema = "SELECT n.nspname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                  WHERE c.relname = 'passing'";
    let name = rows(&one, schema).await.remove(0);
    assert_eq!(rows(&one, &format!("SELECT a FROM {name}.passing")).await, ["1"]);
    assert_eq!(rows(&other, schema).await, [""; 0]);
    assert_eq!(refused(&other, &format!("SELECT a FROM {name}.passing")).await.0, "42P01");
    assert_eq!(refused(&other, &format!("DROP VIEW {name}.passing")).await.0, "42P01");
    // Both may have one of the same name.
    rows(&other, "CREATE TEMP VIEW passing AS SELECT 2 AS a").await;
    assert_eq!(rows(&other, "SELECT a FROM passing").await, ["2"]);
    assert_eq!(rows(&one, "SELECT a FROM passing").await, ["1"]);
    // What others read is not pulled away under them, until they are gone.
    assert_eq!(refused(&other, "DROP VIEW base").await.0, "2BP01");
    drop(one);
    let pid = name.trim_start_matches("pg_temp_");
    let there = format!("SELECT pid FROM pg_stat_activity WHERE pid = {pid}");
    while !rows(&other, &there).await.is_empty() {
        tokio::task::yield_now().await;
    }
    rows(&other, "DROP VIEW base").await;
}

/// Whoever may not make views that stay may make these, and sees no more by them.
#[tokio::test(flavor = "multi_thread")]
async fn a_temporary_view_gives_no_rights() {
    let server = Server::start().await;
    server
        .as_owner(
            "CREATE ROLE clerk LOGIN PASSWORD 'secret';
             CREATE ROLE reader LOGIN PASSWORD 'secret';
             GRANT SELECT ON tracks TO clerk;
             CREATE VIEW secrets AS SELECT 'secret' AS word;
             CREATE VIEW all_frames AS SELECT source FROM frames;
             CREATE VIEW counted AS SELECT count(*) AS n FROM tracks;
             GRANT SELECT ON counted TO clerk",
        )
        .await;
    let clerk = server.log_in("clerk", "secret").await.expect("the password is right");
    assert_eq!(refused(&clerk, "CREATE VIEW mine AS SELECT 1").await.0, "42501");
    rows(
        &clerk,
        "CREATE TEMP VIEW t AS SELECT track_id FROM tracks;
         CREATE TEMP VIEW c AS SELECT n FROM counted;
         CREATE TEMP VIEW f AS SELECT source FROM frames;
         CREATE TEMP VIEW frames AS SELECT source FROM all_frames",
    )
    .await;
    let tracks = rows(&clerk, "SELECT track_id FROM public.tracks").await.len();
    assert_eq!(rows(&clerk, "SELECT * FROM t").await.len(), tracks);
    assert_eq!(rows(&clerk, "SELECT * FROM c").await, [tracks.to_string()]);
    // There is no table behind this one at whose rows it could be refused later.
    let secrets = refused(&clerk, "CREATE TEMP VIEW s AS SELECT word FROM secrets").await;
    assert_eq!(secrets.1, "permission denied for table secrets");
    for (view, named) in
        [("f", "frames"), ("frames", "all_frames"), ("pg_temp.frames", "all_frames")]
    {
        let denied = ("42501".to_owned(), format!("permission denied for table {named}"));
        assert_eq!(refused(&clerk, &format!("SELECT * FROM {view}")).await, denied);
    }
}

/// In PostgreSQL's words.
#[tokio::test(flavor = "multi_thread")]
async fn a_view_that_is_read_is_not_dropped() {
    let server = Server::start().await;
    let client = server.connect().await;
    rows(
        &client,
        "CREATE VIEW a AS SELECT 1 AS x; CREATE VIEW b AS SELECT x FROM a;
         CREATE VIEW c AS SELECT x FROM b; CREATE VIEW d AS SELECT 2 AS x",
    )
    .await;
    for (sql, message) in [
        ("DROP VIEW a", "cannot drop view a because other objects depend on it"),
        ("DROP VIEW a, d", "cannot drop desired object(s) because other objects depend on them"),
    ] {
        let error = client.simple_query(sql).await.expect_err(sql);
        let report = error.as_db_error().expect("comes from the server");
        assert_eq!((report.code().code(), report.message()), ("2BP01", message));
        assert_eq!(report.detail(), Some("view b depends on view a\nview c depends on view b"));
        let hint = "Use DROP ... CASCADE to drop the dependent objects too.";
        assert_eq!(report.hint(), Some(hint));
    }
    rows(&client, "DROP VIEW a, b, c; DROP VIEW d").await;
}

/// What both protocols have prepared goes on with the view that is there now.
#[tokio::test(flavor = "multi_thread")]
async fn a_prepared_statement_reads_the_view_as_it_is_now() {
    let server = Server::start().await;
    let (client, other) = (server.connect().await, server.connect().await);
    rows(&client, "CREATE VIEW base AS SELECT 1::int AS a; CREATE VIEW v AS SELECT a FROM base")
        .await;
    let statement = client.prepare("SELECT a + $1::int FROM v").await.expect("is planned");
    let all = client.prepare("SELECT * FROM v").await.expect("is planned");
    let numbers = client.prepare("SELECT count(*) FROM frames").await.expect("is planned");
    rows(&client, "PREPARE p(int) AS SELECT a + $1 FROM v; PREPARE every AS SELECT * FROM v").await;
    let answer = async || -> Vec<i32> {
        let by_protocol = client.query_one(&statement, &[&10_i32]).await.expect("runs");
        let by_name = rows(&client, "EXECUTE p(10)").await.remove(0);
        vec![by_protocol.get(0), by_name.parse().expect("is a number")]
    };
    assert_eq!(answer().await, [11, 11]);
    // Also where another session has changed it, and below it.
    rows(&other, "CREATE OR REPLACE VIEW v AS SELECT a + 1::int AS a FROM base").await;
    assert_eq!(answer().await, [12, 12]);
    rows(&other, "CREATE OR REPLACE VIEW base AS SELECT 5::int AS a").await;
    assert_eq!(answer().await, [16, 16]);
    assert_eq!(answer().await, [16, 16]);
    // Other columns than the client was told of.
    assert_eq!(client.query(&all, &[]).await.expect("runs").len(), 1);
    rows(&other, "CREATE OR REPLACE VIEW v AS SELECT a, 'new' AS b FROM base").await;
    assert_eq!(answer().await, [15, 15]);
    let changed = ("0A000".to_owned(), "cached plan must not change result type".to_owned());
    let error = client.query(&all, &[]).await.expect_err("has another column");
    let report = error.as_db_error().expect("comes from the server");
    assert_eq!((report.code().code(), report.message()), (changed.0.as_str(), changed.1.as_str()));
    assert_eq!(refused(&client, "EXECUTE every").await, changed);
    // A temporary one comes before it, and goes again.
    rows(&client, "BEGIN; CREATE TEMP VIEW v AS SELECT 100::int AS a").await;
    assert_eq!(answer().await, [110, 110]);
    rows(&client, "ROLLBACK").await;
    assert_eq!(answer().await, [15, 15]);
    rows(&other, "DROP VIEW v").await;
    let missing = ("42P01".to_owned(), "relation \"v\" does not exist".to_owned());
    assert_eq!(refused(&client, "EXECUTE p(10)").await, missing);
    let error = client.query(&statement, &[&10_i32]).await.expect_err("has no view");
    assert_eq!(error.code().map(|code| code.code()), Some("42P01"));
    rows(&other, "CREATE VIEW v AS SELECT 7::int AS a").await;
    assert_eq!(answer().await, [17, 17]);
    client.query(&numbers, &[]).await.expect("reads no view");
}
