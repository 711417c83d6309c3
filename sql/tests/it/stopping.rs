//! Statements that are stopped: by the client, by its going away, by the server's end.

use tokio_postgres::NoTls;
use tokio_postgres::error::SqlState;

use crate::server::Server;

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_request_stops_whatever_runs() {
    let server = Server::start().await;
    let client = server.connect().await;
    client.batch_execute("CREATE SOURCE a FROM 'forever'").await.expect("runs");

    let cancel = client.cancel_token();
    let waiting = client.batch_execute("WAIT FOR SOURCE a");
    let canceling = async {
        server.until(|engine| engine.waiting() == 1).await;
        cancel.cancel_query(NoTls).await.expect("the request is taken");
    };
    let (waited, ()) = tokio::join!(waiting, canceling);
    assert_eq!(waited.expect_err("is canceled").code(), Some(&SqlState::QUERY_CANCELED));
    server.until(|engine| engine.waiting() == 0).await;

    let before = server.engine.cuts();
    let cancel = client.cancel_token();
    let rows = client.query("SELECT count(*) FROM frames, generate_series(1, 100000000000)", &[]);
    let canceling = async {
        server.until(|engine| engine.cuts() > before).await;
        cancel.cancel_query(NoTls).await.expect("the request is taken");
    };
    let (rows, ()) = tokio::join!(rows, canceling);
    assert_eq!(rows.expect_err("is canceled").code(), Some(&SqlState::QUERY_CANCELED));
    client.query("SELECT 1", &[]).await.expect("the connection goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_goes_away_stops_its_statement() {
    let server = Server::start().await;
    let parameters = format!("host=127.0.0.1 port={} user=tester", server.port);
    let (client, connection) =
        tokio_postgres::connect(&parameters, NoTls).await.expect("the server listens");
    let connection = tokio::spawn(connection);
    client.batch_execute("CREATE SOURCE a FROM 'forever'").await.expect("runs");
    let waiting = tokio::spawn(async move { client.batch_execute("WAIT FOR SOURCE a").await });
    server.until(|engine| engine.waiting() == 1).await;
    connection.abort();
    server.until(|engine| engine.waiting() == 0).await;
    waiting.await.expect("does not panic").expect_err("has no connection");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_servers_end_stops_everything() {
    let server = Server::start().await;
    let client = server.connect().await;
    client.batch_execute("CREATE SOURCE a FROM 'forever'").await.expect("runs");
    let waiting = tokio::spawn(async move { client.batch_execute("WAIT FOR SOURCE a").await });
    server.until(|engine| engine.waiting() == 1).await;
    let engine = std::sync::Arc::clone(&server.engine);
    drop(server);
    waiting.await.expect("does not panic").expect_err("has no server");
    while engine.waiting() > 0 {
        tokio::task::yield_now().await;
    }
}

/// Such a join reads a batch and compares it with 20,000 rows; here nothing or a part of it passes.
#[tokio::test(flavor = "multi_thread")]
async fn a_join_without_a_key_ends_in_the_middle_of_a_batch() {
    let server = Server::start().await;
    let client = server.connect().await;
    client.batch_execute("SET statement_timeout = '2s'").await.expect("runs");
    let before = server.database.running_tasks();
    for condition in ["(a * b) % 7 = 8", "(a * b) % 7 = 3", "true"] {
        let join = format!(
            "SELECT count(*), sum(a % 3) FROM generate_series(1, 20000) a,
                generate_series(1, 100000000000) b WHERE {condition}"
        );
        let error = client.simple_query(&join).await.expect_err("takes too long");
        assert_eq!(error.code(), Some(&SqlState::QUERY_CANCELED), "{condition}: {error}");
        while server.database.running_tasks() > before {
            tokio::task::yield_now().await;
        }
    }
    client.query("SELECT 1", &[]).await.expect("the connection goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_request_ends_a_string_of_statements() {
    let server = Server::start().await;
    let (client, other) = (server.connect().await, server.connect().await);
    let pid: i32 = client.query_one("SELECT pg_backend_pid()", &[]).await.expect("runs").get(0);
    let many = "SELECT 1;".repeat(20_000);
    let running = client.batch_execute(&many);
    let stopping = async {
        let sql =
            "SELECT state FROM pg_stat_activity WHERE pid = $1::int AND query LIKE 'SELECT 1%'";
        loop {
            // While the string is read, all of it is shown, and what runs is shown then.
            let rows = other.query(sql, &[&pid]).await.expect("runs");
            if let Some(row) = rows.first() {
                assert_eq!(row.get::<_, &str>(0), "active");
                break;
            }
        }
        let stop = "SELECT pg_cancel_backend($1::int)";
        assert!(other.query_one(stop, &[&pid]).await.expect("may").get::<_, bool>(0));
    };
    let (stopped, ()) = tokio::join!(running, stopping);
    let error = stopped.expect_err("is stopped");
    assert_eq!(error.code(), Some(&tokio_postgres::error::SqlState::QUERY_CANCELED));
    client.batch_execute("SELECT 1").await.expect("goes on");
}
