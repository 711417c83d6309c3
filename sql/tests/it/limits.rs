//! What one client or one query may use, and that the others do not notice.

use tokio_postgres::NoTls;
use tokio_postgres::error::SqlState;
use vigil_sql::wire::{Limits, ServeOptions};
use vigil_sql::{DatabaseOptions, QueryLimits};

use crate::engine::TestEngine;
use crate::server::Server;

async fn with_limits(limits: QueryLimits) -> Server {
    let options = DatabaseOptions { limits, ..DatabaseOptions::default() };
    Server::start_with(TestEngine::default(), &options, ServeOptions::default()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn one_connection_too_many_is_told_so() {
    let limits = Limits { max_connections: 2, ..Limits::default() };
    let options = ServeOptions { limits, ..ServeOptions::default() };
    let server =
        Server::start_with(TestEngine::default(), &DatabaseOptions::default(), options).await;
    let (first, second) = (server.connect().await, server.connect().await);
    let parameters = format!("host=127.0.0.1 port={} user=tester", server.port);
    let connect = async || tokio_postgres::connect(&parameters, NoTls).await;
    for _ in 0..3 {
        let error = connect().await.err().expect("there is no room");
        let report = error.as_db_error().expect("comes from the server");
        assert_eq!(report.code(), &SqlState::TOO_MANY_CONNECTIONS);
        assert_eq!(report.message(), "sorry, too many clients already");
    }
    drop(first);
    while connect().await.is_err() {
        tokio::task::yield_now().await;
    }
    second.batch_execute("SELECT 1").await.expect("the second one never noticed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_past_its_memory_fails_alone() {
    let megabytes = 16 << 20;
    let server = with_limits(QueryLimits {
        memory_bytes: megabytes,
        total_memory_bytes: 2 * megabytes,
        max_temp_bytes: 1 << 20,
        ..QueryLimits::default()
    })
    .await;
    let (greedy, modest) = (server.connect().await, server.connect().await);
    let sql = "SELECT array_agg(a || repeat('x', 100)) FROM generate_series(1, 10000000) a";
    let error = greedy.simple_query(sql).await.expect_err("is too much");
    assert_eq!(error.code(), Some(&SqlState::OUT_OF_MEMORY), "{error:?}");
    modest.query_one("SELECT count(*) FROM frames", &[]).await.expect("there is memory for that");
    greedy.query_one("SELECT 1", &[]).await.expect("the session goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sort_that_does_not_fit_goes_to_disk() {
    let server = with_limits(QueryLimits {
        memory_bytes: 32 << 20,
        total_memory_bytes: 64 << 20,
        ..QueryLimits::default()
    })
    .await;
    let client = server.connect().await;
    let sql = "SELECT n, n * 7 % 1000003 AS k, repeat('x', 20) AS t
               FROM generate_series(1, 500000) AS n ORDER BY k DESC, t";
    let plan = client.simple_query(&format!("EXPLAIN ANALYZE {sql}")).await.expect("fits on disk");
    let plan: Vec<String> = plan
        .iter()
        .filter_map(|message| match message {
            tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
            _ => None,
        })
        .collect();
    let spills = plan
        .iter()
        .any(|line| line.split("spill_count=").nth(1).is_some_and(|count| !count.starts_with('0')));
    assert!(spills, "{plan:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_has_so_many_rows() {
    let server = with_limits(QueryLimits { max_rows: 1000, ..QueryLimits::default() }).await;
    let client = server.connect().await;
    let rows = client.query("SELECT * FROM generate_series(1, 1000)", &[]).await.expect("fits");
    assert_eq!(rows.len(), 1000);
    let error = client.query("SELECT * FROM generate_series(1, 1001)", &[]).await;
    let error = error.expect_err("is one too many");
    assert_eq!(error.code(), Some(&SqlState::PROGRAM_LIMIT_EXCEEDED));
    client.query("SELECT count(*) FROM generate_series(1, 1001)", &[]).await.expect("is one row");
}
